import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import DEFAULT_GRADES, InteractionType, SignalTable
from rankloom.errors import InvalidInputError


def _names(table, mask):
    return {name for bit, name in enumerate(table.vocabulary) if int(mask) >> bit & 1}


def test_default_grades():
    table = SignalTable()
    grades = dict(zip(table.vocabulary, table.grade.tolist(), strict=True))
    assert {name: grade for name, grade in grades.items() if grade} == {
        "click": 1,
        "dwell": 1,
        "long_view": 2,
        "share": 2,
        "bookmark": 2,
        "wishlist": 2,
        "add_to_cart": 3,
        "positive_feedback": 3,
        "purchase": 4,
    }
    assert table.grade.dtype == np.int32


def test_masks_name_the_types_they_should():
    table = SignalTable({"save": 2})
    listed = {"query_refinement", "zero_results", "filter_toggle"}
    assert _names(table, table.negative) == {"negative_feedback", "skip", "return_to_results"}
    assert _names(table, table.list_level) == listed
    assert _names(table, table.implies_shown) == set(table.vocabulary) - listed
    assert _names(table, table.return_to_results) == {"return_to_results"}
    assert _names(table, table.impression) == {"impression"}
    assert all(isinstance(m, np.uint64) for m in (table.negative, table.impression))


@given(st.dictionaries(st.sampled_from(["save", "click", "hover", "purchase"]), st.integers(0, 30)))
def test_the_users_grades_update_the_default_ones_in_any_order(grades):
    table = SignalTable(grades)
    backwards = SignalTable(dict(reversed(grades.items())))
    found = dict(zip(table.vocabulary, table.grade.tolist(), strict=True))
    assert found == dict.fromkeys(InteractionType, 0) | DEFAULT_GRADES | grades
    assert table.vocabulary == backwards.vocabulary
    assert table.vocabulary[: len(InteractionType)] == tuple(InteractionType)


def test_sixty_four_types_fit_and_one_more_does_not():
    own = 64 - len(InteractionType)
    table = SignalTable({f"t{i}": 1 for i in range(own)})
    assert len(table.vocabulary) == 64
    assert int(table.mask([table.vocabulary[63]])) == 2**63
    with pytest.raises(InvalidInputError, match="at most 64"):
        SignalTable({f"t{i}": 1 for i in range(own + 1)})


@pytest.mark.parametrize(
    "grades",
    [
        {"click": -1},
        {"click": 31},
        {"click": 1.5},
        {"click": True},
        {"click": "1"},
        {"click": None},
        {"": 1},
        {" ": 1},
        {"x" * 101: 1},
        {3: 1},
        {"zero_results": 1},
    ],
)
def test_wrong_grades_are_refused(grades):
    with pytest.raises(InvalidInputError, match="grades"):
        SignalTable(grades)


def test_numpys_whole_numbers_are_grades():
    assert SignalTable({"click": np.int64(2)}).grade[2] == 2


def test_an_unknown_type_is_named_with_the_closest_known_one():
    with pytest.raises(InvalidInputError, match="Did you mean 'click'"):
        SignalTable().bit("clik")


def test_a_table_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        SignalTable().grade[0] = 1


def test_with_types_adds_types_of_grade_0_and_keeps_the_defaults():
    table = SignalTable.with_types(["save", "purchase"])
    assert table.grade[table.bit("save")] == 0
    assert table.grade[table.bit("purchase")] == 4
