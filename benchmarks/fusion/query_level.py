"""What weights of their own are worth to queries that are searched for again and again.

Data: Robust 2003 (../shared/data/robust03), five systems, and MQ2007-agg (../shared/data/
mq2007agg), five systems, scores 1 / (1 + rank / 20). Every query is searched for 10, 50 and 200
times; lists are fused with sampled weights of the query, cut to the top 10, and learnt from by
`FusionBandit` round by round. Judged: NDCG@10 of the same queries over all candidates by their true
grades, at `mean(query=)`, as difference to `mean()` of the same bandit: weights of all queries,
learnt from the same clicks. Click models: PBM with examination 1/rank and attractiveness .1, .4, .8
by grade; the same with noisy clicks (.3, .45, .6), with random ones (.3), and with the true
examination 1/sqrt(rank) where 1/rank is assumed; trust bias; DBN ("cascade" in the protocol).
Standard errors are over seeds.

usage: query_level.py [--data DIR] [--sets NAME ...] [--seeds N] [--impressions N]
       [--models NAME ...] [--posterior auto|beta] [--out JSON]
exit code: 0 if every bound holds, else 1
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import logging
import platform
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from robust2003_protocol import DEFAULT_DATA, DISCOUNT, SHOWN, Queries, load_queries, top

import rankloom
from rankloom.bandit import EventColumns, FusionBandit
from rankloom.datasets import load_letor

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rankloom.bandit.posterior.estimation import Kind

    Floats = NDArray[np.float64]

MARKS = (10, 50, 200)
SYSTEMS = (0, 5, 10, 15, 20)
MAX_MQ_QUERIES = 200
RANK = np.arange(1.0, SHOWN + 1)
DAY = 86_400_000_000
BOUNDS = {10: 0.015, 50: 0.04, 200: 0.05}
LARGEST_LOSS = -0.002


class Clicks(NamedTuple):
    """A click model: examination, attractiveness by grade, and what else goes on."""

    examination: Floats = 1 / RANK
    attractiveness: tuple[float, float, float] = (0.1, 0.4, 0.8)
    trust: bool = False
    stops: bool = False

    def of(self, grades: NDArray[np.int64], uniform: Floats) -> Floats:
        """Return the clicks on a list; `uniform`, shape (2, shown), decides."""
        shown = len(grades)
        seen = np.array(self.attractiveness)[grades]
        if self.stops:
            return _dbn_clicks(seen, grades / 2, uniform)
        chance = self.examination[:shown] * seen
        if self.trust:
            chance = np.maximum(chance, 0.325 / RANK[:shown])
        return (uniform[0, :shown] < chance).astype(np.float64)


CLICK_MODELS = {
    "PBM": Clicks(),
    "trust": Clicks(trust=True),
    "DBN": Clicks(stops=True),
    "wrong curve": Clicks(examination=RANK**-0.5),
    "noisy": Clicks(attractiveness=(0.3, 0.45, 0.6)),
    "random": Clicks(attractiveness=(0.3, 0.3, 0.3)),
}


def _dbn_clicks(seen: Floats, satisfaction: Floats, uniform: Floats) -> Floats:
    """From the top; after a click users stop with .2 + .7 r, after every result with .1."""
    clicks = np.zeros(len(seen))
    for place, attracts in enumerate(seen):
        clicks[place] = uniform[0, place] < attracts
        stops = 0.1 + 0.9 * clicks[place] * (0.2 + 0.7 * satisfaction[place])
        if uniform[1, place] < stops:
            break
    return clicks


class Searches:
    """A bandit that serves every query once a round and learns from the clicks."""

    def __init__(self, queries: Queries, clicks: Clicks, seed: int, posterior: Kind) -> None:
        self.queries, self.clicks = queries, clicks
        self.arms = [f"system://{number}" for number in range(queries.scores.shape[2])]
        self.names = [f"query {number}" for number in range(len(queries.size))]
        self.bandit = FusionBandit(
            self.arms,
            max_queries=len(self.names),
            retriever_id=None,
            random_state=seed,
            posterior=posterior,
        )
        self.generator, self.rounds = np.random.default_rng(seed), 0
        self.online: list[float] = []

    def round(self) -> None:
        """Serve every query once, then learn."""
        shown, x, weights, clicked = [], [], [], []
        for number, name in enumerate(self.names):
            scores = self.queries.scores[number, : self.queries.size[number]]
            session = f"{self.rounds}/{number}"
            served = np.array([*self.bandit.sample(session_id=session, query=name).values()])
            best = top(scores @ served)
            grades = np.log2(self.queries.gain[number, best] + 1).round().astype(np.int64)
            clicked.append(self.clicks.of(np.minimum(grades, 2), self.generator.random((2, SHOWN))))
            shown.append(best)
            x.append(scores[best])
            weights.append(np.tile(served, (len(best), 1)))
            gain = self.queries.gain[number, best] @ DISCOUNT[: len(best)]
            self.online.append(float(gain / self.queries.ideal[number]))
        self._learn(shown, np.concatenate(x), np.concatenate(weights), np.concatenate(clicked))
        self.rounds += 1

    def _learn(
        self, shown: list[NDArray[np.int64]], x: Floats, weights: Floats, clicked: Floats
    ) -> None:
        query = np.repeat(np.arange(len(shown)), [len(each) for each in shown])
        rows = len(query)
        moment = self.rounds * DAY // 1_000
        columns = EventColumns(
            execution=query,
            executions=[f"{self.rounds}/{name}" for name in self.names],
            document=np.arange(rows),
            documents=[str(number) for number in range(rows)],
            types=clicked.astype(np.int64),
            type_sets=[["impression"], ["impression", "purchase"]],
            time=np.full(rows, moment),
            position=np.concatenate([np.arange(len(each)) for each in shown]),
            query=query,
            queries=[f'"{name}"' for name in self.names],
            scores=x,
            weights=weights,
            score_uris=self.arms,
        )
        self.bandit.update(columns)
        self.bandit.compact(moment + 1)

    def judged(self) -> dict[str, float]:
        """Return the NDCG@10 with weights of all, and the gain with those of each query."""
        rows = np.arange(len(self.names))
        every = np.array([*self.bandit.mean().values()])
        own = [np.array([*self.bandit.mean(query=name).values()]) for name in self.names]
        base = self.queries.ndcg(rows, every)
        by_query = [self.queries.ndcg(rows[i : i + 1], own[i]) for i in rows]
        level = self.bandit.posterior.get().posterior.query_level
        return {
            "all": base,
            "gain": float(np.mean(by_query)) - base,
            "strength": float(level.slope_strength or level.strength) if level else np.nan,
            "unseen": float(self.bandit.mean(query="never searched for") == self.bandit.mean()),
            "online": float(np.mean(self.online)),
            "queries": float(self.bandit.evidence.summary.queries),
        }


def load_mq2007agg(data: Path) -> Queries:
    """Read five systems' ranks; queries without a relevant document or few candidates are out."""
    judged = load_letor([data / "mq2007agg" / f"A{part}.txt.gz" for part in range(1, 6)])
    ends = np.cumsum(judged.group)
    lists = [
        (judged.X[end - size : end, SYSTEMS].astype(np.float64), judged.y[end - size : end])
        for size, end in zip(judged.group.tolist(), ends.tolist(), strict=True)
    ]
    lists = [(x, y) for x, y in lists if y.max() > 0 and len(y) >= SHOWN][:MAX_MQ_QUERIES]
    longest = max(len(y) for _, y in lists)
    scores = np.zeros((len(lists), longest, len(SYSTEMS)))
    gain = np.zeros((len(lists), longest))
    for number, (x, y) in enumerate(lists):
        place = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0, kind="stable")
        scores[number, : len(y)] = np.where(np.isnan(x), 0.0, 1 / (1 + place / 20))
        gain[number, : len(y)] = 2.0**y - 1
    ideal = -np.sort(-gain, axis=1)[:, :SHOWN] @ DISCOUNT
    size = np.array([len(y) for _, y in lists])
    return Queries(scores, np.zeros_like(scores), gain, ideal, size)


def run(
    queries: Queries, clicks: Clicks, seeds: int, marks: tuple[int, ...], posterior: Kind
) -> dict[int, list[dict[str, float]]]:
    """Return what is judged at every mark, for every seed."""
    found: dict[int, list[dict[str, float]]] = {mark: [] for mark in marks}
    for seed in range(seeds):
        searches = Searches(queries, clicks, seed, posterior)
        for number in range(1, marks[-1] + 1):
            searches.round()
            if number in marks:
                found[number].append(searches.judged())
    return found


def summary(found: dict[int, list[dict[str, float]]]) -> dict[int, dict[str, float]]:
    """Return means over seeds, and the standard error of the gain."""
    summaries = {}
    for mark, judged in found.items():
        columns = {name: np.array([each[name] for each in judged]) for name in judged[0]}
        count = len(judged)
        error = float(columns["gain"].std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
        summaries[mark] = {name: float(v.mean()) for name, v in columns.items()} | {"error": error}
    return summaries


def print_table(title: str, results: dict[str, dict[int, dict[str, float]]]) -> None:
    """Print gains over the weights of all queries with their standard errors."""
    marks = list(next(iter(results.values())))
    print(f"\n{title}: NDCG@10 over weights of all queries (standard error), prior strength")
    print(f"{'impressions a query':<20}" + "".join(f"{mark:>26}" for mark in marks))
    for name, found in results.items():
        cells = (
            f"{found[m]['gain']:>+9.4f} ({found[m]['error']:.4f}) {found[m]['strength']:>7.0f}"
            for m in marks
        )
        print(f"{name:<20}" + "".join(f"{cell:>26}" for cell in cells))


def judge(
    tables: dict[str, dict[str, dict[int, dict[str, float]]]], posterior: Kind
) -> list[tuple[str, float, float]]:
    """Return every bounded quantity as (name, value, lowest value allowed)."""
    verdicts = []
    for title, results in tables.items():
        gains = {(name, m): each["gain"] for name, r in results.items() for m, each in r.items()}
        if title == "robust03" and posterior == "auto":
            verdicts += [
                (f"{title}, PBM, {m} impressions", gain, BOUNDS[m])
                for (name, m), gain in gains.items()
                if name == "PBM" and m in BOUNDS
            ]
        verdicts.append((f"{title}, the worst of all", min(gains.values()), LARGEST_LOSS))
        same = min(each["unseen"] for r in results.values() for each in r.values())
        verdicts.append((f"{title}, share of unseen queries with the weights of all", same, 1.0))
    return verdicts


LOADERS: dict[str, Callable[[Path], Queries]] = {
    "robust03": load_queries,
    "mq2007agg": load_mq2007agg,
}


def main() -> int:
    """Run, print the tables and verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sets", nargs="+", choices=LOADERS, default=list(LOADERS))
    parser.add_argument("--models", nargs="+", choices=CLICK_MODELS, default=list(CLICK_MODELS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--impressions", type=int, default=MARKS[-1], help="of a query, at most")
    parser.add_argument("--posterior", choices=("auto", "beta"), default="auto")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    logging.getLogger("rankloom").setLevel(logging.ERROR)  # channels are known by their scores
    warnings.simplefilter("ignore", UserWarning)  # with random clicks slopes go either way
    marks = tuple(mark for mark in MARKS if mark <= options.impressions)
    about = {
        "rankloom": rankloom.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(", ".join(f"{name} {version}" for name, version in about.items()), "; 1 thread")
    started, tables = time.perf_counter(), {}
    for title in options.sets:
        queries, results = LOADERS[title](options.data), {}
        for name in options.models:
            found = run(queries, CLICK_MODELS[name], options.seeds, marks, options.posterior)
            results[name] = summary(found)
        tables[title] = results
        print_table(f"{title}, {len(queries.size)} queries", results)
    verdicts = judge(tables, options.posterior)
    print(f"\n{time.perf_counter() - started:.0f} s")
    for name, value, bound in verdicts:
        holds = "holds" if value >= bound else "FAILS"
        print(f"{holds}: {name} {value:+.4f}, at least {bound:+.4f}")
    if options.out:
        result: dict[str, Any] = {"versions": about, "tables": tables, "verdicts": verdicts}
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(value >= bound for _, value, bound in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
