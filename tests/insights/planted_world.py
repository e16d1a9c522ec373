"""A simulated search log in which queries and documents with known faults are planted.

Queries are ``q000`` and so on. Relevance is a function of the document's feature ``x``, but where
something is planted. Clicks follow the position-based model with examination 1 / rank; three
production rankers order by noisy versions of ``x``. Users differ in how readily they engage, and
some search twenty times as much as others.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import polars as pl

SHOWN, CANDIDATES, RANKERS = 8, 10, 3
EXAMINATION = 1 / np.arange(1, SHOWN + 1)
START = dt.datetime(2026, 3, 1)  # noqa: DTZ001 - the canonical columns are naive UTC


@dataclass
class World:
    """A log, its features, and what is true of it."""

    log: pl.DataFrame
    features: pl.DataFrame
    zero_results: set[str] = field(default_factory=set)
    rewrites: set[tuple[str, str]] = field(default_factory=set)
    synonyms: set[frozenset[str]] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    negative: set[str] = field(default_factory=set)
    ratio: dict[str, float] = field(default_factory=dict)  # query -> engagement over promise
    plain_ratio: dict[str, float] = field(default_factory=dict)  # over the overall rate
    # (query, document) -> relevance over that of the documents above, and below
    above: dict[tuple[str, str], float] = field(default_factory=dict)
    below: dict[tuple[str, str], float] = field(default_factory=dict)
    relevance: dict[str, float] = field(default_factory=dict)  # document -> over that of all
    wanted: set[tuple[str, str]] = field(default_factory=set)
    disappointing: set[tuple[str, str]] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    rich: set[str] = field(default_factory=set)


def relevance_of(x):
    return 0.06 + 0.3 / (1 + np.exp(-1.2 * x))


def simulate_world(n_searches, seed=0, n_queries=120, *, planted=True, short=False):
    """Return a world.

    `planted=False`: nothing is wrong with any query or document. `short`: every other query shows
    three documents only, so that its raw click rate is high.
    """
    rng = np.random.default_rng(seed)
    plan = _Plan(n_queries, planted, short)
    x, relevance, score = _catalogue(plan, rng)
    query, session, user, time = _searches(plan, n_searches, rng)
    ranker = rng.integers(0, RANKERS, len(query.fixed))
    # The second query of a visit depends on what came of the first.
    order = np.argsort(-(score[:, None] + _noise(plan, rng)), axis=2)[:, :, :SHOWN]
    outcome = _play(plan, query, order, ranker, user, relevance, rng)
    log, shown = _rows(plan, outcome, x, session, user, time, rng)
    world = World(log, _features(plan, x))
    _state_truth(world, plan, outcome, shown, x, relevance)
    return world


class _Plan:
    """Which queries and documents something is planted in."""

    def __init__(self, n, planted, short):
        self.n = n
        names = np.arange(n)
        parts = np.split(names[:72], np.cumsum([8, 8, 8, 10, 10, 5, 5, 10])) if planted else None
        empty = names[:0]
        (self.zero, self.poor, self.rich, self.misspelt, self.right, self.word, self.twin,
         self.misplaced, _) = parts if planted else (empty,) * 9  # fmt: skip
        # Twins show the documents of the word that they are a synonym of.
        self.owner = names.copy()
        self.owner[self.twin] = self.word
        self.planted = planted
        self.length = np.full(n, SHOWN)
        self.length[1::2] = 3 if short else SHOWN
        self.length[self.misplaced] = SHOWN

    def document(self, query, candidate):
        return self.owner[query] * CANDIDATES + candidate


def _catalogue(plan, rng):
    x = rng.normal(size=(plan.n, CANDIDATES))
    relevance = relevance_of(x)
    relevance[plan.poor] *= 0.4
    relevance[plan.rich] *= 1.9
    relevance[plan.misspelt] = 0.01
    score = x.copy()
    score[plan.misplaced, 0], relevance[plan.misplaced, 0] = 3.5, 0.02
    score[plan.misplaced, 1], relevance[plan.misplaced, 1] = -0.5, 0.8
    for values in (x, relevance, score):
        values[plan.twin] = values[plan.word]
    return x, relevance, score


def _noise(plan, rng):
    noise = rng.normal(scale=0.8, size=(plan.n, RANKERS, CANDIDATES))
    noise[plan.misplaced, :, :2] *= 0.5
    return noise


@dataclass
class _Queries:
    fixed: np.ndarray  # query of the search if it is not a step that was planted
    first: np.ndarray  # whether it begins a visit
    step: np.ndarray  # random number that decides on a planted step


def _searches(plan, n, rng):
    lengths = rng.geometric(0.55, n)
    session = np.repeat(np.arange(n), lengths)[:n]
    first = np.diff(session, prepend=-1) > 0
    popularity = 1 / np.arange(3, plan.n + 3) ** 0.4
    popularity = rng.permutation(popularity)
    popularity /= popularity.sum()
    query = rng.choice(plan.n, n, p=popularity)
    activity = rng.choice([1.0, 20.0], size=max(n // 8, 1), p=[0.98, 0.02])
    of_session = rng.choice(len(activity), session[-1] + 1, p=activity / activity.sum())
    begin = rng.integers(0, 28 * 86_400, session[-1] + 1)
    since = np.cumsum(rng.integers(30, 200, n))
    time = begin[session] + since - since[np.searchsorted(session, session)]
    return _Queries(query, first, rng.random(n)), session, of_session[session], time


@dataclass
class _Outcome:
    query: np.ndarray
    candidate: np.ndarray  # shape (s, SHOWN)
    engaged: np.ndarray
    examined: np.ndarray
    zero: np.ndarray


def _play(plan, queries, order, ranker, user, relevance, rng):
    n = len(queries.fixed)
    eager = np.clip(rng.gamma(16.0, 1 / 16.0, user.max() + 1), 0.4, 1.6)
    draws = rng.random((2, n, SHOWN))
    zero_draw = rng.random(n)
    rate = np.full(plan.n, 0.03)
    rate[plan.zero] = 0.4
    to = dict(zip(plan.misspelt.tolist(), plan.right.tolist(), strict=True))
    twins = dict(zip(plan.word.tolist(), plan.twin.tolist(), strict=True))
    twins |= {twin: word for word, twin in twins.items()}
    out = _Outcome(
        queries.fixed.copy(),
        np.zeros((n, SHOWN), int),
        np.zeros((n, SHOWN), bool),
        np.zeros((n, SHOWN), bool),
        np.zeros(n, bool),
    )
    for i in range(n):
        if not queries.first[i]:
            before = int(out.query[i - 1])
            if before in to and not out.engaged[i - 1].any() and queries.step[i] < 0.6:
                out.query[i] = to[before]
            elif before in twins and not out.engaged[i - 1].any() and queries.step[i] < 0.4:
                out.query[i] = twins[before]
            elif out.query[i] == before:
                out.query[i] = (before + 1) % plan.n
        q = out.query[i]
        out.candidate[i] = order[q, ranker[i]]
        out.zero[i] = zero_draw[i] < rate[q]
        if not out.zero[i]:
            out.examined[i] = (draws[0, i] < EXAMINATION) & (np.arange(SHOWN) < plan.length[q])
            chance = relevance[q, out.candidate[i]] * eager[user[i]]
            out.engaged[i] = out.examined[i] & (draws[1, i] < chance)
    return out


BASE = {"skip": 0.15, "return_to_results": 0.15, "negative_feedback": 0.01}
FAULTY = {"skip": 0.8, "return_to_results": 0.7, "negative_feedback": 0.25}


def _faulty(plan, x):
    """The first documents of some queries that are fine otherwise, with a fault each."""
    if not plan.planted:
        return {name: np.zeros(0, int) for name in BASE}
    plain = np.arange(72, plan.n)
    best = plan.document(plain, x[plain].argmax(axis=1))
    return {name: best[index::6] for index, name in enumerate(BASE)}


def _rows(plan, out, x, session, user, time, rng):
    n = len(out.query)
    shown = plan.document(out.query[:, None], out.candidate)
    faulty = _faulty(plan, x)
    position = np.arange(SHOWN) < plan.length[out.query, None]
    events = [("impression", *np.nonzero(position & ~out.zero[:, None]))]
    flags = {"click": out.engaged}
    for name, base in BASE.items():
        rate = np.where(np.isin(shown, faulty[name]), FAULTY[name], base)
        at = out.engaged if name == "return_to_results" else out.examined & ~out.engaged
        flags[name] = at & (rng.random(shown.shape) < rate)
    out.engaged = out.engaged & ~flags["return_to_results"]
    events += [(name, *np.nonzero(flag)) for name, flag in flags.items()]
    document = [pl.Series(shown[search, at]).cast(pl.String) for _, search, at in events]
    nothing = np.flatnonzero(out.zero)
    events.append(("zero_results", nothing, np.zeros(len(nothing), int)))
    document.append(pl.Series(["list"] * len(nothing), dtype=pl.String))
    parts = [
        pl.DataFrame(
            {"search": search, "position": at.astype(np.int32), "feature_id": ids}
        ).with_columns(pl.lit(pl.Series([[name]])).first().alias("interaction_type"))
        for (name, search, at), ids in zip(events, document, strict=True)
    ]
    searches = pl.DataFrame(
        {
            "search": np.arange(n),
            "execution_id": pl.Series(np.arange(n)).cast(pl.String),
            "session_id": pl.Series(session).cast(pl.String),
            "user_id": pl.Series(user).cast(pl.String),
            "query_snapshot": [f"q{q:03}" for q in out.query],
            "occurred_at": pl.Series(time).cast(pl.Int64) * 1_000_000,
        }
    ).with_columns((pl.lit(START) + pl.duration(microseconds="occurred_at")).alias("occurred_at"))
    rows = pl.concat(parts)
    rows = rows.with_columns(("d" + pl.col("feature_id")).alias("feature_id"))
    return rows.join(searches, on="search").drop("search"), shown


def _features(plan, x):
    own = np.flatnonzero(plan.owner == np.arange(plan.n))
    document = plan.document(own[:, None], np.arange(CANDIDATES))
    names = [f"d{number}" for number in document.ravel()]
    return pl.DataFrame({"feature_id": names, "x": x[own].ravel()})


def _state_truth(world, plan, out, shown, x, relevance):
    name = [f"q{q:03}" for q in range(plan.n)]
    world.zero_results = {name[q] for q in plan.zero}
    world.rewrites = {(name[a], name[b]) for a, b in zip(plan.misspelt, plan.right, strict=True)}
    world.synonyms = {
        frozenset((name[a], name[b])) for a, b in zip(plan.word, plan.twin, strict=True)
    }
    faulty = _faulty(plan, x)
    world.skipped, world.returned, world.negative = (
        {f"d{number}" for number in faulty[kind].tolist()} for kind in BASE
    )
    world.failing = {name[q] for q in (*plan.poor, *plan.misspelt)}
    world.rich = {name[q] for q in plan.rich}
    for q in plan.misplaced:
        world.disappointing.add((name[q], f"d{plan.document(q, 0)}"))
        world.wanted.add((name[q], f"d{plan.document(q, 1)}"))
    listed = ~out.zero
    query, candidate = out.query[listed], out.candidate[listed]
    # A return to the results takes a click back.
    returns = np.where(
        np.isin(shown[listed], faulty["return_to_results"]), FAULTY["return_to_results"], 0.15
    )
    r = relevance[query[:, None], candidate] * (1 - returns)
    promise = relevance_of(x)[query[:, None], candidate]
    examination = np.where(np.arange(SHOWN) < plan.length[query, None], EXAMINATION, 0.0)
    _ratios(world, plan, name, query, r * examination, promise * examination, examination)
    _neighbours(world, name, query, shown[listed], r, examination)
    _relevances(world, shown[listed], r, examination)


def _ratios(world, plan, name, query, r, promise, examination):
    own, due, seen = (
        np.bincount(query, weights=values.sum(axis=1), minlength=plan.n)
        for values in (r, promise, examination)
    )
    with np.errstate(invalid="ignore"):
        ratio, plain = own / due * due.sum() / own.sum(), own / seen * seen.sum() / own.sum()
    world.ratio = dict(zip(name, ratio.tolist(), strict=True))
    world.plain_ratio = dict(zip(name, plain.tolist(), strict=True))


def _neighbours(world, name, query, shown, r, examination):
    due = r * examination
    above, above_seen = np.cumsum(due, axis=1) - due, np.cumsum(examination, axis=1) - examination
    below = due.sum(axis=1, keepdims=True) - above - due
    below_seen = examination.sum(axis=1, keepdims=True) - above_seen - examination
    table = pl.DataFrame(
        {
            "query": np.repeat(query, SHOWN),
            "document": shown.ravel(),
            "own": due.ravel(),
            "seen": examination.ravel(),
            "above": above.ravel(),
            "above_seen": above_seen.ravel(),
            "below": below.ravel(),
            "below_seen": below_seen.ravel(),
        }
    )
    table = table.filter(pl.col("seen") > 0)
    for row in table.group_by("query", "document").sum().iter_rows(named=True):
        key = (name[row["query"]], f"d{row['document']}")
        rate = row["own"] / row["seen"]
        world.above[key] = _over(rate, row["above"], row["above_seen"], 0.0)
        world.below[key] = _over(rate, row["below"], row["below_seen"], np.inf)


def _over(rate, due, seen, without):
    """The rate over that of other documents; `without` where there are none (but for rounding)."""
    return rate / (due / seen) if seen > 1e-6 else without


def _relevances(world, shown, r, examination):
    seen = np.bincount(shown.ravel(), weights=examination.ravel())
    own = np.bincount(shown.ravel(), weights=(r * examination).ravel())
    overall = own.sum() / seen.sum()
    for number in np.flatnonzero(seen):
        world.relevance[f"d{number}"] = own[number] / seen[number] / overall
