"""Sums by query are those of segments, however the rows come and whatever is closed."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom._shared.ids import stable_id
from rankloom.bandit import Evidence
from rankloom.datasets.record.query_keys import canonical_query
from rankloom.errors import InvalidInputError

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ARMS = ["text", "image"]
QUERIES = ["Red  shoes", "blue shoes", '{"query": "hat", "page": 2}', None]


def row(number, query, *, hours=0, types=("impression",), scored=True, **fields):
    """One document; its segment is named for its query."""
    features = {"text": {"score": (number % 3) / 2}, "image": {"score": (number % 5) / 4}}
    fusion = {"weights": {"text": 0.6, "image": 0.4}}
    metadata = {"q": "none" if query is None else canonical_query(query)}
    return {
        "execution_id": f"e{number // 3}",
        "feature_id": f"d{number % 3}",
        "interaction_type": list(types),
        "position": number % 3,
        "feature_uri": ARMS[number % 2],
        "query_snapshot": query,
        "user_id": f"u{number % 4}",
        "timestamp": (NOON + hours * HOUR).isoformat(),
        "metadata": metadata | ({"features": features, "fusion": fusion} if scored else {}),
        **fields,
    }


@st.composite
def logs(draw):
    """Rows of some documents: displays, and rewards of either sign for some."""
    rows = []
    for number in range(draw(st.integers(1, 15))):
        query = QUERIES[number // 3 % len(QUERIES)]
        scored, hours = draw(st.booleans()), draw(st.integers(0, 2_000))
        rows.append(row(number, query, hours=hours, scored=scored))
        reward = draw(st.sampled_from([None, "click", "purchase", "skip"]))
        if reward:
            rows.append(row(number, query, hours=hours + 1, types=[reward], scored=scored))
    return draw(st.permutations(rows))


def evidence_of(rows, **settings):
    evidence = Evidence(ARMS, **{"max_queries": 10, "segment_by": ["q"], **settings})
    if rows:
        evidence.update(rows)
    return evidence


def assert_by_query(evidence, expected=None):
    """The sums by query are those of the segments that are named for them."""
    expected = evidence if expected is None else expected
    time = expected.latest
    keys, sums = evidence.query_sums(time=time)
    queries = [q for q in QUERIES if q is not None]
    ids = {stable_id(canonical_query(q)): ("segment", canonical_query(q)) for q in queries}
    assert (np.diff(keys) > 0).all() if len(keys) > 1 else True
    theirs = expected.sums([ids[key] for key in keys.tolist()], time=time)
    shown = expected.sums([*ids.values()], time=time)
    scores = 0.0 if shown.A is None else shown.A[:, -1, -1]
    assert len(keys) == int(((shown.N.sum(axis=1) > 0) | (scores > 0)).sum())
    for name in "NSFQAb":
        wanted = getattr(theirs, name)
        if wanted is not None:
            np.testing.assert_allclose(getattr(sums, name), wanted, atol=1e-12)


@settings(max_examples=10)
@given(logs(), st.integers(0, 2_000), st.integers(1, 3))
def test_they_are_those_of_segments_in_any_order_batch_and_state_of_compaction(rows, hours, parts):
    whole = evidence_of(rows)
    assert_by_query(whole)
    batches, live = evidence_of([]), evidence_of([])
    for part in range(parts):
        batches.update(rows[part::parts])
    for each in rows:
        live.observe(each, now=NOON)
    batches.update(rows)
    stored = whole.fresh()
    stored.fold_unit_values([unit.value for unit in whole.unit_rows()], whole.segments)
    whole.compact(NOON + hours * HOUR)
    again = Evidence.from_bytes(whole.to_bytes())
    expected = evidence_of(rows)
    for evidence in (batches, live, stored, whole, again, whole.reading_copy()):
        assert_by_query(evidence, expected)
    whole.compact(NOON + 3_000 * HOUR)
    assert_by_query(whole, expected)


@settings(max_examples=10)
@given(logs(), st.integers(0, 3))
def test_shards_merge_in_any_order_and_once(rows, closed):
    """Shards split by execution; some of them are closed."""
    shards = [
        evidence_of([r for r in rows if int(r["execution_id"][1:]) % 3 == part], source=f"s{part}")
        for part in range(3)
    ]
    for shard in shards[:closed]:
        shard.compact(NOON + 3_000 * HOUR)
    expected = evidence_of(rows)
    if not expected.summary.open_units:
        return
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = evidence_of([], source="whole")
        for part in (*order, *order):
            merged.merge(shards[part])
        assert_by_query(merged, expected)


@settings(max_examples=10)
@given(logs())
def test_users_may_go_and_channels_come_and_go(rows):
    evidence = evidence_of(rows)
    expected = evidence_of(rows)
    evidence.compact(NOON + 500 * HOUR)
    evidence.reset_user("u0", at=NOON + 5_000 * HOUR)
    evidence.opt_out("u1")
    evidence.delete_user("u2")
    evidence.add_arm("sound")
    _, sums = evidence.query_sums(time=expected.latest)
    assert not sums.N[:, 2].any()
    assert not sums.A[:, 2].any()
    evidence.remove_arm("sound")
    assert_by_query(evidence, expected)


def test_the_oldest_queries_go_first_and_are_counted():
    rows = [row(3 * n, f"query {n}", hours=n) for n in range(6)]
    evidence = evidence_of(rows, max_queries=2)
    newest = sorted(stable_id(canonical_query(f"query {n}")) for n in (4, 5))
    assert evidence.query_sums()[0].tolist() == newest
    evidence.compact(NOON + 3 * HOUR)
    assert evidence.summary.queries == 2
    assert evidence.summary.queries_dropped == 1
    evidence.compact(NOON + 100 * HOUR)
    assert evidence.query_sums()[0].tolist() == newest
    assert (evidence.summary.queries, evidence.summary.queries_dropped) == (2, 4)
    again = Evidence.from_bytes(evidence.to_bytes())
    assert again.max_queries == 2
    assert again.summary == evidence.summary


def test_without_a_limit_nothing_is_read_or_stored_of_queries():
    rows = [row(n, QUERIES[n % 3]) for n in range(9)]
    plain = evidence_of(rows, max_queries=0, source="s")
    unnamed = evidence_of([r | {"query_snapshot": None} for r in rows], max_queries=0, source="s")
    assert plain.to_bytes() == unnamed.to_bytes()
    assert plain.unit_rows() == unnamed.unit_rows()
    assert len(plain.query_sums()[0]) == 0
    plain.max_queries = 5
    plain.update(rows)
    assert len(plain.query_sums()[0]) == 3


def test_rows_that_disagree_on_the_query_fold_by_maximum():
    rows = [row(0, "a"), row(0, "b"), row(0, None)]
    one, other = evidence_of(rows), evidence_of(rows[::-1])
    assert one.query_sums()[0].tolist() == other.query_sums()[0].tolist()
    assert len(one.query_sums()[0]) == 1


@pytest.mark.parametrize("limit", [-1, 1.5, None, "many"])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(InvalidInputError, match="max_queries: expected a whole number"):
        Evidence(ARMS, max_queries=limit)
