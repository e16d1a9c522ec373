"""Conditions over a report's counts: exact at the bound, and refused by what is wrong with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom import validate
from rankloom.datasets import ValidationReport
from rankloom.datasets.quality.conditions import Count, parse_conditions
from rankloom.errors import InvalidInputError

REPORT = ValidationReport(
    rows_read=200,
    rows_kept=190,
    duplicates=8,
    quarantined=2,
    coverage={"user_id": 0.5},
    types={"click": 20},
    executions=40,
    executions_without_query=10,
)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("quarantined > 1%", False),
        ("quarantined >= 1%", True),
        ("quarantined>0.99%", True),
        ("  quarantined  >  1  ", True),
        ("quarantined > 2", False),
        ("duplicates == 4%", True),
        ("duplicates != 8", False),
        ("rows_read < 1_000", True),
        ("rows_kept <= 95%", True),
        ("executions_without_query > 20%", True),
        ("coverage.user_id < 50%", False),
        ("coverage.user_id < 50.1%", True),
        ("coverage.user_id < 99", False),
        ("coverage.session_id == 0%", True),
        ("types.click < 10%", False),
        ("types.click < 10.2%", True),
        ("types.purchase == 0", True),
        ("notes > 0", False),
    ],
)
def test_a_condition_holds_or_not(condition, holds):
    assert bool(REPORT.failed([condition])) is holds


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.integers(0, 100))
def test_a_percentage_is_exact_at_the_bound(number, of, percent):
    """Shares are not divided: 7 of 700 is 1 %, neither more nor less."""
    count = Count(number, of)
    above, at, below = parse_conditions(
        [f"x {o} {percent}%" for o in (">", "==", "<")], {"x": count}
    )
    assert above.holds(count) == (100 * number > percent * of)
    assert at.holds(count) == (100 * number == percent * of)
    assert below.holds(count) == (100 * number < percent * of)


def test_those_that_hold_are_named_with_their_counts():
    failed = REPORT.failed(["quarantined > 0.5%", "rows_read < 10", "executions_without_query > 5"])
    assert failed == [
        "quarantined > 0.5%: 2 of 200 (1.00%)",
        "executions_without_query > 5: 10 of 40 (25.00%)",
    ]


def test_an_empty_source_has_shares_of_0():
    empty = ValidationReport()
    assert empty.failed(["quarantined > 0%", "coverage.user_id < 1%"]) == [
        "coverage.user_id < 1%: 0 of 0 (0.00%)"
    ]
    assert empty.failed(["rows_read < 1"]) == ["rows_read < 1: 0"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("quarantine > 1%", r"no count 'quarantine'.*rows_read.*types\.click.*mean 'quarantined'"),
        ("types.clicks == 0", "Did you mean 'types.click'"),
        ("quarantined", "expected NAME OPERATOR NUMBER"),
        ("quarantined > ", "expected NAME OPERATOR NUMBER"),
        ("quarantined > many", "expected NAME OPERATOR NUMBER"),
        ("quarantined > -1", "expected NAME OPERATOR NUMBER"),
        ("quarantined = 1", "expected NAME OPERATOR NUMBER"),
        ("quarantined > 1% or duplicates > 1%", "expected NAME OPERATOR NUMBER"),
        ("1% < quarantined", "expected NAME OPERATOR NUMBER"),
        ("", "expected NAME OPERATOR NUMBER"),
        ("rows_read < 1%", "no part of a total"),
        ("notes > 1%", "no part of a total"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(condition, message):
    with pytest.raises(InvalidInputError, match=message):
        REPORT.failed([condition])


def test_types_of_the_users_own_can_be_named():
    with pytest.raises(InvalidInputError, match="no count"):
        REPORT.failed(["types.save recipe == 0"])
    own = ["save recipe"]
    assert REPORT.failed(["types.save recipe == 0"], types=own) == [
        "types.save recipe == 0: 0 of 198 (0.00%)"
    ]
    rows = [{"feature_id": "a", "interaction_type": own, "position": 0}]
    assert validate(rows, types=own).failed(["types.save recipe == 0"]) == []
