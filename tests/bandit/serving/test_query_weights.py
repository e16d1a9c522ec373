"""Weights of queries: served from memory, from a watched store and from a file."""

import datetime as dt

import numpy as np
import pytest

from rankloom.bandit import Evidence, FusionBandit, FusionWeights, open_store
from rankloom.errors import InvalidInputError

ARMS = ["text", "image"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
BEST = {"red shoes": 0, "a hat": 1, "socks": 0}
"""The channel whose scores are worth something, by query."""


def rows(query, count=120, *, scored=True, at=NOW, start=0):
    for n in range(start, start + count):
        x = np.random.default_rng(n).random(2)
        clicked = np.random.default_rng(n + 9_000).random() < 0.1 + 0.8 * x[BEST[query]]
        features = {arm: {"score": score} for arm, score in zip(ARMS, x.tolist(), strict=True)}
        fusion = {"weights": {"text": 0.5, "image": 0.5}}
        yield {
            "execution_id": f"{query}/{n // 4}",
            "feature_id": f"d{n}",
            "interaction_type": ["impression", "purchase"] if clicked else ["impression"],
            "position": 0,
            "feature_uri": ARMS[int(x[1] > x[0])],
            "query_snapshot": {"query": query, "page": n % 3},
            "timestamp": at.isoformat(),
            "metadata": {"features": features, "fusion": fusion} if scored else {},
        }


def every(**options):
    return [row for query in BEST for row in rows(query, **options)]


def snapshot_of(query):
    return {"query": query}


@pytest.mark.parametrize("scored", [False, True])
def test_a_query_gets_the_channel_that_its_clicks_speak_for(scored):
    bandit = FusionBandit(ARMS, max_queries=10)
    bandit.update(every(scored=scored, count=400))
    for query, best in BEST.items():
        gained = bandit.mean(query=snapshot_of(query))[ARMS[best]] - bandit.mean()[ARMS[best]]
        assert gained > 0.03
        served = bandit.sample(session_id="s", query=snapshot_of(query))
        assert served[ARMS[best]] > bandit.sample(session_id="s")[ARMS[best]]


def test_a_query_is_named_as_it_is_logged():
    bandit = FusionBandit(ARMS, max_queries=10)
    bandit.update(every())
    named = [{"query": "red shoes"}, '{"query": "Red  SHOES", "page": 7}', {"query": " red shoes"}]
    weights = [bandit.mean(query=query) for query in named]
    assert weights[0] == weights[1] == weights[2] != bandit.mean()
    for unknown in (None, "", "red shoes", {"query": "trousers"}):
        assert bandit.mean(query=unknown) == bandit.mean()
        assert bandit.sample(user_id="u", query=unknown) == bandit.sample(user_id="u")
    for wrong in (7, ["red shoes"], b"red shoes"):
        with pytest.raises(InvalidInputError, match="query: expected text or a mapping"):
            bandit.mean(query=wrong)


def test_an_explanation_names_the_query_and_its_evidence():
    bandit = FusionBandit(ARMS, max_queries=10)
    bandit.update([{**row, "user_id": f"u{n % 3}"} for n, row in enumerate(every())])
    why = bandit.explain(query=snapshot_of("a hat"))
    assert (why.level, why.context) == ("query", ("query", '{"query":"a hat"}'))
    assert why.query_exposures == 120.0
    assert why.prior_strength == bandit.posterior.get().posterior.query_level.slope_strength
    means = bandit.mean(query=snapshot_of("a hat"))
    assert {arm.feature_uri: arm.weight for arm in why.arms} == means
    plain = {arm.feature_uri: arm.slope for arm in bandit.explain().arms}
    slopes = {arm.feature_uri: arm.slope for arm in why.arms}
    assert slopes["image"] > plain["image"]
    assert 'query {"query":"a hat"}' in str(why)
    both = bandit.explain(query=snapshot_of("a hat"), user_id="u1")
    assert both.level == "user"
    assert "query: 120.0 documents examined for it" in str(both)
    assert bandit.explain(query="unknown").level == "global"


def test_a_file_knows_how_queries_differ_and_takes_their_sums(tmp_path):
    bandit = FusionBandit(ARMS, max_queries=10)
    bandit.update(every())
    made, query = bandit.snapshot(), snapshot_of("a hat")
    made.save(tmp_path / "weights.json")
    loaded = FusionWeights.load(tmp_path / "weights.json")
    assert made.mean(query=query) == bandit.mean(query=query)
    assert made.sample(session_id="s", query=query) == bandit.sample(session_id="s", query=query)
    assert loaded.mean(query=query) == loaded.mean()
    assert loaded.mean(query=made.queries.find(query)) == made.mean(query=query)
    assert loaded.to_json() == made.to_json()


def test_a_store_serves_what_was_published_and_forgets_what_is_dropped(store_url, namespace):
    query = snapshot_of("a hat")
    with open_store(store_url, namespace=namespace) as store:
        bandit = FusionBandit(ARMS, namespace=namespace, store=store, max_queries=2)
        bandit.update([*rows("a hat", at=NOW - DAY), *rows("red shoes")])
        bandit.publish()
        assert len(store.backend.served_queries()) == 2
        with FusionWeights.watch(store, ARMS, every=600) as weights:
            expected = bandit.mean(query=query)
            assert weights.mean(query=query) == pytest.approx(expected, abs=1e-12)
            assert weights.mean(query=query) != weights.mean()
            alone = store.personal_sums(query=query)
            assert (alone.user, alone.session) == (None, None)
            assert alone.query.N.sum() > 0
            # Other channels in another order than those of the snapshot: their sums mean others.
            assert store.personal_sums(query=query, arms=["image", "text"]).query is None
            table = bandit.snapshot().queries
            assert store.put_queries(table.sums, table.arms) == 0
            bandit.update(rows("socks", at=NOW + DAY))
            assert store.put_queries(bandit.snapshot().queries.sums, ARMS) == 2
            bandit.publish()
            weights.refresh()
            assert weights.mean(query=query) == weights.mean()
            socks = snapshot_of("socks")
            assert weights.mean(query=socks) == pytest.approx(bandit.mean(query=socks), abs=1e-12)
        store.clear(keep_resets=True)
        assert len(store.backend.served_queries()) == 2
        store.clear()
        assert store.backend.served_queries() == {}


def test_closed_sums_of_queries_live_in_the_store(store_url, namespace):
    """Compaction, another process, a merge, channels and the limit."""
    expected = Evidence(ARMS, max_queries=9, retriever_id="r")
    expected.update(every())
    options = {"namespace": namespace, "retriever_id": "r"}
    with open_store(store_url, **options) as store:
        bandit = FusionBandit(ARMS, store=store, max_queries=9, **options)
        bandit.update(every())
        assert bandit.compact(NOW + DAY) == 360
        shard = bandit.evidence.fresh("shard")
        for evidence in (
            bandit.evidence,
            store.load(),
            FusionBandit(ARMS, store=store, **options).evidence,
        ):
            assert evidence.max_queries == 9
            assert_same(evidence, expected)
        store.merge(shard)
        assert_same(store.load(), expected)
        bandit.delete_user("u1")
        assert_same(store.load(), expected)
        bandit.add_arm("sound")
        later = list(rows("socks", at=NOW + 2 * DAY, start=500))
        bandit.update([{**row, "feature_uri": "sound"} for row in later])
        bandit.compact(NOW + 3 * DAY)
        bandit.remove_arm("sound")
        expected.add_arm("sound")
        expected.update([{**row, "feature_uri": "sound"} for row in later])
        expected.remove_arm("sound")
        assert_same(store.load(), expected)
        store.set_max_queries(1)
        assert len(store.load().query_sums()[0]) == 1
        assert store.load().summary.queries_dropped == 2
        store.set_max_queries(0)
        assert store.load().summary.queries == 0
        store.clear()


def assert_same(ours, theirs):
    (keys, left), (others, right) = (each.query_sums(time=NOW + 5 * DAY) for each in (ours, theirs))
    assert keys.tolist() == others.tolist()
    for name in "NSFQAb":
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-9)


def test_a_state_of_before_queries_goes_on_with_them(store_url, namespace):
    """Its weights stay as they were; rows that come from now on count for their query."""
    with open_store(store_url, namespace=namespace) as store:
        before = FusionBandit(ARMS, namespace=namespace, store=store)
        before.update(every())
        before.compact(NOW + DAY)
        plain = before.mean()
        assert FusionBandit(ARMS, namespace=namespace, store=store).evidence.max_queries == 0
        after = FusionBandit(ARMS, namespace=namespace, store=store, max_queries=5)
        assert after.mean() == plain
        assert after.mean(query=snapshot_of("a hat")) == plain
        after.update(rows("a hat", at=NOW + 2 * DAY, start=300))
        assert after.mean(query=snapshot_of("a hat"))["image"] > after.mean()["image"]
        assert after.mean(query=snapshot_of("socks")) == after.mean()
        store.clear()
