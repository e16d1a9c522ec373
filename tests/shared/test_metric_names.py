import pytest

from rankloom._shared.metric_names import parse_metric_at_cutoff, parse_metric_name
from rankloom.errors import InvalidInputError

NAMES = {"dcg": "DCG", "p": "P", "precision": "P"}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("dcg@10", ("DCG", 10)), (" Precision @ 5 ", ("P", 5)), ("P", ("P", None))],
)
def test_a_name_is_read_in_any_spelling(text, parsed):
    assert parse_metric_name(text, NAMES) == parsed


@pytest.mark.parametrize(
    "text", ["dcg@0", "dcg@-1", "dcg@1.5", "dcg@", "@10", "dcg@9999999999", ""]
)
def test_a_wrong_cut_off_is_refused(text):
    with pytest.raises(InvalidInputError, match="expected one of DCG, P, with a cut-off such as"):
        parse_metric_name(text, NAMES)


def test_a_misspelt_name_gets_a_proposal():
    with pytest.raises(InvalidInputError, match=r"metrics: got 'precison@5'.*'precision'"):
        parse_metric_name("precison@5", NAMES, parameter="metrics")


def test_a_cut_off_can_be_required():
    assert parse_metric_at_cutoff("dcg@3", NAMES) == ("DCG", 3)
    with pytest.raises(InvalidInputError, match="dcg@10"):
        parse_metric_at_cutoff("dcg", NAMES)
