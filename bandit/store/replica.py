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


class CursorMove(NamedTuple):
    """What a transaction in which nobody else could write did to the cursor of a state."""

    before: int
    after: int


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

    def skip_generation(self) -> None:
        """Note that a change of the store which folding cannot follow is in `evidence` already."""
        if self._position is not None:
            self._position = self._position._replace(generation=self._position.generation + 1)

    def skip(self, moves: Iterable[CursorMove]) -> None:
        """Note that units which were written by these are in `evidence` already."""
        for move in moves:
            if self._position is not None and self._position.cursor == move.before:
                self._position = self._position._replace(cursor=move.after)

    def refresh(self) -> bool:
        """Catch up with the store and return whether anything is different.

        Raises
        ------
        StoreError
            If the store cannot be reached; `evidence` stays as it was.
        """
        before, changes = self._position, self._read(self._position)
        if changes is None:
            self._position, self.evidence = None, None
            return before is not None
        self._position = changes.position
        if changes.evidence is not None or self.evidence is None:
            self.evidence = changes.evidence
            return True
        if changes.position == before:
            return False
        catch_up(self.evidence, changes.settings, changes.resets, changes.units)
        return True
