"""The examination that rates are corrected by, where it is known, assumed or meaningless."""

import pytest

from rankloom.insights import read_searches
from rankloom.insights.searches.examined import examined


def row(execution, position, kind="impression"):
    return {
        "execution_id": execution,
        "feature_id": f"d{position}",
        "position": position,
        "interaction_type": [kind],
    }


def test_searches_of_clicks_only_have_no_examination():
    rows = [row("a", 0), row("a", 1), row("b", 1, "click")]
    examination, notes = examined(read_searches(rows, examination=[1, 0.5]))
    assert examination.tolist() == [1.0, 0.5, 0.0]
    assert "1 searches name clicked documents only" in notes[0]


def test_an_unknown_examination_is_assumed_with_a_note():
    examination, notes = examined(read_searches([row("a", 0), row("a", 3)]))
    assert examination.tolist() == pytest.approx([1.0, 0.25])
    assert "1 / (position + 1) is assumed" in notes[0]
