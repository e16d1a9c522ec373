"""Logs that count otherwise: times in the future, positions from 1, restarting or with gaps."""

import polars as pl
import pytest

from rankloom import load_pairs, validate

ROWS = [
    {
        "execution_id": f"e{e}",
        "feature_id": f"d{k}",
        "position": k,
        "interaction_type": ["click"] if t else ["impression"],
        "occurred_at": f"2020-01-{1 + e:02d}T00:00:00Z",
    }
    for e in range(20)
    for k in range(4)
    for t in range(1 + (k == e % 4))
]


@pytest.mark.parametrize("time", ["2036-01-01", "9999-12-31T23:59:59Z", "2262-04-11 23:47:16"])
def test_an_execution_of_the_future_moves_no_weight_of_an_old_log(time):
    future = [{**row, "execution_id": "f", "occurred_at": time} for row in ROWS[:5]]
    before = load_pairs(ROWS, half_life=5)
    after = load_pairs(ROWS + future, half_life=5)
    assert (before.n_executions, after.n_executions) == (20, 21)
    ratio = [p.weight[:80].max() / p.weight[:80].min() for p in (before, after)]
    assert ratio == pytest.approx([2 ** (19 / 5)] * 2, rel=1e-5)
    assert after.weight.max() == pytest.approx(after.weight[:80].max())
    assert any("5 rows lie in the future" in note for note in after.report.notes)


SHIFTS = {
    "counted from 1": (pl.col("position") + 1, "give position_base=1"),
    "first page missing": (pl.col("position") + 10, "the lowest position is 10"),
    "restarting": (pl.col("position") % 2, "two documents at one position"),
    "gaps": (pl.col("position") * 2, "have gaps between their positions"),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_odd_positions_are_noted_with_the_way_out(name):
    shift, words = SHIFTS[name]
    log = pl.DataFrame(ROWS).with_columns(position=shift)
    for notes in (load_pairs(log).report.notes, validate(log).notes):
        assert any(words in note for note in notes)
    assert load_pairs(pl.DataFrame(ROWS)).report.notes == []


def test_a_base_of_1_gives_the_positions_of_the_canonical_log():
    log = pl.DataFrame(ROWS).with_columns(pl.col("position") + 1)
    shifted, canonical = load_pairs(log, position_base=1), load_pairs(ROWS)
    assert shifted.position.tolist() == canonical.position.tolist()
    assert shifted.report.notes == canonical.report.notes
