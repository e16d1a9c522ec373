"""A store's evidence in memory, kept up to date by reading only what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .serialization import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..evidence.evidence import Evidence
    from ..units.user_resets import UserReset
    from .serialization import StoredSettings


class ReadPosition(NamedTuple):
    """How far a stored state was read; another source or generation is to be read as a whole."""

    source: str
    generation: int
    version: int
    cursor: int


class StoreChanges(NamedTuple):
    """What changed since a position: everything where `evidence` is given, else its other parts."""

    settings: StoredSettings
    position: ReadPosition
    evidence: Evidence | None
    resets: Mapping[int, UserReset]
    units: list[bytes]


class StateMove(NamedTuple):
    """What one transaction did to the position of a state; its version is that of before.

    Where others may have written units meanwhile, the cursor is that of before, too.
    """

    before: ReadPosition
    after: ReadPosition


class Replica:
    """What `Store.follow` returns; calls from several threads need a lock around them.

    Attributes
    ----------
    evidence : Evidence or None
        None while nothing is stored. `refresh` folds units into it, and puts another in its place
        after a compaction, a merge or a deletion.
    """

    def __init__(self, read: Callable[[ReadPosition | None], StoreChanges | None]) -> None:
        self._read = read
        self._position: ReadPosition | None = None
        self.evidence: Evidence | None = None

    def skip(self, moves: Iterable[StateMove]) -> None:
        """Note that what these have written is in `evidence` already.

        Where a change that folding cannot follow was taken in between, such as the deletion of a
        user whom these name, everything is read anew with the next `refresh`.
        """
        for before, after in moves:
            position = self._position
            if position is None or position.source != before.source:
                return
            if position.generation == before.generation:
                is_same = position.cursor == before.cursor
                cursor = after.cursor if is_same else position.cursor
                self._position = position._replace(generation=after.generation, cursor=cursor)
            elif position.generation > after.generation:
                self._position = None

    def refresh(self) -> bool:
        """Catch up with the store and return whether anything is different.

        Raises
        ------
        StoreError
            If the store cannot be reached; `evidence` stays as it was. If the disk is full; then
            everything is read anew the next time.
        """
        before, changes = self._position, self._read(self._position)
        if changes is None:
            self._position, self.evidence = None, None
            return before is not None
        if changes.evidence is not None or self.evidence is None:
            self._position, self.evidence = changes.position, changes.evidence
            return True
        if changes.position == before:
            return False
        self._position = None  # until all of it is folded
        catch_up(self.evidence, changes.settings, changes.resets, changes.units)
        self._position = changes.position
        return True
