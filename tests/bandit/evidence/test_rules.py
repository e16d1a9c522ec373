"""What a unit is, what counts, what is refused, and for which ranges numbers are exact."""

import datetime as dt
import itertools
import json
import math

import numpy as np
import polars as pl
import pytest

from rankloom.bandit import EventColumns
from rankloom.bandit.base.rewards import RewardTable
from rankloom.bandit.evidence.evidence import Evidence
from rankloom.errors import InvalidInputError, StateMismatchError

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
US = dt.timedelta(microseconds=1)


def row(document="d", types=("impression",), **fields):
    return {
        "execution_id": "e",
        "feature_id": document,
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": "text",
        "timestamp": NOON.isoformat(),
        **fields,
    }


def evidence_of(rows, **settings):
    """Fold rows as a batch and one by one; both must agree."""
    batch, live = Evidence(["text", "image"], **settings), Evidence(["text", "image"], **settings)
    batch.update(rows)
    for each in rows:
        live.observe(each, now=NOON)
    left, right = batch.sums(), live.sums()
    for name in "NSFQ":
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    return batch


def totals(evidence):
    sums = evidence.sums([()])
    return tuple(float(part[0, 0]) for part in (sums.N, sums.S, sums.F, sums.Q))


def test_a_unit_counts_its_highest_reward_of_each_sign_once():
    rows = [
        row(),
        row(types=["click"]),
        row(types=["click"]),
        row(types=["add_to_cart", "skip"]),
        row(types=["negative_feedback"]),
    ]
    assert totals(evidence_of(rows)) == (1.0, 2 / 3, 2 / 3, 1.0)


def test_a_unit_has_the_time_and_position_of_its_first_row():
    later = (NOON + DAY).isoformat()
    rows = [
        row(types=["impression", "purchase"], position=7, timestamp=later),
        row(position=3),
        # Another unit sets the reference time a day later.
        row("other", feature_uri="image", timestamp=later),
    ]
    evidence = evidence_of(rows, half_life=1.0)
    assert totals(evidence) == (0.5 / 4, 0.5, 0.0, 0.25 / 4)


def test_rows_of_one_moment_take_the_lower_position():
    assert totals(evidence_of([row(position=4), row(position=1)]))[0] == 0.5
    assert totals(evidence_of([row(position=1), row(position=4)]))[0] == 0.5


FOUND_BY_TWO = [
    row(),
    row(feature_uri="image", timestamp=(NOON + DAY).isoformat()),
    row(types=["click"], feature_uri="image"),
    row(types=["purchase"], feature_uri=None),
    row(types=["click"], feature_uri="mixpeek://unknown"),
]


def test_every_channel_that_found_a_document_gets_its_credit_in_any_order():
    """Each named channel gets the display and the reward once, at once or row by row."""
    for rows in itertools.islice(itertools.permutations(FOUND_BY_TWO), 0, None, 5):
        evidence = evidence_of(list(rows))
        sums = evidence.sums()
        assert (sums.N.tolist(), sums.S.tolist()) == ([[1.0, 1.0]], [[1.0, 1.0]])
        assert evidence.summary.open_units == 1
        assert evidence.update(list(rows)).rows_changing == 0


def test_a_further_channel_changes_a_unit_once():
    evidence = evidence_of([row()])
    assert evidence.update([row(feature_uri="image")] * 3).rows_changing == 1
    assert evidence.update([row(), row(feature_uri="image")]).rows_changing == 0


def test_channels_of_a_document_survive_merges_stores_files_and_removal():
    text, image = evidence_of([row()]), evidence_of([row(feature_uri="image")])
    other = Evidence(["image", "audio", "text"], retriever_id=text.identity.retriever_id)
    other.update([row(feature_uri="audio")])
    expected = {"text": 1.0, "image": 1.0, "audio": 1.0}
    for parts in itertools.permutations([text, image, other]):
        merged = parts[0].fresh()
        for part in parts:
            merged.merge(part)
        stored = merged.fresh()
        stored.add_arm(*merged.arms)
        stored.fold_unit_values([unit.value for unit in merged.unit_rows()])
        for evidence in (merged, stored, Evidence.from_bytes(merged.to_bytes())):
            assert dict(zip(evidence.arms, evidence.sums().N[0].tolist(), strict=True)) == expected
        merged.remove_arm("image")
        assert merged.sums().N.tolist() == [[1.0, 1.0]]
        merged.remove_arm("audio")
        assert merged.sums().N.tolist() == [[1.0]]
        merged.compact(NOON + DAY)
        assert merged.sums().N.tolist() == [[1.0]]


def test_a_shard_that_knows_further_channels_is_merged_with_its_closed_sums():
    one, other = Evidence(["text"]), Evidence(["image", "text"])
    one.update([row()])
    other.update([row("other", feature_uri="image"), row("third")])
    for evidence in (one, other):
        evidence.compact(NOON + DAY)
    one.merge(other)
    for evidence in (one, Evidence.from_bytes(one.to_bytes())):
        assert (evidence.arms, evidence.sums().N.tolist()) == (("text", "image"), [[2.0, 1.0]])


def test_contributions_share_what_several_channels_found():
    """Where weights and scores were logged with each row, they decide, not the channel named."""
    scores = {"text": {"score": 0.5}, "image": {"score": 0.25}}
    metadata = {"features": scores, "fusion": {"weights": {"text": 0.5, "image": 0.5}}}
    rows = [row(metadata=metadata), row(feature_uri="image", metadata=metadata)]
    np.testing.assert_allclose(evidence_of(rows).sums().N, [[2 / 3, 1 / 3]])
    assert evidence_of(rows, credit="named").sums().N.tolist() == [[1.0, 1.0]]
    nothing = {"features": {"text": {"score": 0.0}, "image": {"score": 0.0}}, **metadata["fusion"]}
    rows = [row(metadata=nothing), row(feature_uri="image", metadata=nothing)]
    assert evidence_of(rows).sums().N.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("name", ["user_id", "session_id", "device"])
def test_contradicting_rows_give_the_same_unit_in_any_order(name):
    rows = [row(**{name: value}) for value in ("a", "b", "c")]
    contexts = [(kind, v) for kind in ("user", "segment") for v in "abc"]
    found = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        evidence = evidence_of([rows[i] for i in order], segment_by=["device"])
        found.append(evidence.sums(contexts).N.tolist())
    assert found[0] == found[1] == found[2]


def test_clicks_alone_are_no_evidence_and_are_counted():
    """Without the documents that were not clicked there is no rate of clicks."""
    evidence = evidence_of([row(f"d{i}", ["click"]) for i in range(5)])
    assert totals(evidence) == (0.0, 0.0, 0.0, 0.0)
    assert evidence.summary.units_without_exposure == 5
    assert evidence.summary.open_units == 5


def test_partly_logged_impressions_give_the_rate_of_the_logged_part():
    shown = [row(f"d{i}") for i in range(10)]
    rows = [*shown[:4], *(row(f"d{i}", ["purchase"]) for i in range(0, 10, 2))]
    evidence = evidence_of(rows)
    assert totals(evidence)[:2] == (4.0, 2.0)
    assert evidence.summary.units_without_exposure == 3


def test_a_reward_that_comes_before_its_exposure_counts_when_that_comes():
    evidence = Evidence(["text"])
    evidence.update([row(types=["purchase"])])
    assert totals(evidence)[:2] == (0.0, 0.0)
    evidence.observe(row(), now=NOON)
    assert totals(evidence)[:2] == (1.0, 1.0)
    assert evidence.summary.units_without_exposure == 0


@pytest.mark.parametrize("by", ["update", "observe"])
def test_everything_left_out_is_counted_under_its_reason(by):
    rows = {
        "list_level": row(types=["query_refinement"]),
        "without_execution": row(execution_id=None),
        "before_compaction": row(timestamp=(NOON - 9 * DAY).isoformat()),
        "other_retriever": row(retriever_id="another"),
        "without_feature_uri": row("a", feature_uri=None),
        "unknown_feature_uri": row("b", feature_uri="gone"),
        "bad_scores": row("c", metadata={"features": {"text": {"score": "high"}}}),
        "unknown_scores": row("f", metadata={"features": {"gone": {"score": 1.0}}}),
    }
    evidence = Evidence(["text"], retriever_id="ours")
    evidence.compact(NOON - 8 * DAY)
    if by == "update":
        report = evidence.update(list(rows.values()))
        assert {name: getattr(report, name) for name in rows} == dict.fromkeys(rows, 1)
        assert report.rows_used == 4
        assert report.rows == 8
        return
    for name, each in rows.items():
        report = evidence.observe(each, now=NOON)
        assert {other for other in rows if getattr(report, other)} == {name}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e308, -1.1e6, 10**400, True])
def test_scores_that_are_no_usable_numbers_are_missing_and_counted(bad):
    scores = {"text": {"score": bad}, "image": {"score": 0.5}}
    evidence = Evidence(["text", "image"])
    report = evidence.observe(row(metadata={"features": scores}), now=NOON)
    assert report.bad_scores == 1
    sums = evidence.sums()
    assert np.isfinite(sums.A).all()
    np.testing.assert_allclose(sums.A[0, 1, 1], 0.25)
    np.testing.assert_allclose(sums.A[0, 0], 0.0)


def test_credit_is_shared_by_contribution():
    metadata = {
        "features": {"text": {"score": 0.9}, "image": {"score": 0.3}},
        "fusion": {"weights": {"text": 0.25, "image": 0.75}},
    }
    evidence = evidence_of([row(types=["impression", "purchase"], metadata=metadata)])
    np.testing.assert_allclose(evidence.sums().N, [[0.5, 0.5]])
    np.testing.assert_allclose(evidence.sums().S, [[0.5, 0.5]])
    np.testing.assert_allclose(evidence.sums().Q, [[0.25, 0.25]])
    z = np.array([0.9, 0.3, 1.0])
    np.testing.assert_allclose(evidence.sums().A[0], np.outer(z, z))
    np.testing.assert_allclose(evidence.sums().b[0], z)


def test_contributions_that_are_not_positive_leave_the_credit_with_the_named_channel():
    metadata = {"features": {"image": {"score": -0.4}}, "fusion": {"weights": {"image": 1.0}}}
    assert evidence_of([row(metadata=metadata)]).sums().N.tolist() == [[1.0, 0.0]]


def test_an_examination_curve_holds_its_last_value_beyond():
    evidence = evidence_of([row(position=9)], examination=[1.0, 0.6, 0.4])
    assert totals(evidence) == (0.4, 0.0, 0.0, 0.4)


def test_own_rewards_scale_with_the_highest_and_cap_failures():
    evidence = evidence_of(
        [row(types=["impression", "click", "negative_feedback"])],
        rewards={"click": 4.0, "negative_feedback": -40.0, "save_recipe": 0.5},
    )
    assert totals(evidence) == (1.0, 1.0, 1.0, 1.0)
    table = RewardTable({"save_recipe": 0.5})
    assert table.positive[table.levels(["save_recipe"])[0]] == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("channels", [1, 2, 5, 25, 200])
def test_any_number_of_channels(channels):
    names = [f"channel-{i}" for i in range(channels)]
    evidence = Evidence(names)
    rows = []
    for i, name in enumerate(names):
        scores = {"features": {name: {"score": 0.5}}}
        rows.append(row(f"d{i}", feature_uri=name, user_id=f"u{i % 3}", metadata=scores))
    evidence.update(rows)
    sums = evidence.sums([(), ("user", "u0")])
    assert sums.N[0].tolist() == [1.0] * channels
    assert sums.N[1].sum() == len(range(0, channels, 3))
    np.testing.assert_allclose(np.diag(sums.A[0]), [0.25] * channels + [channels])
    again = Evidence.from_bytes(evidence.to_bytes())
    np.testing.assert_array_equal(again.sums().A, evidence.sums().A)


def test_arms_are_added_and_removed_without_touching_the_others():
    evidence = Evidence(["text"])
    scores = {"features": {"text": {"score": 0.5}}}
    evidence.update([row("a", metadata=scores), row("b", metadata=scores)])
    evidence.compact(NOON + US)
    evidence.add_arm("image", "audio")
    later = (NOON + DAY).isoformat()
    evidence.update([row("c", feature_uri="audio", timestamp=later)])
    assert (evidence.sums().N[0] > 0).tolist() == [True, False, True]
    assert evidence.sums().A[0, 0, 3] == pytest.approx(2 * 0.5 * 2 ** (-1 / 138))
    evidence.remove_arm("text")
    assert evidence.arms == ("image", "audio")
    assert evidence.sums().N.tolist() == [[0.0, 1.0]]
    assert evidence.sums().A.shape == (1, 3, 3)
    with pytest.raises(InvalidInputError, match="no arm 'audi'.*'audio'"):
        evidence.remove_arm("audi")


def test_states_with_arms_in_another_order_merge_by_name():
    left, right = Evidence(["text", "image"]), Evidence(["image", "audio", "text"])
    left.update([row("a")])
    right.update([row("b"), row("c", feature_uri="audio"), row("f", feature_uri="image")])
    right.compact(NOON + US)
    left.merge(right)
    assert left.arms == ("text", "image", "audio")
    assert left.sums().N.tolist() == [[2.0, 1.0, 1.0]]


def test_compaction_changes_no_sum_and_refuses_what_comes_too_late():
    rows = [
        row(f"d{i}", timestamp=(NOON + i * DAY).isoformat(), user_id=f"u{i % 2}") for i in range(9)
    ]
    whole, compacted = Evidence(["text"]), Evidence(["text"])
    whole.update(rows)
    compacted.update(rows)
    contexts = [(), ("user", "u0"), ("user", "u1")]
    for day in (2, 2, 5):
        compacted.compact(NOON + day * DAY)
        for name in "NSFQ":
            left, right = whole.sums(contexts), compacted.sums(contexts)
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-12)
    assert compacted.summary.open_units == 4
    assert compacted.summary.closed_units == 5
    at_the_line = row("new", timestamp=(NOON + 5 * DAY).isoformat())
    before_it = row("new", timestamp=(NOON + 5 * DAY - US).isoformat())
    assert compacted.update([before_it]).before_compaction == 1
    assert compacted.update([at_the_line]).units_opened == 1
    with pytest.raises(InvalidInputError, match="closed up to 2026-02-05"):
        compacted.compact(NOON)


# Time.


def test_fifty_years_neither_overflow_nor_lose_a_microsecond():
    years = [dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in range(1970, 2071, 10)]
    rows = [row(f"d{i}", timestamp=year.isoformat()) for i, year in enumerate(years)]
    evidence = Evidence(["text"])
    for each in rows[::-1]:
        evidence.update([each], now=years[-1])
    expected = sum(2.0 ** (-((years[-1] - year) / DAY) / 138) for year in years)
    assert totals(evidence)[0] == pytest.approx(expected, rel=1e-12)
    closed = Evidence.from_bytes(evidence.to_bytes())
    for year in years[1:]:
        closed.compact(year)
    assert totals(closed)[0] == pytest.approx(expected, rel=1e-12)
    last = Evidence(["text"], half_life=1e-9)
    last.update([row("a"), row("b", timestamp=(NOON + 60 * US).isoformat())])
    half_life_us = 86.4
    assert totals(last)[0] == pytest.approx(1 + 2 ** (-60 / half_life_us), rel=1e-12)


@pytest.mark.parametrize("half_life", [1e-9, 1e-3, 138.0, 1e9])
def test_sums_are_finite_for_any_half_life(half_life):
    evidence = Evidence(["text"], half_life=half_life)
    for year in (1970, 2020, 2070):
        at = dt.datetime(year, 6, 1, tzinfo=dt.UTC).isoformat()
        clicked = row(f"d{year}", ["impression", "click"], timestamp=at, user_id=str(year))
        evidence.update([clicked], now=dt.datetime(2080, 1, 1, tzinfo=dt.UTC))
    for compacted in (False, True):
        if compacted:
            evidence.compact(dt.datetime(2080, 1, 1, tzinfo=dt.UTC))
        sums = evidence.sums([(), ("user", "1970"), ("user", "2070")])
        for part in (sums.N, sums.S, sums.Q):
            assert np.isfinite(part).all()
        # The effective number of exposures is a number wherever there is any exposure.
        assert ((sums.N > 0) == (sums.Q > 0)).all()
        assert sums.N[2, 0] == 1.0


def test_a_reference_time_moves_all_sums_alike():
    evidence = Evidence(["text"], half_life=10.0)
    evidence.update([row(types=["impression", "purchase"])])
    later = evidence.sums(time=NOON + 10 * DAY)
    assert (later.N[0, 0], later.S[0, 0], later.Q[0, 0]) == (0.5, 0.5, 0.25)
    with pytest.raises(InvalidInputError, match="precedes the newest evidence"):
        evidence.sums(time=NOON - 4_000 * DAY)


# Users.


def test_a_reset_counts_for_the_user_alone_and_survives_merges_and_resends():
    rows = [row("a", user_id="u"), row("b", user_id="u", timestamp=(NOON + 2 * DAY).isoformat())]
    evidence, shard = Evidence(["text"]), Evidence(["text"])
    shard.update(rows[:1])
    shard.compact(NOON + US)
    evidence.update(rows[1:])
    evidence.reset_user("u", at=NOON + DAY)
    evidence.merge(shard)
    evidence.update(rows[1:])
    sums = evidence.sums([(), ("user", "u")])
    assert sums.N[0, 0] > 1.9
    assert sums.N[1, 0] == 1.0
    # The other way round: the reset comes by the merge.
    other = Evidence(["text"])
    other.update(rows[:1])
    other.merge(evidence)
    assert other.sums([("user", "u")]).N[0, 0] == 1.0


def test_an_opt_out_holds_until_a_later_opt_in():
    evidence = Evidence(["text"])
    evidence.update([row(user_id="u")])
    evidence.opt_out("u", at=NOON)
    assert evidence.sums([(), ("user", "u")]).N.tolist() == [[1.0], [0.0]]
    evidence.opt_in("u", at=NOON - DAY)
    assert evidence.sums([("user", "u")]).N[0, 0] == 0.0
    evidence.opt_in("u", at=NOON + DAY)
    evidence.update([row("later", user_id="u", timestamp=(NOON + 2 * DAY).isoformat())])
    assert evidence.sums([("user", "u")]).N[0, 0] == 1.0
    assert Evidence.from_bytes(evidence.to_bytes()).sums([("user", "u")]).N[0, 0] == 1.0


def test_a_deleted_user_leaves_no_sums():
    evidence = Evidence(["text"])
    evidence.update([row(user_id="u"), row("b", user_id="v")])
    assert evidence.delete_user("u", at=NOON + DAY) == 1
    assert evidence.sums([(), ("user", "u"), ("user", "v")]).N.ravel().tolist() == [2.0, 0.0, 1.0]
    keys, sums = evidence.user_sums()
    assert len(keys) == 1
    assert sums.N.tolist() == [[1.0]]


def test_the_oldest_users_beyond_the_most_are_dropped_and_counted():
    evidence = Evidence(["text"], max_users=3)
    rows = [
        row(f"d{i}", user_id=f"u{i}", timestamp=(NOON + i * DAY).isoformat()) for i in range(10)
    ]
    evidence.update(rows)
    evidence.compact(NOON + 20 * DAY)
    assert evidence.summary.users == 3
    assert evidence.summary.users_dropped == 7
    left = evidence.sums([("user", f"u{i}") for i in range(10)]).N[:, 0] > 0
    assert left.tolist() == [False] * 7 + [True] * 3
    assert evidence.sums().N[0, 0] > 9


# States that must not be merged.


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("half_life", {"half_life": 7.0}),
        ("rewards", {"rewards": {"click": 2.0}}),
        ("examination", {"examination": [1.0, 0.5]}),
        ("credit", {"credit": "named"}),
        ("segment_by", {"segment_by": ["device"]}),
        ("retriever_id", {"retriever_id": "r"}),
    ],
)
def test_states_of_other_settings_do_not_merge(name, settings):
    evidence = Evidence(["text"])
    with pytest.raises(StateMismatchError, match=f"^{name}: .*again from the log"):
        evidence.merge(Evidence(["text"], **settings))


def test_a_shard_that_compacts_after_it_was_merged_is_refused():
    """Its units are open here and closed there: they would count twice."""
    shard, whole = Evidence(["text"], source="shard"), Evidence(["text"])
    shard.update([row()])
    whole.merge(shard)
    shard.compact(NOON + DAY)
    before = whole.to_bytes()
    with pytest.raises(StateMismatchError, match="source 'shard', at different stages"):
        whole.merge(shard)
    assert whole.to_bytes() == before


def test_a_shard_that_is_merged_again_after_the_whole_compacted_counts_once():
    shard, whole = Evidence(["text"], source="shard"), Evidence(["text"])
    shard.update([row()])
    whole.merge(shard)
    whole.compact(NOON + DAY)
    shard.update([row("new", timestamp=(NOON + 2 * DAY).isoformat())])
    report = whole.merge(shard)
    assert (report.units_opened, report.units_refused) == (1, 1)
    assert 1.9 < whole.sums().N[0, 0] < 2.0


def test_a_fresh_shard_refuses_what_the_whole_refuses():
    whole = Evidence(["text"], half_life=9.0, rewards={"skip": 0.0})
    whole.compact(NOON)
    shard = whole.fresh("next")
    assert shard.identity == whole.identity
    assert shard.observe(row(timestamp=(NOON - US).isoformat())).before_compaction == 1
    shard.observe(row())
    whole.merge(shard)
    assert whole.sums().N[0, 0] == 1.0


def test_rows_without_execution_belong_to_their_session_and_query():
    """As in `load_pairs`: until half an hour passes without a row."""
    rows = [
        row(
            types=types,
            execution_id=None,
            session_id="s",
            query_snapshot={"query": "Red  shoes", "page": minute},
            timestamp=(NOON + minute * dt.timedelta(minutes=1)).isoformat(),
        )
        for minute, types in enumerate([["impression"], ["purchase"]])
    ]
    later = {**rows[0], "timestamp": (NOON + dt.timedelta(hours=1)).isoformat()}
    evidence = evidence_of([*rows, later], half_life=1e9)
    assert evidence.summary.open_units == 2
    assert totals(evidence)[1] == pytest.approx(1.0)
    # Batches and events give it the same name, so a resend as the other changes nothing.
    for each in [*rows, later]:
        evidence.observe(each, now=NOON)
    assert evidence.summary.open_units == 2


# Times in the future.


@pytest.mark.parametrize(
    "time", ["2036-01-01", "9999-12-31T23:59:59Z", "2036-01-01T00:00:00+14:00"]
)
@pytest.mark.parametrize("field", ["timestamp", "occurred_at"])
def test_a_time_in_the_future_counts_as_of_now_and_is_counted(time, field, tmp_path):
    """One clock that is wrong does not make all other evidence old, on any way in."""
    now = dt.datetime.now(dt.UTC)
    recent = [row(f"d{i}", timestamp=(now - i * DAY).isoformat()) for i in range(5)]
    wrong = {**row("wrong"), field: time}
    expected = evidence_of([*recent, row("wrong", timestamp=now.isoformat())])
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in [*recent, wrong]))
    ways = {
        "dicts": [*recent, wrong],
        "file": path,
        "table": pl.DataFrame([*recent, wrong], infer_schema_length=None),
    }
    for way, source in ways.items():
        evidence = Evidence(["text", "image"])
        report = evidence.update(source)
        assert (report.future_times, report.rows_used) == (1, 6), way
        assert totals(evidence)[0] == pytest.approx(totals(expected)[0], rel=1e-3), way
    shown = Evidence(["text", "image"])
    impressions = [{k: v for k, v in wrong.items() if k != "interaction_type"}]
    assert shown.update(recent, impressions=impressions).future_times == 1
    assert totals(shown)[0] == pytest.approx(totals(expected)[0], rel=1e-3)
    live = Evidence(["text", "image"])
    assert [live.observe(each).future_times for each in [*recent, wrong]] == [0, 0, 0, 0, 0, 1]
    assert totals(live)[0] == pytest.approx(totals(expected)[0], rel=1e-3)


def test_columns_have_no_time_in_the_future_either():
    columns = EventColumns(
        execution=np.array([0, 0]),
        executions=["e"],
        document=np.array([0, 1]),
        documents=["a", "b"],
        types=np.array([0, 0]),
        type_sets=[["impression"]],
        time=np.array([1_000, 1 << 57]),
        position=np.array([0, 0]),
        feature_uri=np.array([0, 0]),
        feature_uris=["text"],
    )
    evidence = Evidence(["text"])
    assert evidence.update(columns, now=2_000).future_times == 1
    assert evidence.latest == 2_000
    # A resend, a moment later, is dated as before.
    assert evidence.update(columns, now=3_000).rows_changing == 0
    assert evidence.latest == 2_000


# Bad input.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"half_life": 0}, "half_life: expected a positive number of days, got 0"),
        ({"half_life": math.inf}, "half_life"),
        ({"half_life": True}, "half_life"),
        ({"examination": [0.5, 0.2]}, "position 0 is examined with 1"),
        ({"examination": [1.0, 0.0]}, "above 0 and at most 1"),
        ({"examination": "flat"}, "examination: expected numbers"),
        ({"credit": "winner"}, "credit: expected 'shared' or 'named', got 'winner'"),
        ({"segment_by": "device"}, "segment_by: expected a sequence"),
        ({"rewards": {"click": math.nan}}, r"rewards\['click'\]: expected a finite number"),
        ({"rewards": {"zero_results": 1.0}}, "concerns the whole list"),
        ({"rewards": {"": 1.0}}, "a type's name is text"),
        ({"max_users": -1}, "max_users: expected a whole number"),
        ({"feature_uris": "text"}, r"feature_uris: expected a list of names such as \['text'\]"),
        ({"feature_uris": b"text"}, "feature_uris: expected a list of names"),
        ({"feature_uris": 7}, "feature_uris: expected a list of names"),
        ({"feature_uris": []}, "feature_uris: got none"),
        ({"feature_uris": ["a", ""]}, "a non-empty text, got '' at 1"),
        ({"feature_uris": ["a", None]}, "a non-empty text, got None at 1"),
        ({"feature_uris": [1, 2]}, "a non-empty text, got 1 at 0"),
        ({"feature_uris": ["a", "b", "a"]}, "'a' is there twice"),
        ({"feature_uris": [f"c{i}" for i in range(1_001)]}, "at most 1000 channels, got 1001"),
        ({"feature_uris": []}, "at least one"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        Evidence(**{"feature_uris": ["text"], **settings})


def test_a_bad_row_of_a_batch_goes_to_the_quarantine():
    evidence = Evidence(["text"])
    report = evidence.update([row(), row(position=-3)])
    assert (report.quarantined, report.units_opened) == (1, 1)
    assert list(report.quarantine_reasons.values()) == [1]
    with pytest.raises(InvalidInputError, match="position"):
        evidence.update([row(position=-3)], on_error="raise")


def test_a_log_without_times_is_refused():
    rows = [{k: v for k, v in row().items() if k != "timestamp"}]
    with pytest.raises(InvalidInputError, match="no row has a time"):
        Evidence(["text"]).update(rows)


@pytest.mark.parametrize(
    "context", [("user",), ("segment", "de"), ("country", "de"), ("user", 1, 2)]
)
def test_unknown_contexts_are_refused(context):
    with pytest.raises(InvalidInputError, match="contexts: expected"):
        Evidence(["text"]).sums([context])


def test_an_empty_state_has_sums_of_zero():
    sums = Evidence(["text", "image"]).sums([(), ("user", "u")])
    assert sums.N.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert sums.A is None
    assert Evidence(["text"]).latest is None


def test_impressions_may_come_from_a_table_of_their_own():
    clicks = [row("b", ["purchase"], position=1)]
    shown = [
        {k: v for k, v in row(d, position=i).items() if k != "interaction_type"}
        for i, d in enumerate("abc")
    ]
    evidence = Evidence(["text"])
    evidence.update(clicks, impressions=shown)
    assert totals(evidence)[:2] == (1 + 1 / 2 + 1 / 3, 1.0)
