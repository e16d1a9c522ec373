"""A log to a comparison of its retrievers: `compare_retrievers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ...errors import InvalidInputError, did_you_mean
from ..searches.read_searches import ReadOptions, as_searches
from ..searches.searches import Searches
from ..statistics.multiple_tests import ADJUSTMENTS
from ..statistics.sequential import MIN_DEGREES
from .comparability import check_traffic, sentence
from .comparison import RetrieverComparison
from .differences import Rules, difference_table, metric_table
from .interleaving import interleaved, judge_interleaving
from .over_time import drift_table, period_table
from .traffic import Traffic, find_retrievers, read_latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..statistics.multiple_tests import Adjustment
    from .comparability import Check
    from .interleaving import InterleavingResult


def compare_retrievers(
    source: Any,
    *,
    by: str = "retriever_id",
    baseline: str | None = None,
    team_field: str | None = None,
    latency_field: str | None = None,
    balance: Sequence[str] = (),
    every: str | None = None,
    confidence: float = 0.95,
    expected_effect: float = 0.1,
    adjust: Adjustment = "holm",
    **options: Unpack[ReadOptions],
) -> RetrieverComparison:
    """Compare retrievers, or versions of anything that makes lists, by what users did.

    Parameters
    ----------
    source : see `read_searches`, or what it returned
    by : str
        ``"retriever_id"``, or a column or metadata field that names what is compared, such as a
        pipeline's version.
    baseline : str, optional
        What the others are compared with; None: the one with the most searches.
    team_field : str, optional
        Column or metadata field of each row that names the retriever which gave the document, in
        lists that interleave several (team draft). Searches that show two teams are judged as
        contests, and not by `by`.
    latency_field : str, optional
        Column or metadata field with the search's latency, of which quantiles are compared.
    balance : sequence of str
        Columns or metadata fields, such as a device, whose mix should not differ.
    every : str, optional
        Length of the periods over time, such as ``"1d"``; None: days, or weeks for more than 60.
    confidence : float
        Of intervals; 1 minus it is the level of the verdicts.
    expected_effect : float
        Usual size of a difference relative to the baseline's value; of a preference between
        interleaved teams, absolute. The sequential tests hold whatever it is, and are most powerful
        for differences of this size. One that is too large costs little, one that is too small
        costs much. Choose it before looking.
    adjust : {"holm", "fdr", "none"}
        How p-values are adjusted for the number of retrievers, for each outcome.
    **options
        As of `read_searches`.

    Returns
    -------
    RetrieverComparison

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, or there is no such baseline.

    Notes
    -----
    Means are over searches, and their errors allow for users who search several times (see
    `GroupMeans`; by session or search where no user is logged). The verdict is safe to look at
    every day (`sequential_p`); the plain p is valid for a single look that was fixed in advance.
    Where the queries, days, hours or `balance` fields of a retriever differ from the baseline's,
    the comparison at the same mix of them (`standardised_difference`) has a verdict instead.

    Examples
    --------
    >>> from rankloom.datasets.simulation.simulate import simulate_interactions
    >>> log = simulate_interactions(n_executions=400, random_state=0)
    >>> result = compare_retrievers(log, by="ranker")
    >>> result.baseline, result.clustered_by
    ('ranker-1', 'user')
    >>> result.differences.filter(metric="engagements").select("retriever", "verdict").rows()
    [('ranker-0', 'worse'), ('ranker-2', 'no difference shown')]
    """
    _check(confidence, expected_effect, adjust, by, balance)
    rules = Rules(float(confidence), float(expected_effect), adjust)
    searches = _read(source, options, by, latency_field, balance, team_field)
    counted = searches.exposed | searches.zero_results
    searches, left_out = searches.select(counted), int((~counted).sum())
    contests, notes = None, []
    if team_field is not None:
        drafted = interleaved(searches, team_field)
        if drafted.any():
            contests = judge_interleaving(searches.select(drafted), team_field, baseline, rules)
            searches = searches.select(~drafted)
        else:
            notes.append(f"no search shows documents of two teams in {team_field!r}")
    found = find_retrievers(searches, by, None if contests is not None else baseline)
    searches = searches.select(found.retriever >= 0)
    latency, unreadable = read_latency(searches, latency_field)
    retriever = found.retriever[found.retriever >= 0]
    traffic = Traffic(searches, found.names, retriever, latency, tuple(balance))
    notes += _notes(
        traffic, contests is not None, {_CLICKS_ONLY: left_out, **found.left_out}, unreadable, by
    )
    return _compared(traffic, by, every, rules, contests, notes)


_CLICKS_ONLY = "nothing says what was shown"


def _check(confidence: float, expected_effect: float, adjust: str, by: Any, balance: Any) -> None:
    checked_number("confidence", confidence, 0, 1, between=True)
    checked_number("expected_effect", expected_effect, 0, between=True)
    if adjust not in ADJUSTMENTS:
        msg = f"adjust: expected one of {', '.join(ADJUSTMENTS)}, got {adjust!r}."
        raise InvalidInputError(msg + did_you_mean(str(adjust), ADJUSTMENTS))
    if not isinstance(by, str) or not by:
        msg = f"by: expected the name of a column or metadata field, got {by!r}"
        raise InvalidInputError(msg)
    if isinstance(balance, str):
        msg = f"balance: expected a sequence of names such as ({balance!r},), got {balance!r}"
        raise InvalidInputError(msg)


def _read(
    source: Any,
    options: ReadOptions,
    by: str,
    latency_field: str | None,
    balance: Sequence[str],
    team_field: str | None,
) -> Searches:
    wanted = [
        *(name for name in (by, latency_field) if name not in {None, "retriever_id"}),
        *balance,
    ]
    if not isinstance(source, Searches):
        context = dict.fromkeys([*options.get("context", ()), *wanted])
        options = {**options, "context": [str(name) for name in context]}
        if team_field is not None:
            options["display_context"] = [team_field]
        return as_searches(source, options)
    searches = as_searches(source, options)
    absent = [name for name in wanted if name not in searches.context]
    if team_field is not None and team_field not in searches.displays.context:
        absent.append(team_field)
    if absent:
        msg = (
            f"{', '.join(map(str, absent))}: the source was read without it; give "
            "read_searches(..., context=[...]), or display_context for the field of teams"
        )
        raise InvalidInputError(msg)
    return searches


def _notes(
    traffic: Traffic,
    contested: bool,  # noqa: FBT001 - passed on
    left_out: dict[str, int],
    unreadable: int,
    by: str,
) -> list[str]:
    found = [
        f"{count:,} searches are not compared: {reason}"
        for reason, count in left_out.items()
        if count
    ]
    if len(traffic.names) < 2 and not contested:
        missing = traffic.searches.report.missing.get("retriever")
        only = f"there is only {traffic.names[0]!r}" if traffic.names else "there is none"
        found.append(
            f"comparing needs two values of {by} with enough searches; {only}"
            + (f": {missing}" if by == "retriever_id" and missing else "")
        )
    if traffic.clusters.note is not None:
        found.append(traffic.clusters.note)
    if traffic.searches.examination_unknown is not None:
        found.append(
            "there are no position-corrected outcomes, because examination is unknown: "
            f"{traffic.searches.examination_unknown}"
        )
    if not traffic.searches.timed.all():
        missing = traffic.searches.report.missing.get("time")
        found.append(
            f"nothing is compared over time: {missing}"
            if missing
            else "some searches have no time and are in no period"
        )
    if unreadable:
        found.append(f"{unreadable:,} searches have a latency that is no number of at least 0")
    return found


def _compared(
    traffic: Traffic,
    by: str,
    every: str | None,
    rules: Rules,
    contests: InterleavingResult | None,
    notes: list[str],
) -> RetrieverComparison:
    checks = check_traffic(traffic)
    differences = difference_table(traffic, checks, rules)
    return RetrieverComparison(
        by=by,
        baseline=traffic.names[0] if traffic.names else None,
        clustered_by=traffic.clusters.by,
        retrievers=_retriever_table(traffic),
        metrics=metric_table(traffic, rules),
        differences=differences,
        by_grade=_grade_table(traffic, rules),
        over_time=period_table(traffic, every, rules),
        drift=drift_table(traffic, rules),
        checks=checks,
        interleaving=contests,
        report=traffic.searches.report,
        warnings=_warnings(checks, traffic),
        notes=notes + _few_clusters(differences),
    )


def _warnings(checks: list[Check], traffic: Traffic) -> list[str]:
    return [sentence(check, traffic.names[0]) for check in checks if check.differs]


def _few_clusters(differences: pl.DataFrame) -> list[str]:
    waiting = differences.filter(
        pl.col("sequential_upper").is_infinite() & (pl.col("metric") == "engaged_searches")
    )
    names = waiting["retriever"].unique(maintain_order=True).to_list()
    if not names:
        return []
    few = f"fewer than {MIN_DEGREES:.0f} equally active users"
    return [f"{', '.join(names)}: no verdict yet; the searches are worth those of {few}"]


def _retriever_table(traffic: Traffic) -> pl.DataFrame:
    clusters, searches = traffic.clusters, traffic.searches
    frame = pl.DataFrame(
        {
            "retriever": pl.Series(traffic.names, dtype=pl.String).gather(traffic.retriever),
            "index": traffic.retriever,
            "user": pl.Series(np.where(clusters.is_user, clusters.codes, -1)),
            "time": pl.Series(searches.time.astype("datetime64[us]")),
        }
    )
    users = pl.col("user").filter(pl.col("user") >= 0).n_unique().cast(pl.Int64)
    return (
        frame.group_by("index", "retriever")
        .agg(
            pl.len().cast(pl.Int64).alias("searches"),
            (users if clusters.is_user.any() else pl.lit(None, pl.Int64)).alias("users"),
            pl.col("time").min().alias("first"),
            pl.col("time").max().alias("last"),
        )
        .sort("index")
        .drop("index")
    )


def _grade_table(traffic: Traffic, rules: Rules) -> pl.DataFrame:
    rows = []
    for grade, (raw, corrected) in traffic.outcomes.by_grade().items():
        sides = [
            traffic.sample.means(values).means() if values is not None else None
            for values in (raw, corrected)
        ]
        for i, name in enumerate(traffic.names):
            numbers = [
                (None, None, None)
                if side is None
                else (side[i].value, *side[i].interval(rules.confidence))
                for side in sides
            ]
            rows.append((name, grade, *numbers[0], *numbers[1]))
    names = ["value", "lower", "upper", "corrected", "corrected_lower", "corrected_upper"]
    schema = {"retriever": pl.String, "grade": pl.Int64, **dict.fromkeys(names, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")
