"""The gate of a memory: later executions, ordered by memory and by the prior alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.checks import checked_number
from ..._shared.clustered import ClusteredErrors
from ..._shared.plain import plain
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..exposure.frequency_bands import BANDS, band_of
from ..held_out import scores_from, split_and_fit
from ..metrics.ranked_lists import rank_lists
from ..metrics.ranking import discounts
from .display import MemoryDisplay

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from .query_memory import QueryMemory

    Floats = NDArray[np.float64]

CUTOFF = 10
_MIN_QUERIES = 5


@dataclass(frozen=True)
class BandReplay:
    """Later executions of the queries of one frequency band.

    Attributes
    ----------
    impressions : int
        Fewest impressions of a query in the memory.
    executions, queries : int
    memory, prior : float
        Clicks, each over the examination of its position, times the discount 1 / log2(rank + 1) of
        the first ten ranks that each order gives the documents shown; a mean over executions.
    gain : float
        The difference.
    lower : float or None
        Its one-sided bound, clustered by query; None for less than five queries.
    passed : bool
        Whether the bound lies above 0.
    """

    impressions: int
    executions: int
    queries: int
    memory: float
    prior: float
    gain: float
    lower: float | None
    passed: bool


@dataclass(frozen=True)
class MemoryReport:
    """What later executions say of a memory.

    Attributes
    ----------
    bands : tuple of BandReplay
        By frequency, the rarest queries first.
    all : BandReplay
        All queries that the memory knows.
    unknown : int
        Executions of queries that it does not know, which change nothing.
    passed_bands : tuple of bool
        A band passes if its own bound lies above 0, or its gain where the bound of all bands does;
        one of less than five queries goes by the next rarer one.
    passed : bool
        Whether any band passes.
    confidence : float
        Of the bounds.
    notes : list of str
    """

    bands: tuple[BandReplay, ...]
    all: BandReplay
    unknown: int
    passed_bands: tuple[bool, ...]
    confidence: float
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether any band passes."""
        return any(self.passed_bands)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = plain({**asdict(self), "passed": self.passed})
        return values

    def plot(self, ax: Axes | None = None) -> MemoryDisplay:
        """Draw the gain over the prior by frequency band, and its bound."""
        every = [*self.bands, self.all]
        return MemoryDisplay(
            bands=(*(f"{band.impressions} or more" for band in self.bands), "all"),
            gain=np.array([band.gain if band.executions else np.nan for band in every]),
            lower=np.array([band.lower for band in every], np.float64),
            passed=np.array([*self.passed_bands, self.passed], np.bool_),
            executions=np.array([band.executions for band in every]),
            queries=np.array([band.queries for band in every]),
            cutoff=CUTOFF,
            confidence=self.confidence,
        ).plot(ax)

    def __str__(self) -> str:
        bound = f"{self.confidence:.0%} bound"
        verdict = "passes" if self.passed else "does not pass"
        lines = [
            f"Memory {verdict}: DCG@{CUTOFF} of the documents shown, clicks over examination",
            f"impressions  executions  queries   memory    prior     gain  {bound:>9}",
            *(
                _line(f"{band.impressions}+", band, served)
                for band, served in zip(self.bands, self.passed_bands, strict=True)
            ),
            _line("all", self.all, self.passed),
            f"{self.unknown:,} executions of queries that the memory does not know",
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each band: the fields of `BandReplay`, and ``served``."""
        import polars as pl

        return pl.DataFrame([asdict(band) for band in self.bands]).with_columns(
            pl.Series("served", self.passed_bands, pl.Boolean)
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        named = zip(self.bands, self.passed_bands, strict=True)
        bands = [(f"{band.impressions}+", band, passed) for band, passed in named]
        rows = [
            (name, b.executions, b.queries, b.memory, b.prior, b.gain, b.lower, passed)
            for name, b, passed in [*bands, ("all", self.all, self.passed)]
        ]
        names = ["impressions", "executions", "queries", "memory", "prior", "gain"]
        verdict = "passes" if self.passed else "does not pass"
        return Summary(
            f"Memory {verdict}: DCG@{CUTOFF} of the documents shown, clicks over examination",
            [Table.of([*names, f"{self.confidence:.0%} bound", "passed"], rows)],
            [
                f"{self.unknown:,} executions of queries that the memory does not know",
                *self.notes,
            ],
        )


def evaluate_memory(
    memory: QueryMemory, pairs: TrainingPairs, prior: Any = None, *, confidence: float = 0.95
) -> MemoryReport:
    """Replay later executions by a memory and by its prior alone.

    Only the documents that an execution showed are ordered again. A click counts its gain over the
    examination of its position, with the factors of positions that the memory estimated, so an
    order is not rewarded for repeating production's.

    Parameters
    ----------
    memory : QueryMemory
        Learnt from earlier executions only.
    pairs : TrainingPairs
        Later ones, with positions.
    prior : Ranker, array-like of shape (n,), or None
        As for `QueryMemory.fit`; a ranker must not have seen these pairs, either.
    confidence : float
        Of the one-sided bounds; above 0.5.

    Returns
    -------
    MemoryReport

    Raises
    ------
    InvalidInputError
        If the pairs reach back into the memory's evidence, or a parameter is wrong.
    """
    checked_number("confidence", confidence, 0.5, 1, between=True)
    _check_later(memory, pairs)
    scores = memory.prior_scores(pairs, prior)
    number, relevance = memory.relevance_of_pairs(pairs, scores)
    gain = memory.corrected_gains(pairs)
    dcg = [_dcg(pairs, gain, order) for order in (relevance, scores)]
    impressions = memory.served.impressions(number)
    known = number >= 0
    band = np.where(known, band_of(impressions), -1)
    query = pairs.query_code
    every = [_band(low, band == b, dcg, query, confidence) for b, low in enumerate(BANDS)]
    together = _band(BANDS[0], known, dcg, query, confidence)
    return MemoryReport(
        tuple(every),
        together,
        int((~known).sum()),
        tuple(_passed_bands(every, together)),
        confidence,
        []
        if pairs.has_times
        else ["times are unknown: whether these executions are later is, too"],
    )


def gated_memory(
    ranker: Any, pairs: TrainingPairs, memory: QueryMemory, *, test_fraction: float = 0.5
) -> MemoryReport:
    """Fit a memory on pairs, restricted to the bands that a replay lets pass.

    The replay is of the later part of the pairs, by a memory and a ranker like those given that
    learnt from the earlier part alone. The same later part says how strong the prior is: the ranker
    that is to be the prior has seen its clicks, that of the earlier part has not.

    Parameters
    ----------
    ranker : Ranker
        Fitted on the pairs; what the memory mixes clicks with.
    pairs : TrainingPairs
        With times.
    memory : QueryMemory
        Fitted here.
    test_fraction : float
        Share of the executions that is replayed.

    Returns
    -------
    MemoryReport
        What the replay found.

    Raises
    ------
    InvalidInputError
        If the pairs have no times, or a part would be empty.
    """
    earlier, later, past = split_and_fit(ranker, pairs, test_fraction)
    report = memory.fit(earlier, prior=past).evaluate(later, past)
    memory.fit(pairs, prior=ranker, held_out=scores_from(pairs, later, past)).restrict(report)
    return report


def _passed_bands(bands: list[BandReplay], together: BandReplay) -> Iterator[bool]:
    passed = False
    for band in bands:
        if band.lower is not None:
            passed = band.passed or (together.passed and band.gain > 0)
        yield passed


def _check_later(memory: QueryMemory, pairs: TrainingPairs) -> None:
    latest = memory.latest
    if latest is None or not pairs.has_times:
        return
    inside = int((pairs.time.astype("datetime64[us]").astype(np.int64) <= latest).sum())
    if inside:
        last = np.datetime_as_string(np.datetime64(latest, "us"), unit="s")
        msg = (
            f"pairs: {inside:,} of {pairs.n_executions:,} executions are not later than the "
            f"memory's evidence, which ends at {last}Z; use only later ones (split_by_time)"
        )
        raise InvalidInputError(msg)


def _dcg(pairs: TrainingPairs, gain: Floats, scores: NDArray[np.floating]) -> Floats:
    lists = rank_lists(pairs.y, scores, pairs.group)
    found = lists.expected(gain[lists.order]) * discounts(lists.rank) * lists.within(CUTOFF)
    return lists.per_query(found)


def _band(
    impressions: int,
    rows: NDArray[np.bool_],
    dcg: list[Floats],
    query: NDArray[np.integer],
    confidence: float,
) -> BandReplay:
    count = int(rows.sum())
    if not count:
        return BandReplay(impressions, 0, 0, 0.0, 0.0, 0.0, None, passed=False)
    memory, prior = (float(each[rows].mean()) for each in dcg)
    difference = (dcg[0] - dcg[1])[rows]
    _, cluster = np.unique(query[rows], return_inverse=True)
    errors = ClusteredErrors(cluster)
    gain, lower = memory - prior, None
    if errors.count >= _MIN_QUERIES:
        error = errors.standard_error(difference - gain)
        lower = gain - errors.t_quantile(confidence) * error
    passed = lower is not None and lower > 0
    return BandReplay(impressions, count, errors.count, memory, prior, gain, lower, passed=passed)


def _line(name: str, band: BandReplay, served: bool) -> str:  # noqa: FBT001 - a cell of the table
    cells = [
        f"{name:>11}",
        f"{band.executions:10,}",
        f"{band.queries:7,}",
        f"{band.memory:7.4f}",
        f"{band.prior:7.4f}",
        f"{band.gain:+7.4f}",
        f"{'-' if band.lower is None else format(band.lower, '+.4f'):>9}",
        "passes" if served else "fails",
    ]
    return "  ".join(cells)
