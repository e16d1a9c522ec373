"""Attempts and steps of small logs by hand, and chains of steps by their definition."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import stats

from rankloom.insights import read_searches
from rankloom.insights.outcomes.clusters_of_searches import clusters_of
from rankloom.insights.queries.chains import find_chains
from rankloom.insights.queries.steps import Steps, find_steps

MINUTE = 60_000_000
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def search(name, query, minute, *kinds, session="s", user="u"):
    row = {
        "execution_id": name,
        "query_snapshot": query,
        "session_id": session,
        "user_id": user,
        "feature_id": f"d{query}",
        "position": 0,
        "occurred_at": START + dt.timedelta(minutes=minute),
    }
    return [{**row, "interaction_type": [kind]} for kind in ("impression", *kinds)]


def steps_of(*parts, limit=10):
    searches = read_searches([row for part in parts for row in part], examination=[1.0])
    found = find_steps(searches, clusters_of(searches).codes, limit * MINUTE)
    words = [text.strip('"') for text in searches.query.texts]
    named = [
        (words[a], words[b], failed, served)
        for a, b, failed, served in found.steps.select(
            "from", "to", "from_succeeded", "to_succeeded"
        ).iter_rows()
    ]
    return found, named


def test_a_query_that_follows_in_time_is_a_step():
    found, named = steps_of(
        search("1", "red", 0), search("2", "scarlet", 3, "click"), search("3", "blue", 30)
    )
    assert named == [("red", "scarlet", False, True)]
    assert found.followed.tolist() == [True, False, False]
    assert found.known.all()


def test_repeating_a_query_is_one_attempt():
    found, named = steps_of(
        search("1", "red", 0, "click"), search("2", "red", 2), search("3", "blue", 4)
    )
    assert named == [("red", "blue", True, False)]
    assert found.followed.tolist() == [True, True, False]
    assert len(found.attempts) == 2


def test_visits_are_sessions_else_users():
    other = search("2", "blue", 1, session="t")
    assert steps_of(search("1", "red", 0), other)[1] == []
    parts = [search("1", "red", 0, session=None), search("2", "blue", 1, session=None)]
    assert len(steps_of(*parts)[1]) == 1
    parts = [search(*each, session=None, user=None) for each in (("1", "red", 0), ("2", "blue", 1))]
    found, named = steps_of(*parts)
    assert (named, found.known.any()) == ([], False)


def test_a_persons_habit_counts_once():
    parts = []
    for visit in range(5):
        session = f"s{visit}"
        parts.append(search(f"{visit}a", "red", 60 * visit, session=session))
        parts.append(search(f"{visit}b", "blue", 60 * visit + 1, session=session))
    found, named = steps_of(*parts)
    assert named == [("red", "blue", False, False)]
    assert len(found.attempts) == 2


def random_steps(rng, n=4_000, n_queries=12, extra=0):
    """Steps of persons each, from and to queries by popularity; `extra` ones from 0 to 1."""
    share = rng.dirichlet(np.ones(n_queries))
    start, end = rng.choice(n_queries, (2, n), p=share)
    keep = start != end
    start = np.append(start[keep], np.zeros(extra, int))
    end = np.append(end[keep], np.ones(extra, int))
    table = pl.DataFrame(
        {
            "person": np.arange(len(start)),
            "from": start,
            "to": end,
            "from_succeeded": rng.random(len(start)) < 0.4,
            "to_succeeded": rng.random(len(start)) < 0.4,
        }
    )
    attempts = table.select("person", query="from", succeeded="from_succeeded")
    flags = np.ones(len(start), np.bool_)
    return Steps(attempts, table, flags, flags)


def test_chance_and_lift_are_those_of_independent_steps():
    steps = random_steps(np.random.default_rng(0), extra=300)
    chain = find_chains(steps, 3, 1.0, 0.9).filter((pl.col("from") == 0) & (pl.col("to") == 1))
    table = steps.steps
    start, end = (pl.col(name) for name in ("from", "to"))
    n = table.filter((start == 0) & (end == 1)).height
    of, to = table.filter(start == 0).height, table.filter(end == 1).height
    chance = to / (table.height - table.filter(end == 0).height)
    assert chain["persons"].item() == n
    assert chain["lift"].item() == pytest.approx(n / (of * chance))
    p = stats.binom.sf(n - 1, of, chance) / stats.binom.sf(2, of, chance)
    assert chain["q"].item() == pytest.approx(min(p * find_chains(steps, 3, 1.0, 0.9).height, 1))


def test_p_values_of_random_steps_are_no_smaller_than_chance_has_them():
    """Pairs are looked at only where enough persons took them: p allows for that."""
    p = np.concatenate(
        [
            find_chains(random_steps(np.random.default_rng(seed), 600), 3, 1.0, 0.9)["p"]
            for seed in range(30)
        ]
    )
    error = np.sqrt(0.05 * 0.95 / len(p))
    assert np.mean(p <= 0.05) <= 0.05 + 3 * error
    assert np.mean(p <= 0.005) <= 0.01


def test_no_steps_are_no_chains():
    found, _ = steps_of(search("1", "red", 0))
    assert len(find_chains(found, 3, 2.0, 0.9)) == 0
