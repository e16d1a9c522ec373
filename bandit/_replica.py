"""A store's evidence in memory, kept up to date by reading only what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._store_wire import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._store_work import News, Seen
    from .evidence import Evidence


class Replica:
    """What `Store.follow` returns; calls from several threads need a lock around them.

    Attributes
    ----------
    evidence : Evidence or None
        None while nothing is stored. `refresh` folds units into it, and puts another in its place
        after a compaction, a merge or a deletion.
    """

    def __init__(self, news: Callable[[Seen | None], News | None]) -> None:
        self._news = news
        self._seen: Seen | None = None
        self.evidence: Evidence | None = None

    def skip_generation(self) -> None:
        """Note that a change of the store which folding cannot follow is in `evidence` already."""
        if self._seen is not None:
            self._seen = self._seen._replace(generation=self._seen.generation + 1)

    def refresh(self) -> bool:
        """Catch up with the store and return whether anything is different.

        Raises
        ------
        StoreError
            If the store cannot be reached; `evidence` stays as it was.
        """
        before, found = self._seen, self._news(self._seen)
        if found is None:
            self._seen, self.evidence = None, None
            return before is not None
        self._seen = found.seen
        if found.evidence is not None or self.evidence is None:
            self.evidence = found.evidence
            return True
        if found.seen == before:
            return False
        catch_up(self.evidence, found.head, found.wishes, found.units)
        return True
