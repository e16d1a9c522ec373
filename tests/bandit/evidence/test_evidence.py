"""Evidence is a fold: order, batches, shards, resends and kinds of source change nothing."""

import datetime as dt
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.bandit.base.rewards import DEFAULT_REWARDS
from rankloom.bandit.evidence.evidence import Evidence

ARMS = ("mixpeek://text", "mixpeek://image", "mixpeek://audio")
START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
HALF_LIFE = 30.0
SEGMENTS = [("segment", "de", "phone"), ("segment", "fr", "desk"), ("segment", "de", "desk")]
CONTEXTS = [(), *SEGMENTS, *(("user", f"u{i}") for i in range(40)), ("user", "unknown")]
LIST_LEVEL = {"query_refinement", "zero_results", "filter_toggle"}
TYPE_SETS = [
    *(["impression"] for _ in range(6)),
    ["impression", "click"],
    ["click"],
    ["click", "purchase"],
    ["skip"],
    ["view"],
    ["negative_feedback"],
    ["dwell"],
    ["query_refinement"],
    ["add_to_cart", "return_to_results"],
]


def microseconds(event):
    moment = dt.datetime.fromisoformat(event.get("occurred_at") or event["timestamp"])
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def make_events(n, seed, *, scores=True):
    """Rows as a log holds them: late, incomplete, contradictory, with unknown channels."""
    rng = np.random.default_rng(seed)
    events = []
    for _ in range(n):
        execution = int(rng.integers(n // 8 + 1))
        # A row may leave out what belongs to its execution, but never contradicts it.
        own = np.random.default_rng(execution)
        day, user, session = own.uniform(0, 200), own.integers(40), own.integers(60)
        segment, channels = SEGMENTS[own.integers(3)], own.integers(4)
        document = int(rng.integers(6))
        at = START + dt.timedelta(days=float(day), microseconds=int(rng.integers(10**9)))
        event = {
            "execution_id": f"e{execution}",
            "feature_id": f"d{document}",
            "interaction_type": TYPE_SETS[rng.integers(len(TYPE_SETS))],
            "position": document if rng.random() < 0.95 else int(rng.integers(20)),
            "timestamp": at.isoformat(),
        }
        if rng.random() < 0.2:
            event["occurred_at"] = (at - dt.timedelta(days=float(rng.exponential(4)))).isoformat()
        if rng.random() < 0.8:
            event["user_id"] = f"u{user}"
        if rng.random() < 0.8:
            event["session_id"] = f"s{session}"
        if rng.random() < 0.9:
            event["feature_uri"] = [*ARMS, "mixpeek://gone"][rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])]
        metadata = {}
        if rng.random() < 0.7:
            metadata |= {"country": segment[1], "device": segment[2]}
        if scores and rng.random() < 0.4:
            found = {uri: {"score": float(rng.uniform(-0.2, 1))} for uri in ARMS[:channels]}
            metadata["features"] = found
            if rng.random() < 0.7:
                metadata["fusion"] = {"weights": {uri: float(rng.random()) for uri in ARMS}}
        if metadata:
            event["metadata"] = metadata
        events.append(event)
    return events


def new_evidence(**settings):
    return Evidence(
        ARMS, **{"half_life": HALF_LIFE, "segment_by": ("country", "device"), **settings}
    )


# The oracle: the definition in plain Python, one unit and one number at a time.


def oracle_units(events):
    units = {}
    for event in sorted(events, key=microseconds):
        types = set(event["interaction_type"])
        if types <= LIST_LEVEL:
            continue
        at = microseconds(event)
        unit = units.setdefault(
            (event["execution_id"], event["feature_id"]),
            {"first": (math.inf, 0), "r+": 0.0, "r-": 0.0, "shown": False, "arms": set()}
            | {"user": None, "segment": None, "x": {}, "wx": {}},
        )
        unit["first"] = min(unit["first"], (at, event["position"]))
        rewards = [DEFAULT_REWARDS.get(name, 0.0) / 3.0 for name in types]
        unit["r+"] = max(unit["r+"], *rewards)
        unit["r-"] = max(unit["r-"], *(-r for r in rewards))
        unit["shown"] |= bool(types & {"impression", "view"})
        if event.get("feature_uri") in ARMS:
            unit["arms"].add(event["feature_uri"])
        metadata = event.get("metadata", {})
        unit["user"] = event.get("user_id", unit["user"])
        if "country" in metadata:
            unit["segment"] = ("segment", metadata["country"], metadata["device"])
        weights = metadata.get("fusion", {}).get("weights", {})
        for uri, value in metadata.get("features", {}).items():
            x = value["score"]
            unit["x"][uri] = max(unit["x"].get(uri, -math.inf), x)
            if uri in weights:
                unit["wx"][uri] = max(unit["wx"].get(uri, -math.inf), x * weights[uri])
    return units


def oracle_sums(events, contexts, time, *, shared=True, examination=lambda k: 1 / (k + 1)):
    arms = len(ARMS)
    sums = {name: np.zeros((len(contexts), arms)) for name in "NSFQ"}
    A, b = np.zeros((len(contexts), arms + 1, arms + 1)), np.zeros((len(contexts), arms + 1))
    for unit in oracle_units(events).values():
        if not unit["shown"]:
            continue
        (at, position), e = unit["first"], 0.0
        e = examination(position)
        decay = 2.0 ** (-(time - at) / (HALF_LIFE * 86_400_000_000))
        parts = {uri: max(value, 0.0) for uri, value in unit["wx"].items()}
        total = sum(parts.values())
        if shared and total > 0:
            shares = {uri: part / total for uri, part in parts.items()}
        else:
            shares = dict.fromkeys(unit["arms"], 1.0)
        mine = [(), unit["segment"], unit["user"] and ("user", unit["user"])]
        for row in (i for i, context in enumerate(contexts) if context in mine):
            for uri, share in shares.items():
                w, j = decay * share, ARMS.index(uri)
                sums["N"][row, j] += w * e
                sums["S"][row, j] += w * unit["r+"]
                sums["F"][row, j] += w * unit["r-"]
                sums["Q"][row, j] += w * w * e
            if unit["x"] and contexts[row][:1] != ("user",):
                z = np.array([*(unit["x"].get(uri, 0.0) for uri in ARMS), 1.0])
                A[row] += decay * e * np.outer(z, z)
                b[row] += decay * z * (unit["r+"] - unit["r-"])
    return sums, A, b


def assert_same(left, right):
    """Equal to 1e-9 relative, in every context and every sum."""
    assert left.time == right.time
    assert left.arms == right.arms
    for name in ("N", "S", "F", "Q", "A", "b"):
        np.testing.assert_allclose(
            getattr(left, name), getattr(right, name), rtol=1e-9, atol=1e-300, err_msg=name
        )


def test_sums_are_those_of_the_definition():
    events = make_events(3_000, seed=1)
    evidence = new_evidence()
    report = evidence.update(events)
    sums = evidence.sums(CONTEXTS)
    expected, A, b = oracle_sums(events, CONTEXTS, sums.time)
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(sums, name), values, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(sums.A, A, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sums.b, b, rtol=1e-9, atol=1e-12)
    units = oracle_units(events)
    assert report.units_opened == len(units)
    assert report.units_without_exposure == sum(not unit["shown"] for unit in units.values())
    assert report.list_level == sum(set(e["interaction_type"]) <= LIST_LEVEL for e in events)
    assert report.rows_used == report.rows - report.list_level


@pytest.mark.parametrize("credit", ["named", "shared"])
def test_credit_goes_to_the_channels_of_the_setting(credit):
    events = make_events(600, seed=2)
    evidence = new_evidence(credit=credit)
    evidence.update(events)
    sums = evidence.sums()
    expected, _, _ = oracle_sums(events, sums.contexts, sums.time, shared=credit == "shared")
    np.testing.assert_allclose(sums.N, expected["N"], rtol=1e-9)
    np.testing.assert_allclose(sums.S, expected["S"], rtol=1e-9)


EVENTS = make_events(4_000, seed=3)


@pytest.fixture(scope="module")
def in_order():
    evidence = new_evidence()
    evidence.update(sorted(EVENTS, key=microseconds))
    return evidence


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), batches=st.integers(1, 6), resent=st.floats(0, 0.5))
def test_any_order_batches_and_resends_give_the_same_sums(in_order, seed, batches, resent):
    rng = np.random.default_rng(seed)
    again = rng.choice(len(EVENTS), int(resent * len(EVENTS)))
    order = rng.permutation(np.concatenate([np.arange(len(EVENTS)), again]))
    evidence = new_evidence()
    for part in np.array_split(order, batches):
        if rng.random() < 0.3:
            for i in part[:1000]:
                evidence.observe(EVENTS[i], now=START)
            part = part[1000:]  # noqa: PLW2901 - the rest of it comes as a batch
        evidence.update([EVENTS[i] for i in part])
    assert_same(evidence.sums(CONTEXTS), in_order.sums(CONTEXTS))


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), compacted=st.booleans())
def test_any_split_over_shards_by_execution_gives_the_same_sums(in_order, seed, compacted):
    rng = np.random.default_rng(seed)
    shard_of = {e["execution_id"]: int(rng.integers(8)) for e in EVENTS}
    shards = [new_evidence(source=f"shard-{i}") for i in range(8)]
    for shard, evidence in enumerate(shards):
        mine = [event for event in EVENTS if shard_of[event["execution_id"]] == shard]
        evidence.update([mine[i] for i in rng.permutation(len(mine))])
        if compacted:
            evidence.compact(START + dt.timedelta(days=float(rng.uniform(0, 250))))
    whole = new_evidence(source="whole")
    for i in [*rng.permutation(8), *rng.integers(8, size=4)]:
        whole.merge(shards[i])
    assert_same(whole.sums(CONTEXTS), in_order.sums(CONTEXTS))


def test_merging_is_commutative_and_associative():
    parts = []
    for i in range(3):
        part = new_evidence(source=f"s{i}")
        part.update([e for e in EVENTS[:2000] if int(e["execution_id"][1:]) % 3 == i])
        part.compact(START + dt.timedelta(days=60 * i))
        parts.append(part)

    def merged(*order):
        into = Evidence.from_bytes(parts[order[0]].to_bytes())
        for i in order[1:]:
            into.merge(parts[i])
        return into

    whole = merged(0, 1, 2)
    assert_same(merged(2, 1, 0).sums(CONTEXTS), whole.sums(CONTEXTS))
    nested = Evidence.from_bytes(parts[0].to_bytes())
    nested.merge(merged(2, 1))
    assert_same(nested.sums(CONTEXTS), whole.sums(CONTEXTS))
    assert nested.summary.compacted_before == START + dt.timedelta(days=120)


def test_merging_a_shard_twice_changes_nothing():
    shard, whole = new_evidence(source="shard"), new_evidence(source="whole")
    shard.update(EVENTS[:1000])
    shard.compact(START + dt.timedelta(days=100))
    first = whole.merge(shard)
    before = whole.to_bytes()
    assert first.units_closed > 0
    assert first.units_opened > 0
    assert whole.merge(shard) == (0, 0, 0, 0)
    assert whole.to_bytes() == before


def test_merging_a_state_into_itself_changes_nothing():
    evidence = new_evidence(source="s")
    evidence.update(EVENTS[:500])
    evidence.compact(START + dt.timedelta(days=100))
    before = evidence.to_bytes()
    assert evidence.merge(evidence) == (0, 0, 0, 0)
    assert evidence.to_bytes() == before


def test_the_bytes_of_a_state_do_not_depend_on_the_order_of_its_events():
    left, right = new_evidence(source="s"), new_evidence(source="s")
    left.update(EVENTS[:2000])
    for event in reversed(EVENTS[:2000]):
        # A live observation sets a flag of the unit, as it moves its session.
        right.observe({**event, "occurred_at": event.get("occurred_at", event["timestamp"])})
    assert left.to_bytes() == right.to_bytes()


def test_after_a_drift_late_events_give_the_state_of_those_in_order():
    """30 % of the events come late, by four days on average; a channel flips half-way."""
    rng = np.random.default_rng(5)
    events = []
    for i in range(4_000):
        day = i / 20
        best = ARMS[0] if i < 2_000 else ARMS[1]
        uri = ARMS[rng.integers(2)]
        clicked = rng.random() < (0.6 if uri == best else 0.1)
        at = START + dt.timedelta(days=day)
        late = rng.exponential(4) if rng.random() < 0.3 else 0.0
        event = {
            "execution_id": f"e{i}",
            "feature_id": "d",
            "position": 0,
            "feature_uri": uri,
            "interaction_type": ["impression", "purchase"] if clicked else ["impression"],
            "occurred_at": at.isoformat(),
            "timestamp": (at + dt.timedelta(days=late)).isoformat(),
        }
        events.append(event)
    by_arrival = sorted(events, key=lambda e: e["timestamp"])
    assert by_arrival != events
    arrived, ordered = new_evidence(), new_evidence()
    for part in np.array_split(np.arange(4_000), 40):
        arrived.update([by_arrival[i] for i in part])
    ordered.update(events)
    # No scores are logged, so there are no A and b.
    left, right = arrived.sums([()]), ordered.sums([()])
    for name in "NSFQ":
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-9)
    rates = left.S[0] / np.maximum(left.N[0], 1e-9)
    assert rates[1] > rates[0]
    half_way = START + dt.timedelta(days=100)
    early = new_evidence()
    early.update([e for e in events if e["occurred_at"] < half_way.isoformat()])
    before = early.sums([()])
    assert before.S[0, 0] / before.N[0, 0] > before.S[0, 1] / before.N[0, 1]


def test_a_reading_copy_has_the_sums_of_its_moment():
    """What is folded afterwards, channels and segments too, is not in it."""
    evidence = new_evidence()
    evidence.update(EVENTS[:1000])
    copy, before, segments = evidence.reading_copy(), evidence.sums(CONTEXTS), evidence.segments
    more = {"country": "it", "device": "phone"}
    evidence.update([{**each, "metadata": more} for each in EVENTS[1000:1200]])
    evidence.add_arm("video")
    assert_same(copy.sums(CONTEXTS), before)
    assert copy.segments == segments != evidence.segments
    assert evidence.sums([()]).N.sum() > before.N[0].sum()


def test_events_are_plain_json():
    """The generator makes rows as a log holds them."""
    assert json.loads(json.dumps(EVENTS[0])) == EVENTS[0]
