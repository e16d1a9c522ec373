"""Late rows without a position teach the unit of the document that their execution showed."""

import datetime as dt

import pytest

from rankloom import FusionBandit
from rankloom.bandit.replay.logged_lists import read_lists
from rankloom.bandit.store.opening import open_store
from rankloom.errors import InvalidInputError

SHOWN = [
    {"execution_id": f"e{n}", "feature_id": d, "position": k, "feature_uri": "ab"[k % 2]}
    | {"interaction_type": ["impression"], "timestamp": f"2026-01-01T00:0{n}:00Z"}
    for n in range(3)
    for k, d in enumerate("wxyz")
]
LATE = {"execution_id": "e1", "feature_id": "z", "interaction_type": ["purchase"]} | {
    "timestamp": "2026-01-05T00:00:00Z"
}


def learnt(*sources, **options):
    bandit = FusionBandit(["a", "b"])
    report = bandit.update(*sources, **options)
    sums = bandit.evidence.sums(time=1_800_000_000_000_000)
    return (report.rows_placed, report.quarantined), (sums.N.tolist(), sums.S.tolist())


@pytest.mark.parametrize("form", ["null", "absent"])
@pytest.mark.parametrize("apart", [False, True])
def test_a_late_purchase_teaches_what_one_with_a_position_teaches(form, apart):
    late = LATE if form == "absent" else LATE | {"position": None}
    given = LATE | {"position": 3}
    if apart:
        counts, sums = learnt([late], impressions=SHOWN)
        expected = learnt([given], impressions=SHOWN)
    else:
        counts, sums = learnt([late, *SHOWN])
        expected = learnt([given, *SHOWN])
    assert (counts, sums) == ((1, 0), expected[1])
    assert sums[1][0][1] > 0


def test_what_has_no_display_in_the_call_is_quarantined_and_moves_nothing():
    lost = [LATE | {"execution_id": "e9"}, LATE | {"execution_id": None}]
    counts, sums = learnt([*lost, *SHOWN])
    assert counts == (0, 2)
    assert sums == learnt(SHOWN)[1]
    with pytest.raises(InvalidInputError, match="no other row shows this document"):
        learnt(lost, impressions=SHOWN, on_error="raise")


def bandit_of(kind, path):
    store = {} if kind == "memory" else {"store": open_store(f"sqlite:///{path / 'state.db'}")}
    return FusionBandit(["a", "b"], **store)


@pytest.mark.parametrize("kind", ["memory", "store"])
@pytest.mark.parametrize("way", ["update", "observe"])
def test_a_reward_in_a_later_call_takes_the_position_learnt_before(tmp_path, kind, way):
    late, whole = bandit_of(kind, tmp_path), FusionBandit(["a", "b"])
    late.update(SHOWN)
    if way == "update":
        report = late.update([LATE, LATE | {"execution_id": "e9"}, LATE | {"feature_id": "?"}])
        assert (report.rows_placed, report.quarantined) == (1, 2)
    else:
        late.observe(LATE | {"occurred_at": LATE["timestamp"]})
        with pytest.raises(InvalidInputError, match="no open unit shows document 'z'"):
            late.observe(LATE | {"execution_id": "e9"})
    whole.update([*SHOWN, LATE])
    time = 1_800_000_000_000_000
    found, expected = (each.evidence.sums(time=time) for each in (late, whole))
    assert found.S.tolist() == expected.S.tolist()
    assert found.N.tolist() == expected.N.tolist()
    assert expected.S[0][1] > 0


def test_a_reward_of_a_closed_unit_is_refused_and_counted():
    bandit = FusionBandit(["a", "b"])
    bandit.update(SHOWN)
    bandit.compact(dt.datetime(2026, 1, 2, tzinfo=dt.UTC))
    before = bandit.mean()
    assert bandit.update([LATE]).quarantined == 1
    assert bandit.mean() == before


def test_scores_stay_with_their_rows_where_others_are_refused():
    scored = [
        row | {"metadata": {"features": {"a": {"score": 0.1 * k}, "b": {"score": 0.5}}}}
        for k, row in enumerate(SHOWN)
    ]
    lost = LATE | {"execution_id": "e9", "metadata": {"features": {"a": {"score": 9.0}}}}
    with_lost, without = (FusionBandit(["a", "b"]) for _ in range(2))
    with_lost.update([lost, *scored, LATE])
    without.update([*scored, LATE | {"position": 3}])
    assert with_lost.mean() == without.mean()


def test_replay_counts_late_gains():
    scored = [
        row | {"metadata": {"features": {"a": {"score": 0.4}, "b": {"score": 0.5}}}}
        for row in SHOWN
    ]
    late, placed = (
        read_lists([*scored, row], ["a", "b"]) for row in (LATE, LATE | {"position": 3})
    )
    assert late.gain.tolist() == placed.gain.tolist()
    assert late.gain.sum() == 1
