"""The evidence of a memory: units and sums by source, and the names of what they are of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..._shared.text_ids import stable_ids_of
from ...errors import InvalidInputError
from .estimates import CountingRules, closed, factor
from .judged import grades_of
from .names import Names, no_names
from .state import MemoryState
from .sums import add, no_sums
from .table import limited
from .units import NO_TIME, units_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from .calibration import Calibration
    from .state import Compacted, Removed
    from .sums import QueryDocumentSums
    from .units import Units

    Floats = NDArray[np.float64]
    Ids = NDArray[np.uint64]


@dataclass
class Evidence:
    """What was learnt, and by which rules."""

    rules: CountingRules
    source: str  # name of this process's part
    state: MemoryState = field(default_factory=MemoryState)
    names: dict[str, Names] = field(
        default_factory=lambda: {"query": no_names(), "document": no_names()}
    )

    @property
    def reference(self) -> int:
        """Time at which evidence counts in full: that of the newest; 0 without times."""
        latest = self.state.latest
        return 0 if latest is None else latest

    def add(
        self,
        pairs: TrainingPairs,
        examination: NDArray[np.floating],
        scores: NDArray[np.floating] | None,
    ) -> int:
        """Fold pairs into this process's part; return how many were refused."""
        if self.rules.half_life is not None and not pairs.has_times:
            msg = "half_life: the pairs have no times; leave half_life out, or add times"
            raise InvalidInputError(msg)
        query_ids, document_ids = ids_of(pairs)
        units = units_of(pairs, examination, scores, query_ids, document_ids)
        self.state, refused = self.state.with_units(self.source, units)
        self.state = self.state.with_grades(grades_of(pairs, query_ids, document_ids))
        for kind, ids, texts in (
            ("query", query_ids, pairs.queries),
            ("document", document_ids, pairs.documents),
        ):
            self.names[kind] = self.names[kind].merged(Names.of(ids, texts.to_list()))
        return refused

    def merge(self, other: Evidence) -> None:
        """Add what another memory learnt."""
        self.state = self.state.merged(other.state)
        self.names = {kind: self.names[kind].merged(other.names[kind]) for kind in self.names}

    def compact(
        self,
        before: int,
        calibration: Calibration,
        max_queries: int | None,
        max_documents: int | None,
    ) -> int:
        """Turn this process's units before a time into sums within the caps."""
        if (self.state.units.time == NO_TIME).any():
            msg = "before: some executions have no time; compact needs all times"
            raise InvalidInputError(msg)

        def close(units: Units, compacted: Compacted) -> Compacted:
            made = closed(units, compacted, self.rules, calibration)
            sums, left_out = limited(made.sums, max_queries, max_documents)
            return replace(made, sums=sums, left_out=made.left_out + left_out.documents)

        self.state, count = self.state.compacted(self.source, before, close)
        return count

    def forget(self, kind: str, key: int) -> Removed:
        """Delete everything known of a query, a document or a user, its name included."""
        self.state, removed = self.state.without(kind, key)
        used = self.state.used_ids()
        self.names = {kind: names.only(used[kind]) for kind, names in self.names.items()}
        return removed

    def sums(self, calibration: Calibration) -> QueryDocumentSums:
        """Return the sums of all units and of what was compacted."""
        units = self.state.units
        if not len(units.document):
            return self.with_compacted(no_sums())
        sums = self.rules.sum(units, calibration.factor, self.reference)
        return self.with_compacted(sums)

    def with_compacted(self, sums: QueryDocumentSums) -> QueryDocumentSums:
        """Return the sums of units with those of compacted ones added."""
        compacted = [source.compacted for source in self.state.sources.values()]
        parts = [
            (each.sums, factor(each.reference, self.reference, self.rules))
            for each in compacted
            if len(each.sums.query)
        ]
        return add([(sums, 1.0), *parts]) if parts else sums


def ids_of(pairs: TrainingPairs) -> tuple[Ids, Ids]:
    """Return the ids of `pairs.queries` and of `pairs.documents`."""
    return stable_ids_of(pairs.queries), stable_ids_of(pairs.documents)
