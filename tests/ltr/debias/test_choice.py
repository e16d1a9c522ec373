"""The choice of a fit: to plain values and back, and as text."""

from __future__ import annotations

import json

import pytest

from rankloom.ltr.debias.choice import Bound, Choice, ModelEvidence

FULL = Choice(
    click_model="ubm",
    members={"click_model": 0.5, "pairwise": 0.25, "joint": 0.25},
    evidence={"pbm": ModelEvidence(-2.5, 0.125, 0.01), "ubm": ModelEvidence(-2.25, 0.375, 0.01)},
    identified=True,
    examination_source="estimated",
    reliability=0.75,
    effective_exposures=123.4,
    bound=Bound(0.5, 0.25, "DCG@10"),
    fall_back=True,
    reasons=["first", "second"],
)
BARE = Choice(click_model=None, members={"none": 1.0})
UNBOUNDED = Choice("pbm", {"click_model": 1.0}, bound=Bound(0.5, None, "DCG@10"))


@pytest.mark.parametrize("choice", [FULL, BARE, UNBOUNDED], ids=["full", "bare", "unbounded"])
def test_a_choice_survives_json(choice):
    assert Choice.from_dict(json.loads(json.dumps(choice.to_dict()))) == choice


def test_reading_a_choice_does_not_change_its_dict():
    values = FULL.to_dict()
    Choice.from_dict(values)
    assert values == FULL.to_dict()


def test_the_text_has_evidence_members_fall_back_and_reasons_in_this_order():
    lines = str(FULL).splitlines()
    assert lines[1].split() == ["ubm", "-2.2500", "+0.3750", "(0.0100)"]
    assert lines[2].split() == ["pbm", "-2.5000", "+0.1250", "(0.0100)"]
    assert lines[3:] == [
        "members: click_model 0.50, joint 0.25, pairwise 0.25",
        "ranks by document_score, where it is given",
        "first",
        "second",
    ]


def test_the_text_does_not_depend_on_the_order_of_the_parts():
    values = json.loads(json.dumps(FULL.to_dict(), sort_keys=True))
    turned = json.loads(json.dumps({k: values[k] for k in reversed(values)}))
    assert str(Choice.from_dict(values)) == str(Choice.from_dict(turned)) == str(FULL)


def test_without_evidence_there_is_no_table():
    assert str(BARE) == "members: none 1.00"
