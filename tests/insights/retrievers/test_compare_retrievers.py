"""Retrievers compared: planted truth is found, traffic that differs is named and allowed for."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom.errors import InvalidInputError
from rankloom.insights import compare_retrievers, read_searches
from tests.insights.worlds import CURVE, world


def compared(frame, **options):
    return compare_retrievers(frame, baseline="old", examination=CURVE, **options)


def difference(found, metric="engagements", adjusted_for=""):
    rows = found.differences.filter(metric=metric, adjusted_for=adjusted_for)
    assert len(rows) == 1
    return rows.to_dicts()[0]


def test_values_are_those_of_a_group_by():
    frame = world(0, searches=600)
    found = compared(frame)
    clicks = frame.with_columns(pl.col("interaction_type").list.contains("click").alias("click"))
    by_search = clicks.group_by("execution_id", "retriever_id").agg(pl.col("click").sum())
    for name in ("old", "new"):
        own = by_search.filter(retriever_id=name)
        row = found.metrics.filter(retriever=name, metric="engagements").to_dicts()[0]
        assert row["value"] == pytest.approx(own["click"].mean())
        assert row["searches"] == len(own)
        engaged = found.metrics.filter(retriever=name, metric="engaged_searches")["value"][0]
        abandoned = found.metrics.filter(retriever=name, metric="abandonment")["value"][0]
        assert engaged == pytest.approx((own["click"] > 0).mean())
        assert engaged + abandoned == pytest.approx(1)
        counts = found.retrievers.filter(retriever=name).to_dicts()[0]
        assert counts["users"] == frame.filter(retriever_id=name)["user_id"].n_unique()


def test_a_better_retriever_is_found_and_an_equal_one_is_not():
    better = compared(world(1, users=2000, searches=20_000, lift=0.15, by_user=False))
    assert difference(better)["verdict"] == "better"
    assert difference(better, "abandonment")["verdict"] == "better"
    assert difference(better, "corrected_engagements")["relative"] == pytest.approx(0.15, abs=0.06)
    equal = compared(world(2, searches=4000, by_user=False))
    assert set(equal.differences["verdict"]) == {"no difference shown"}
    assert equal.warnings == []


def test_false_verdicts_stay_rare_and_the_intervals_cover():
    """A/A by user: over 15 worlds at most 2 of the sequential verdicts are wrong."""
    verdicts = covered = 0
    for seed in range(15):
        row = difference(compared(world(seed, users=250, searches=1500)), "engaged_searches")
        verdicts += row["verdict"] != "no difference shown"
        covered += row["lower"] <= 0 <= row["upper"]
    assert verdicts <= 2
    assert covered >= 11


def test_other_queries_are_named_and_allowed_for():
    def better_queries_for_new(rng, new):
        return np.where(new, rng.integers(4, 12, len(new)), rng.integers(0, 8, len(new)))

    found = compared(world(3, searches=6000, by_user=False, query_of=better_queries_for_new))
    assert any("were not given the same queries" in text for text in found.warnings)
    plain, same = difference(found), difference(found, adjusted_for="query")
    assert plain["verdict"] == "not comparable"
    assert plain["lower"] > 0
    assert same["verdict"] == "no difference shown"
    assert same["lower"] <= 0 <= same["upper"]
    assert 0.4 < same["share_of_searches"] < 0.65


def test_other_days_are_named_and_allowed_for():
    def new_comes_late(rng, new):
        late = 14 + rng.integers(0, 14, len(new))
        return np.where(new | (rng.random(len(new)) < 0.3), late, rng.integers(0, 28, len(new)))

    frame = world(4, searches=8000, by_user=False, day_of=new_comes_late, steps=[(14, 1.4)])
    found = compared(frame)
    assert any("did not serve the same days" in text for text in found.warnings)
    assert difference(found)["lower"] > 0
    assert difference(found, adjusted_for="day")["verdict"] == "no difference shown"


def test_a_retriever_that_wears_off_drifts():
    frame = world(5, users=3000, searches=16_000, by_user=False)
    late_and_new = (pl.col("retriever_id") == "new") & (pl.col("occurred_at").dt.day() > 18)
    kinds = pl.when(late_and_new).then(pl.lit(["impression"])).otherwise("interaction_type")
    found = compared(frame.with_columns(kinds.alias("interaction_type")))
    drift = found.drift.filter(metric="engagements").to_dicts()[0]
    assert drift["p_adjusted"] < 1e-6
    assert drift["upper"] < 0
    steady = compared(frame).drift.filter(metric="engagements").to_dicts()[0]
    assert steady["p"] > 0.01
    assert found.over_time["period"].n_unique() == 28


def test_latencies_are_compared_by_quantile():
    found = compared(world(6, searches=1500, latency=True), latency_field="latency_ms")
    row = difference(found, "latency_p50")
    assert row["difference"] == pytest.approx(-20, abs=6)
    assert row["verdict"] == "better"
    assert found.metrics.filter(metric="latency_p99")["value"].min() > 100


def test_several_retrievers_are_allowed_for():
    frame = world(7, searches=3000).with_columns(
        ("v" + (pl.col("user_id").hash(7) % 6).cast(pl.String)).alias("version")
    )
    found = compare_retrievers(frame, by="version", examination=CURVE)
    assert len(found.retrievers) == 6
    assert found.retrievers["searches"][0] == found.retrievers["searches"].max()
    own = found.differences.filter(metric="engagements").sort("p")
    assert own["p_adjusted"][0] == pytest.approx(min(own["p"][0] * 5, 1))
    none = compare_retrievers(frame, by="version", examination=CURVE, adjust="none").differences
    assert none["p"].equals(none["p_adjusted"])


def test_nothing_depends_on_the_order_of_the_rows():
    frame = world(8, searches=400)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    first, other = compared(frame), compared(shuffled)
    keys = ["retriever", "metric", "adjusted_for"]
    a, b = (found.differences.sort(keys) for found in (first, other))
    assert a.select(keys).equals(b.select(keys))
    assert np.allclose(a["difference"], b["difference"])
    assert np.allclose(a["lower"], b["lower"], equal_nan=True)


def test_what_is_missing_is_said():
    frame = world(9, searches=300)
    bare = compare_retrievers(
        frame.drop("user_id", "retriever_id", "occurred_at"), examination=CURVE
    )
    notes = " ".join(bare.notes)
    assert "300 searches are not compared: no retriever_id" in notes
    assert "log retriever_id" in notes
    assert bare.baseline is None
    assert bare.differences.is_empty()
    found = compared(frame.drop("user_id", "occurred_at"))
    assert "log user_id" in " ".join(found.notes)
    assert "log occurred_at" in " ".join(found.notes)
    assert found.clustered_by == "search"
    assert found.over_time.is_empty()
    assert found.drift.is_empty()


def test_few_users_have_no_verdict():
    found = compared(world(10, users=6, searches=2000, lift=3.0, by_user=False))
    assert "no verdict yet" in " ".join(found.notes)
    assert difference(found)["verdict"] == "no difference shown"


def test_everything_is_plain_and_readable():
    found = compared(world(11, searches=300, latency=True), latency_field="latency_ms")
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["baseline"] == "old"
    assert document["over_time"][0]["period"].endswith("Z")
    text = repr(found)
    assert "new engagements: " in text
    assert "intervals by user" in text


def test_searches_that_were_read_already_are_compared_alike():
    frame = world(12, searches=300, latency=True)
    searches = read_searches(frame, examination=CURVE, context=["latency_ms"])
    direct = compared(frame, latency_field="latency_ms")
    again = compare_retrievers(searches, baseline="old", latency_field="latency_ms")
    assert again.differences.equals(direct.differences)
    with pytest.raises(InvalidInputError, match="version: the source was read without it"):
        compare_retrievers(searches, by="version")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "odl"}, "baseline: no retriever_id 'odl'.*Did you mean 'old'"),
        ({"by": "pipeline"}, "'pipeline' is neither a column nor a field of metadata"),
        ({"by": ""}, "by: expected the name"),
        ({"confidence": 1.0}, "confidence"),
        ({"expected_effect": 0}, "expected_effect"),
        ({"adjust": "hlm"}, "adjust: .*Did you mean 'holm'"),
        ({"balance": "device"}, "balance: expected a sequence"),
        ({"every": "1x"}, "every: expected a length"),
    ],
)
def test_wrong_parameters_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        compare_retrievers(world(13, searches=60), examination=CURVE, **options)
