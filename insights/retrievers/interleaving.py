"""Interleaved lists: which retriever's documents users prefer within one list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from ..outcomes.clusters_of_searches import clusters_of
from ..statistics.clustered_means import GroupedClusters
from ..statistics.multiple_tests import adjusted
from ..statistics.sequential import sequential_interval, sequential_p

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches
    from ..statistics.clustered_means import Estimate
    from .differences import Rules

    Floats = NDArray[np.float64]

FAIR_LEVEL: Final = 0.001


@dataclass(frozen=True, repr=False)
class InterleavingResult:
    """Interleaved lists, each a contest between two retrievers.

    Attributes
    ----------
    table : DataFrame
        A row for every team other than the baseline: ``searches`` that show documents of both,
        ``wins``, ``losses`` and ``ties`` of the team by engagements with its documents,
        ``preference`` = (wins - losses) / searches with its interval, p-values (plain and
        sequential, each also adjusted for the number of teams), ``credit_difference``: engagements
        with its documents less those with the baseline's, a search, with interval and p;
        ``first_share``: of the searches in which its first document stands above the baseline's,
        with the p-value of 1/2; ``verdict``.
    clustered_by : str
    notes : list of str
    """

    table: pl.DataFrame
    clustered_by: str
    notes: list[str]

    def __repr__(self) -> str:
        """Say each verdict with its numbers."""
        return "\n".join([*map(_sentence, self.table.to_dicts()), *self.notes])


def interleaved(searches: Searches, field: str) -> NDArray[np.bool_]:
    """Return which searches show documents of at least two teams; shape (e,)."""
    team = searches.displays.context[field].codes.astype(np.int64)
    search = searches.displays.search.astype(np.int64)
    pairs = np.unique(search[team >= 0] * (int(team.max(initial=0)) + 1) + team[team >= 0])
    teams = np.bincount(pairs // (int(team.max(initial=0)) + 1), minlength=len(searches))
    return np.asarray(teams >= 2)


def judge_interleaving(
    searches: Searches, field: str, baseline: str | None, rules: Rules
) -> InterleavingResult:
    """Compare teams within interleaved lists.

    A search is won by the team with more engagements (team draft interleaving: Radlinski, Kurup and
    Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?", CIKM 2008).

    `searches`: interleaved ones. `baseline`: name of a team; None: the one with most documents.
    """
    team = searches.displays.context[field]
    counts = np.bincount(team.codes[team.known], minlength=len(team.texts))
    names = {str(team.texts[int(code)]): int(code) for code in np.flatnonzero(counts)}
    base = baseline if baseline in names else max(names, key=lambda n: (counts[names[n]], n))
    contests = {
        name: _contest(searches, names[name], names[base], field)
        for name in sorted(names)
        if name != base
    }
    rows = [
        _row(name, base, contest, rules)
        for name, contest in contests.items()
        if contest is not None
    ]
    frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    frame = frame.with_columns(
        pl.Series(f"{name}_adjusted", adjusted(frame[name].to_numpy(), rules.adjust), pl.Float64)
        for name in ("p", "p_sequential")
    )
    clusters = clusters_of(searches)
    notes = [] if clusters.note is None else [clusters.note]
    return InterleavingResult(_with_verdict(frame, rules), clusters.by, [*notes, *_unfair(frame)])


class _Contest(NamedTuple):
    """Numbers of every search that shows documents of both teams; shape (n,)."""

    credit: Floats  # engagements with documents of the team less those of the baseline
    first: Floats  # 1 where the team's first document stands above the baseline's, else 0
    cluster: NDArray[np.int64]


def _contest(searches: Searches, team: int, base: int, field: str) -> _Contest | None:
    displays, n = searches.displays, len(searches)
    codes = displays.context[field].codes
    credit, first, both = np.zeros(n), np.empty((2, n)), np.ones(n, np.bool_)
    for place, (code, sign) in enumerate(((team, 1.0), (base, -1.0))):
        own = codes == code
        of_search = displays.search[own]
        credit += sign * np.bincount(of_search, weights=displays.engaged[own], minlength=n)
        both &= np.bincount(of_search, minlength=n) > 0
        first[place] = np.inf
        np.minimum.at(first[place], of_search, displays.position[own])
    if not both.any():
        return None
    _, cluster = np.unique(clusters_of(searches).codes[both], return_inverse=True)
    above = np.where(first[0] == first[1], 0.5, first[0] < first[1])
    return _Contest(credit[both], above[both], cluster)


_SCHEMA: Final = {
    "retriever": pl.String,
    "baseline": pl.String,
    "searches": pl.Int64,
    "users": pl.Int64,
    "wins": pl.Int64,
    "losses": pl.Int64,
    "ties": pl.Int64,
    "preference": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "p": pl.Float64,
    "sequential_lower": pl.Float64,
    "sequential_upper": pl.Float64,
    "p_sequential": pl.Float64,
    "credit_difference": pl.Float64,
    "credit_lower": pl.Float64,
    "credit_upper": pl.Float64,
    "credit_p": pl.Float64,
    "first_share": pl.Float64,
    "first_p": pl.Float64,
}


def _row(name: str, base: str, contest: _Contest, rules: Rules) -> tuple[Any, ...]:
    one_group = np.zeros(len(contest.credit), np.int64)
    sample = GroupedClusters(one_group, contest.cluster, 1)

    def mean(values: Floats) -> Estimate:
        return sample.means(values).mean(0)

    sign = np.sign(contest.credit)
    preference, credit = mean(sign), mean(contest.credit)
    first = mean(contest.first)
    fair = first._replace(value=first.value - 0.5)
    return (
        name,
        base,
        len(sign),
        sample.clusters,
        *(int((sign == value).sum()) for value in (1, -1, 0)),
        preference.value,
        *preference.interval(rules.confidence),
        preference.p,
        *sequential_interval(preference, rules.expected_effect, rules.confidence),
        sequential_p(preference, rules.expected_effect),
        credit.value,
        *credit.interval(rules.confidence),
        credit.p,
        first.value,
        fair.p if first.error > 0 else float(fair.value == 0),
    )


def _with_verdict(frame: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    verdict = (
        pl.when(pl.col("first_p") < FAIR_LEVEL)
        .then(pl.lit("not comparable"))
        .when(~(pl.col("p_sequential_adjusted") <= 1 - rules.confidence))
        .then(pl.lit("no difference shown"))
        .when(pl.col("preference") > 0)
        .then(pl.lit("better"))
        .otherwise(pl.lit("worse"))
    )
    return frame.with_columns(verdict.alias("verdict"))


def _unfair(frame: pl.DataFrame) -> list[str]:
    reason = (
        "a team draft gives each the first choice in half of them, so the lists were not drawn "
        "fairly, or not every shown document was logged"
    )
    return [
        f"interleaving: {row['retriever']} has the first document of the two in "
        f"{row['first_share']:.1%} of its lists with {row['baseline']}; {reason}"
        for row in frame.filter(pl.col("first_p") < FAIR_LEVEL).to_dicts()
    ]


def _sentence(row: dict[str, Any]) -> str:
    return (
        f"interleaved, {row['retriever']} against {row['baseline']}: {row['wins']:,} wins, "
        f"{row['losses']:,} losses, {row['ties']:,} ties in {row['searches']:,} searches; "
        f"preference {row['preference']:+.3f} [{row['lower']:+.3f}, {row['upper']:+.3f}], "
        f"p {row['p_adjusted']:.2g}, at any time {row['p_sequential_adjusted']:.2g}: "
        f"{row['verdict']}"
    )
