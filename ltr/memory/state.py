"""The evidence of several sources, and what was deleted from it.

A source is one process that learns. Its state is a set of units and, of those that were compacted,
sums with their cut-off. States merge by taking, for each source, the sums with the later cut-off
and the units of both, folded: that is commutative, associative and idempotent, so merging a state
twice, or an older copy of it, changes nothing. So it is of judgements, of which each judge has one
for a (query, document): the highest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .judged import Grades, all_joined
from .sums import QueryDocumentSums, no_sums, without
from .units import NO_TIME, Units, fold, no_units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray


NEVER: Final = np.iinfo(np.int64).min
KINDS: Final[tuple[str, ...]] = ("query", "document", "user")


@dataclass(frozen=True)
class Compacted:
    """The sums of compacted units."""

    sums: QueryDocumentSums = field(default_factory=no_sums)
    before: int = NEVER  # the cut-off: units of earlier executions are in the sums, or refused
    reference: int = NEVER  # time at which the sums count in full
    units: int = 0
    left_out: int = 0  # (query, document) beyond the caps


class Source(NamedTuple):
    """What one source learnt."""

    units: Units
    compacted: Compacted


class Removed(NamedTuple):
    """What a deletion took out, and what it could not look into."""

    units: int
    sums: int
    unknown: int  # compacted units, whose users are not known
    judgments: int = 0


@dataclass(frozen=True)
class MemoryState:
    """Sources by name, judgements, and the times up to which something was deleted."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    judged: Mapping[str, Grades] = field(default_factory=dict)  # by judge
    deleted: Mapping[str, Mapping[int, int]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )

    @property
    def units(self) -> Units:
        """The units of all sources, each once."""
        parts = [source.units for source in self.sources.values()]
        if len(parts) == 1:
            return parts[0]
        return fold(parts) if parts else no_units()

    @property
    def latest(self) -> int | None:
        """Time of the newest evidence, in microseconds; None where there is none, or no times."""
        times = [source.units.latest for source in self.sources.values()]
        times += [source.compacted.reference for source in self.sources.values()]
        known = [time for time in times if time is not None and time != NEVER]
        return max(known, default=None)

    def with_units(self, name: str, units: Units) -> tuple[MemoryState, int]:
        """Fold units into a source; return how many were refused: compacted, or deleted."""
        source = self.sources.get(name)
        if source is None and not any(self.deleted.values()):
            return self._with(name, Source(units, Compacted())), 0
        source = source or Source(no_units(), Compacted())
        usable = self._without_deleted(units)
        usable = usable.take(usable.time >= source.compacted.before)
        refused = len(units.document) - len(usable.document)
        return self._with(name, source._replace(units=fold([source.units, usable]))), refused

    def with_grades(self, judged: Mapping[str, Grades]) -> MemoryState:
        """Add judgements, but not of what was deleted; they have no times."""
        added = {name: _without_deleted(grades, self.deleted) for name, grades in judged.items()}
        return replace(self, judged=all_joined(self.judged, added))

    def merged(self, other: MemoryState) -> MemoryState:
        """Return the evidence of both states."""
        deleted = {kind: _later(self.deleted[kind], other.deleted[kind]) for kind in KINDS}
        mine, theirs = (_redeleted(state, deleted) for state in (self, other))
        sources = {
            name: _joined([s.sources[name] for s in (mine, theirs) if name in s.sources])
            for name in sorted({*mine.sources, *theirs.sources})
        }
        return MemoryState(sources, all_joined(mine.judged, theirs.judged), deleted)

    def compacted(
        self,
        name: str,
        before: int,
        close: Callable[[Units, Compacted], Compacted],
    ) -> tuple[MemoryState, int]:
        """Turn a source's units before a time into sums; return how many there were."""
        source = self.sources.get(name, Source(no_units(), Compacted()))
        if before <= source.compacted.before:
            return self, 0
        old = source.units.time < before
        closing = source.units.take(old)
        count = len(closing.document)
        compacted = close(closing, source.compacted) if count else source.compacted
        compacted = replace(compacted, before=before, units=source.compacted.units + count)
        return self._with(name, Source(source.units.take(~old), compacted)), count

    def without(self, kind: str, key: int) -> tuple[MemoryState, Removed]:
        """Delete everything known of a query, a document or a user."""
        latest = self.latest
        until = NEVER if latest is None else latest
        deleted = {**self.deleted, kind: {**self.deleted[kind], key: until}}
        cleaned = _redeleted(self, deleted)
        removed = [_size(state) for state in (self, cleaned)]
        unknown = 0 if kind != "user" else removed[0][2]
        units, sums, _, judgments = (a - b for a, b in zip(*removed, strict=True))
        return cleaned, Removed(units, sums, unknown, judgments)

    def used_ids(self) -> dict[str, NDArray[np.uint64]]:
        """Return the ids of the queries and documents that there is evidence of."""
        groups: list[Units | QueryDocumentSums | Grades] = [*self.judged.values()]
        for source in self.sources.values():
            groups += [source.units, source.compacted.sums]
        return {
            "query": np.concatenate([group.query for group in groups]),
            "document": np.concatenate([group.document for group in groups]),
        }

    def _with(self, name: str, source: Source) -> MemoryState:
        return replace(self, sources={**self.sources, name: source})

    def _without_deleted(self, units: Units) -> Units:
        if not any(self.deleted.values()):
            return units
        of_execution = _is_deleted(units.query, units.time, self.deleted["query"])
        of_execution |= _is_deleted(units.user, units.time, self.deleted["user"])
        time = units.time[units.execution]
        of_unit = _is_deleted(units.document, time, self.deleted["document"])
        return units.take(~of_execution, ~of_unit)


def _later(a: Mapping[int, int], b: Mapping[int, int]) -> dict[int, int]:
    return {key: max(a.get(key, NEVER), b.get(key, NEVER)) for key in sorted({*a, *b})}


def _is_deleted(
    ids: NDArray[np.uint64], time: NDArray[np.int64], deleted: Mapping[int, int]
) -> NDArray[np.bool_]:
    """Return which ids were deleted at or after their time; those without a time always."""
    if not deleted:
        return np.zeros(len(ids), dtype=bool)
    keys = np.array(sorted(deleted), dtype=np.uint64)
    until = np.array([deleted[int(key)] for key in keys], dtype=np.int64)
    place = np.minimum(keys.searchsorted(ids), len(keys) - 1)
    old = (time <= until[place]) | (time == NO_TIME)
    return np.asarray((keys[place] == ids) & old)


def _redeleted(state: MemoryState, deleted: Mapping[str, Mapping[int, int]]) -> MemoryState:
    """Return a state without what was deleted since its own deletions.

    The sums of a query or document go whole: what they hold of later times cannot be separated.
    """
    new = {
        kind: [key for key, time in deleted[kind].items() if state.deleted[kind].get(key) != time]
        for kind in KINDS
    }
    judged = {name: _without_deleted(grades, deleted) for name, grades in state.judged.items()}
    whole = MemoryState(state.sources, judged, deleted)
    if not any(new.values()):
        return whole
    queries, documents = (np.array(new[kind], dtype=np.uint64) for kind in KINDS[:2])
    sources = {}
    for name, (units, compacted) in state.sources.items():
        sums = compacted.sums
        rows = np.isin(sums.query, queries) | np.isin(sums.document, documents)
        sums = without(sums, rows, np.isin(sums.queries, queries))
        kept = whole._without_deleted(units)  # noqa: SLF001 - of the same class
        sources[name] = Source(kept, replace(compacted, sums=sums))
    return MemoryState(sources, judged, deleted)


def _without_deleted(grades: Grades, deleted: Mapping[str, Mapping[int, int]]) -> Grades:
    gone = np.zeros(len(grades.query), dtype=bool)
    for ids, kind in ((grades.query, "query"), (grades.document, "document")):
        gone |= np.isin(ids, np.array(list(deleted[kind]), dtype=np.uint64))
    return Grades._make(column[~gone] for column in grades)


def _joined(copies: list[Source]) -> Source:
    """Return the join of two copies of a source."""
    newest = max(copies, key=lambda s: (s.compacted.before, s.compacted.units))
    units = fold([source.units for source in copies])
    return newest._replace(units=units.take(units.time >= newest.compacted.before))


def _size(state: MemoryState) -> tuple[int, int, int, int]:
    sources = state.sources.values()
    return (
        sum(len(source.units.document) for source in sources),
        sum(len(source.compacted.sums.query) for source in sources),
        sum(source.compacted.units for source in sources),
        sum(len(grades.query) for grades in state.judged.values()),
    )
