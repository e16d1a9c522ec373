"""The searches of a log, and the documents that they showed, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...datasets.pairs.array_storage import InMemory
from ...datasets.pairs.features import join_features
from ...datasets.pairs.training_pairs import TrainingPairs

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from ...datasets.pairs.features import FeatureTable
    from ...datasets.position_bias.estimator import PositionBias
    from ...datasets.record.signals import SignalTable
    from .coded import Coded
    from .search_report import SearchReport


@dataclass(frozen=True, eq=False)
class Displays:
    """Documents that searches showed, one row for each document of a search; arrays of shape (n,).

    Ordered by search, then by position and document.

    Attributes
    ----------
    search : ndarray of int32
        Index of the search.
    document : Coded
        The document's id.
    position : ndarray of int32
        0-based, that of the earliest row.
    types : ndarray of uint64
        Interaction types of all its rows, as a bitmask of `signals`.
    score : ndarray of float64
        document_score of the earliest row that has one, NaN where none does.
    examination : ndarray of float32 or None
        Probability of examination, relative to position 0; None where it is unknown, see
        `Searches.examination_unknown`.
    signals : SignalTable
        What the types mean.
    context : dict of str to Coded
        Requested columns or metadata fields, of the earliest row of the display that has one.
    """

    search: NDArray[np.int32]
    document: Coded
    position: NDArray[np.int32]
    types: NDArray[np.uint64]
    score: NDArray[np.float64]
    examination: NDArray[np.float32] | None
    signals: SignalTable
    context: dict[str, Coded] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of displays."""
        return len(self.search)

    def has(self, *types: str) -> NDArray[np.bool_]:
        """Return which displays have any of these interaction types; shape (n,)."""
        return np.asarray((self.types & self.signals.mask(types)) != 0)

    @cached_property
    def grade(self) -> NDArray[np.int32]:
        """Highest grade of its types; a return to the results takes a plain click back."""
        grade = np.zeros(len(self), np.int32)
        for bit, own in enumerate(self.signals.grade.tolist()):
            if own:
                named = (self.types >> np.uint64(bit)) & np.uint64(1)
                np.maximum(grade, named.astype(np.int32) * np.int32(own), out=grade)
        returned = (self.types & self.signals.return_to_results) != 0
        grade[returned & (grade == 1)] = 0
        return grade

    @cached_property
    def engaged(self) -> NDArray[np.bool_]:
        """Whether the grade is at least 1: clicked, or more, and not come back from at once."""
        return self.grade >= 1

    @cached_property
    def clicked(self) -> NDArray[np.bool_]:
        """Whether any type with a grade was logged, whether or not the user came back."""
        return np.asarray((self.types & self.signals.positive) != 0)

    def take(self, chosen: NDArray[np.bool_], search: NDArray[np.int32]) -> Displays:
        """Return some displays; `search`: the new index of every search."""
        examination = None if self.examination is None else self.examination[chosen]
        return Displays(
            search=search[self.search[chosen]],
            document=self.document.take(chosen),
            position=self.position[chosen],
            types=self.types[chosen],
            score=self.score[chosen],
            examination=examination,
            signals=self.signals,
            context={name: column.take(chosen) for name, column in self.context.items()},
        )


@dataclass(frozen=True, eq=False)
class Searches:
    """A log as searches: one row an execution, in order of time; arrays of shape (e,).

    Searches without a time come first. An execution of which only list-level events were logged,
    such as zero results, is a search without displays.

    Attributes
    ----------
    execution_id : polars.Series of String
    query, user, session, retriever : Coded
        Query id as in `load_pairs` (words, filters and the like in canonical form), user_id,
        session_id and retriever_id of the earliest row that names one; -1 where none does.
    time : ndarray of datetime64[us]
        UTC, of the first event; NaT where no row has a time.
    types : ndarray of uint64
        List-level interaction types, as a bitmask of ``displays.signals``.
    result_set_size : ndarray of float64
        As logged, NaN where it was not.
    shown : ndarray of int32
        Displays of the search.
    exposed : ndarray of bool
        Whether the log says what was shown: an impression or an unclicked document was logged. Of
        the others only clicks are known, and no rates.
    context : dict of str to Coded
        Requested columns or metadata fields, of the earliest row that has one.
    displays : Displays
    bias : PositionBias or None
        Where the examination is from.
    examination_unknown : str or None
        Why there is no examination, where there is none.
    features : FeatureTable or None
        Features that the documents have.
    report : SearchReport
        What was read and left out, and what the log lacks.
    """

    execution_id: pl.Series
    query: Coded
    user: Coded
    session: Coded
    retriever: Coded
    time: NDArray[np.datetime64]
    types: NDArray[np.uint64]
    result_set_size: NDArray[np.float64]
    shown: NDArray[np.int32]
    exposed: NDArray[np.bool_]
    context: dict[str, Coded]
    displays: Displays
    bias: PositionBias | None
    examination_unknown: str | None
    features: FeatureTable | None
    report: SearchReport

    def __len__(self) -> int:
        """Return the number of searches."""
        return len(self.time)

    def __repr__(self) -> str:
        """Say the sizes, not the contents."""
        return f"Searches({len(self):,} searches, {len(self.displays):,} displays)"

    def has(self, *types: str) -> NDArray[np.bool_]:
        """Return which searches have any of these list-level types; shape (e,)."""
        return np.asarray((self.types & self.displays.signals.mask(types)) != 0)

    @cached_property
    def zero_results(self) -> NDArray[np.bool_]:
        """Whether the search found nothing: zero_results was logged, or a size of 0."""
        return np.asarray(self.has("zero_results") | (self.result_set_size == 0))

    @cached_property
    def refined(self) -> NDArray[np.bool_]:
        """Whether query_refinement was logged with the search."""
        return self.has("query_refinement")

    @cached_property
    def filtered(self) -> NDArray[np.bool_]:
        """Whether filter_toggle was logged with the search."""
        return self.has("filter_toggle")

    @cached_property
    def succeeded(self) -> NDArray[np.bool_]:
        """Whether the user engaged with any document of the search."""
        found = np.bincount(self.displays.search[self.displays.engaged], minlength=len(self))
        return np.asarray(found > 0)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Display at which each search starts, and the number of displays; shape (e + 1,)."""
        return np.concatenate([[0], np.cumsum(self.shown, dtype=np.int64)])

    @property
    def timed(self) -> NDArray[np.bool_]:
        """Whether the time of a search is known; shape (e,)."""
        return ~np.isnat(self.time)

    def select(self, chosen: NDArray[np.bool_]) -> Searches:
        """Return some searches with their displays; the report stays that of the whole log.

        `chosen`: shape (e,).
        """
        search = np.cumsum(chosen, dtype=np.int32) - np.int32(1)
        return replace(
            self,
            execution_id=self.execution_id.filter(chosen),
            query=self.query.take(chosen),
            user=self.user.take(chosen),
            session=self.session.take(chosen),
            retriever=self.retriever.take(chosen),
            time=self.time[chosen],
            types=self.types[chosen],
            result_set_size=self.result_set_size[chosen],
            shown=self.shown[chosen],
            exposed=self.exposed[chosen],
            context={name: column.take(chosen) for name, column in self.context.items()},
            displays=self.displays.take(chosen[self.displays.search], search),
        )

    def pairs(self) -> TrainingPairs:
        """Return the displays as pairs with their features, by searches that show anything.

        A search without a query is a query of its own. Clicks are those of `Displays.clicked`,
        grades those of `Displays.grade`.
        """
        displays, kept = self.displays, np.flatnonzero(self.shown)
        n = len(displays)
        query, queries = self._own_where_missing()
        scored = not np.isnan(displays.score).all()  # False without displays
        pairs = TrainingPairs(
            X=displays.score.astype(np.float32)[:, None]
            if scored
            else np.empty((n, 0), np.float32),
            y=displays.grade.astype(np.float32),
            clicked=displays.clicked,
            negative=(displays.types & displays.signals.negative) != 0,
            group=self.shown[kept],
            position=displays.position,
            document_score=displays.score,
            age_days=np.full(n, np.nan, np.float32),
            weight=np.ones(n, np.float32),
            time=self.time[kept],
            execution_id=self.execution_id.gather(kept),
            query_code=query[kept],
            queries=queries,
            document_code=displays.document.codes,
            documents=displays.document.texts,
            feature_names=("document_score",) if scored else (),
            context={name: column.take(kept).values() for name, column in self.context.items()},
            examination=displays.examination,
        )
        if self.features is None:
            return pairs
        return join_features(pairs, self.features, "features", InMemory())

    def _own_where_missing(self) -> tuple[NDArray[np.int32], pl.Series]:
        import polars as pl

        query, texts = self.query.codes, self.query.texts
        without = np.flatnonzero(query < 0)
        if not len(without):
            return query, texts
        query = query.copy()
        query[without] = len(texts) + np.arange(len(without), dtype=np.int32)
        own = pl.select(pl.lit("execution:") + self.execution_id.gather(without)).to_series()
        return query, pl.concat([texts, own.alias(texts.name)])

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "zero results": int(self.zero_results.sum()),
            "refined": int(self.refined.sum()),
            "filtered": int(self.filtered.sum()),
        }
        return Summary(repr(self), [Table.of_counts(counts)], str(self.report).split("\n"))
