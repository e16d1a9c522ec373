"""False and missed discoveries of `compare_retrievers` and `trends` where the truth is planted.

Every log goes the whole way, from rows to the result. Users are unequally active (Pareto, tail 2)
and differ in how readily they engage; queries differ in quality; 4 documents a list, examination
1/rank. One line a world, over the seeds; beside it what raw numbers would have said: a t-test over
searches as if each were independent.

- "three retrievers": searches split at random among "old", "equal" (as good) and "better" (3 %
  more attractive), looked at on every day of 28; a verdict on any day counts. False: a verdict on
  "equal", or "worse" on "better". The sequential p is adjusted for two comparisons (Holm).
- "split by user": the same with two equal retrievers, users split instead of searches.
- "other queries": "new" is as good, but gets better queries. At the last day.
- "interleaved": team drafts of two teams, equal or one 15 % more attractive. At the last day.
- "steady": 56 days without a change, with a rhythm of the week; false: any change. "changed": from
  day 29 on engagement is 15 % lower; found: a change whose interval holds the day. Raw: days whose
  95 % interval leaves out the mean of all days.

usage: retrievers.py [--seeds N] [--searches N] [--worlds NAME ...] [--out JSON]
exit code: 0 if every bound in BOUNDS holds, else 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import stats

import rankloom
from rankloom.insights import compare_retrievers, read_searches, trends
from rankloom.insights.outcomes.clusters_of_searches import clusters_of
from rankloom.insights.outcomes.search_outcomes import SearchOutcomes
from rankloom.insights.statistics.clustered_means import GroupedClusters
from rankloom.insights.statistics.multiple_tests import adjusted
from rankloom.insights.statistics.sequential import sequential_p

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rankloom.insights import Searches

    Result = dict[str, float]

SIZE = 4
CURVE = 1.0 / (1.0 + np.arange(SIZE))
QUERIES = 40
START = np.datetime64("2026-01-05T00:00:00", "us")  # a Monday
METRIC = "engagements"
LEVEL = 0.05
BOUNDS = {  # share of seeds, or rate of false discoveries: lowest and highest
    ("three retrievers", "false"): (0.0, 0.10),
    ("three retrievers", "false discovery rate"): (0.0, 0.05),
    ("three retrievers", "found"): (0.8, 1.0),
    ("split by user", "false"): (0.0, 0.10),
    ("split by user", "interval covers"): (0.88, 1.0),
    ("other queries", "false"): (0.0, 0.10),
    ("other queries", "interval covers"): (0.88, 1.0),
    ("interleaved", "false"): (0.0, 0.10),
    ("interleaved", "found"): (0.8, 1.0),
    ("steady", "false"): (0.0, 0.14),
    ("changed", "found"): (0.8, 1.0),
}


def searchers(
    rng: np.random.Generator, searches: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the user of every search, and the engagement rate of every user."""
    users = max(searches // 15, 100)
    activity = rng.pareto(2.0, users) + 0.05
    return rng.choice(users, searches, p=activity / activity.sum()), rng.beta(4.0, 2.0, users)


def log_of(
    rng: np.random.Generator,
    retriever: NDArray[Any],
    user: NDArray[np.int64],
    attracts: NDArray[np.float64],
    query: NDArray[np.int64],
    day: NDArray[np.int64],
    team: NDArray[Any] | None = None,
) -> pl.DataFrame:
    """Return the rows; `attracts`, shape (searches, SIZE) or (searches, 1); `team` like it."""
    n = len(user)
    clicked = rng.random((n, SIZE)) < np.minimum(attracts, 1.0) * CURVE
    seconds = day * 86_400 + rng.integers(0, 86_400, n)
    search = np.repeat(np.arange(n), SIZE)
    document = pl.Series(rng.integers(0, 20, n * SIZE) + 20 * query[search])
    columns = {
        "execution_id": pl.Series(search).cast(pl.String),
        "feature_id": "d"
        + (document * SIZE + pl.Series(np.tile(np.arange(SIZE), n))).cast(pl.String),
        "position": np.tile(np.arange(SIZE), n),
        "interaction_type": pl.Series([["impression"], ["impression", "click"]]).gather(
            clicked.ravel().astype(np.int64)
        ),
        "user_id": "u" + pl.Series(user[search]).cast(pl.String),
        "retriever_id": pl.Series(retriever.astype(str)[search]),
        "query_snapshot": pl.Series([f"q{i}" for i in range(QUERIES)]).gather(query[search]),
        "occurred_at": pl.Series((START + seconds * np.timedelta64(1_000_000, "us"))[search]),
    }
    if team is not None:
        columns["team"] = pl.Series(team.ravel())
    return pl.DataFrame(columns)


def looks(searches: Searches, names: list[str], days: int) -> dict[str, NDArray[np.float64]]:
    """Return p-values by day and retriever, by search, by user, and sequential (Holm)."""
    values = SearchOutcomes(searches).values[METRIC]
    code = {text: i for i, text in enumerate(searches.retriever.texts.to_list())}
    group = np.full(len(searches), -1)
    for i, name in enumerate(names):
        group[searches.retriever.codes == code[name]] = i
    day = (searches.time - START).astype("timedelta64[D]").astype(np.int64)
    # The users' cells are found once: with all of them, those without a search yet are empty.
    whole = GroupedClusters(group, clusters_of(searches).codes, len(names)).means(values)
    key = clusters_of(searches).codes * len(names) + group
    cell = np.searchsorted(whole.cluster * len(names) + whole.group, key)
    found: dict[str, list[list[float]]] = {"raw": [], "by user": [], "sequential": []}
    for last in range(days):
        seen = np.flatnonzero(day <= last)
        size = np.bincount(cell[seen], minlength=len(whole.size)).astype(float)
        total = np.bincount(cell[seen], weights=values[seen], minlength=len(whole.size))
        by_user = replace(whole, size=size, total=total)
        others = range(1, len(names))
        estimates = [by_user.difference(i, 0) for i in others]
        sides = [values[seen][group[seen] == i] for i in range(len(names))]
        found["raw"].append([float(stats.ttest_ind(sides[i], sides[0]).pvalue) for i in others])
        found["by user"].append([estimate.p for estimate in estimates])
        scale = 0.1 * float(by_user.values[0])
        sequential = [sequential_p(estimate, scale) for estimate in estimates]
        found["sequential"].append(adjusted(sequential, "holm").tolist())
    return {name: np.array(p) for name, p in found.items()}


def three_retrievers(seed: int, searches: int) -> Result:
    """Search-level split of an equal and a better retriever, looked at every day."""
    rng = np.random.default_rng(seed)
    user, rate = searchers(rng, searches)
    retriever, query = rng.integers(0, 3, searches), rng.integers(0, QUERIES, searches)
    attracts = (rate[user] * (0.5 + 0.4 * query / QUERIES) * np.array([1, 1, 1.03])[retriever])[
        :, None
    ]
    names = np.array(["old", "equal", "better"])
    frame = log_of(rng, names[retriever], user, attracts, query, rng.integers(0, 28, searches))
    read = read_searches(frame, examination=CURVE)
    p = looks(read, names.tolist(), 28)
    final = compare_retrievers(read, baseline="old").differences.filter(metric=METRIC)
    verdicts = dict(final.select("retriever", "verdict").rows())
    result = {
        "false": float((p["sequential"][:, 0] <= LEVEL).any() or verdicts["better"] == "worse"),
        "found": float((p["sequential"][:, 1] <= LEVEL).any()),
        "false discovery rate": _share_false(p["sequential"]),
        "raw: false": float((p["raw"][:, 0] <= LEVEL).any()),
        "raw: false discovery rate": _share_false(p["raw"]),
        "by user, plain p: false": float((p["by user"][:, 0] <= LEVEL).any()),
        "by user, plain p, last day: found": float(p["by user"][-1, 1] <= LEVEL),
    }
    row = final.filter(retriever="better").to_dicts()[0]
    truth = 0.03 * row["baseline"]
    return {**result, "interval covers": float(row["lower"] <= truth <= row["upper"])}


def _share_false(p: NDArray[np.float64]) -> float:
    """Return the share of "equal" among the retrievers with a discovery on any day; 0 for none."""
    found = (p <= LEVEL).any(axis=0)
    return float(found[0] / found.sum()) if found.any() else 0.0


def split_by_user(seed: int, searches: int) -> Result:
    """Two equal retrievers, users split, looked at every day."""
    rng = np.random.default_rng(seed)
    user, rate = searchers(rng, searches)
    new, query = (rng.random(len(rate)) < 0.5)[user], rng.integers(0, QUERIES, searches)
    attracts = (rate[user] * (0.5 + 0.4 * query / QUERIES))[:, None]
    retriever = np.where(new, "new", "old")
    frame = log_of(rng, retriever, user, attracts, query, rng.integers(0, 28, searches))
    read = read_searches(frame, examination=CURVE)
    p = looks(read, ["old", "new"], 28)
    row = compare_retrievers(read, baseline="old").differences.filter(metric=METRIC).to_dicts()[0]
    return {
        "false": float((p["sequential"] <= LEVEL).any()),
        "interval covers": float(row["lower"] <= 0 <= row["upper"]),
        "raw: false": float((p["raw"] <= LEVEL).any()),
        "raw: interval covers": float(p["raw"][-1, 0] > LEVEL),
        "by user, plain p: false": float((p["by user"] <= LEVEL).any()),
    }


def other_queries(seed: int, searches: int) -> Result:
    """Compare an equal retriever that gets better queries."""
    rng = np.random.default_rng(seed)
    user, rate = searchers(rng, searches)
    new = rng.random(searches) < 0.5
    query = np.where(new, rng.integers(10, QUERIES, searches), rng.integers(0, 30, searches))
    attracts = (rate[user] * (0.5 + 0.4 * query / QUERIES))[:, None]
    retriever = np.where(new, "new", "old")
    frame = log_of(rng, retriever, user, attracts, query, rng.integers(0, 28, searches))
    found = compare_retrievers(frame, baseline="old", examination=CURVE)
    table = found.differences.filter(metric=METRIC)
    plain = table.filter(adjusted_for="").to_dicts()[0]
    same = table.filter(adjusted_for="query").to_dicts()
    warned = any("not given the same queries" in text for text in found.warnings)
    wrong = any(row["verdict"] in {"better", "worse"} for row in (plain, *same))
    return {
        "warned": float(warned),
        "false": float(wrong),
        "interval covers": float(bool(same) and same[0]["lower"] <= 0 <= same[0]["upper"]),
        "raw: false": float(plain["p"] <= LEVEL),
    }


def interleaved(seed: int, searches: int) -> Result:
    """Team drafts of equal teams, and of a team that is 15 % more attractive."""
    result: Result = {}
    for name, better in (("false", 1.0), ("found", 1.15)):
        rng = np.random.default_rng(seed)
        user, rate = searchers(rng, searches)
        query = rng.integers(0, QUERIES, searches)
        first = (rng.random((searches, SIZE // 2)) < 0.5)[:, :, None]
        is_b = np.concatenate([first, ~first], axis=2).reshape(searches, SIZE)
        attracts = (rate[user] * (0.5 + 0.4 * query / QUERIES))[:, None] * np.where(is_b, better, 1)
        team, mixed = np.where(is_b, "B", "A"), np.full(searches, "mixed")
        day = rng.integers(0, 28, searches)
        frame = log_of(rng, mixed, user, attracts, query, day, team)
        found = compare_retrievers(frame, team_field="team", baseline="A", examination=CURVE)
        row = found.interleaving.table.to_dicts()[0]  # type: ignore[union-attr]
        wanted = {"better", "worse"} if name == "false" else {"better"}
        result[name] = float(row["verdict"] in wanted)
        result[f"plain p: {name}"] = float(row["p"] <= LEVEL)
    return result


def _over_time(seed: int, searches: int, factor: float) -> tuple[Any, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    user, rate = searchers(rng, searches)
    weekend = np.where(np.arange(56) % 7 >= 5, 0.5, 1.0)
    day, query = (
        rng.choice(56, searches, p=weekend / weekend.sum()),
        rng.integers(0, QUERIES, searches),
    )
    rhythm = np.where(day % 7 >= 5, 1.15, 1.0) * np.where(day >= 28, factor, 1.0)
    attracts = (rate[user] * (0.5 + 0.4 * query / QUERIES) * rhythm)[:, None]
    frame = log_of(rng, np.full(searches, "r"), user, attracts, query, day)
    found = trends(frame, examination=CURVE, n_bootstrap=0)
    daily = found.series.filter(series=METRIC).sort("period")
    center = np.average(daily["value"], weights=daily["searches"])
    outside = (daily["lower"] > center) | (daily["upper"] < center)
    return found, outside.to_numpy()


def steady(seed: int, searches: int) -> Result:
    """No change but the rhythm of the week."""
    found, outside = _over_time(seed, searches, 1.0)
    return {"false": float(len(found.changes) > 0), "raw: false": float(outside.any())}


def changed(seed: int, searches: int) -> Result:
    """Engagement falls by 15 % on day 29."""
    found, _ = _over_time(seed, searches, 0.85)
    rows = found.changes.filter(series=METRIC).to_dicts()
    truth = (START + np.timedelta64(28, "D")).astype(object)
    quiet = found.changes.filter(pl.col("series").is_in(["searches", "users"]))
    return {
        "found": float(any(row["earliest"] <= truth <= row["latest"] for row in rows)),
        "false in other series": float(len(quiet) > 0),
    }


WORLDS: dict[str, tuple[Callable[[int, int], Result], float]] = {
    "three retrievers": (three_retrievers, 1.0),
    "split by user": (split_by_user, 0.2),
    "other queries": (other_queries, 0.2),
    "interleaved": (interleaved, 0.2),
    "steady": (steady, 0.2),
    "changed": (changed, 0.2),
}


def main() -> int:
    """Run the worlds, print a line for each number, and judge the bounds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--searches", type=int, default=100_000)
    parser.add_argument("--worlds", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found: dict[str, Result] = {}
    for name in given.worlds:
        world, size = WORLDS[name]
        start = time.process_time()
        rows = [world(seed, int(given.searches * size)) for seed in range(given.seeds)]
        found[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        seconds = (time.process_time() - start) / given.seeds
        print(f"{name} ({int(given.searches * size):,} searches, {seconds:.1f} s CPU a seed)")
        for key, value in found[name].items():
            print(f"  {key:<36}{value:7.3f}", flush=True)
    missed = [
        f"{name}, {key}: {found[name][key]:.3f} is not within {low} to {high}"
        for (name, key), (low, high) in BOUNDS.items()
        if name in found and not low <= found[name][key] <= high
    ]
    if given.out is not None:
        document = {"rankloom": rankloom.__version__, "seeds": given.seeds, "worlds": found}
        given.out.write_text(json.dumps({**document, "missed": missed}, indent=1))
    print("\n".join(missed) or "all bounds hold")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
