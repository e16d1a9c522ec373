"""Equal queries get equal ids, different ones do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import canonical_query


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"query": "caf\\u00e9"}', '{"query": "cafe\\u0301"}'),
        ('{"query": "Strasse"}', '{"query": "STRASSE "}'),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1, "page": 3, "offset": 10, "cursor": "x"}'),
        ('{"q": "x", "session_id": "1"}', '{"q": "x", "session_id": "2"}'),
        ("red shoes", "  Red\tshoes "),
    ],
)
def test_what_changes_between_runs_of_a_query_does_not_change_its_id(one, other):
    assert canonical_query(one) == canonical_query(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"q": "x", "filters": {"size": 1}}', '{"q": "x", "filters": {"size": 2}}'),
        ('{"q": "x", "retriever": "a"}', '{"q": "x", "retriever": "b"}'),
        ('{"q": "x", "filters": {"page": 1}}', '{"q": "x", "filters": {"page": 2}}'),
    ],
)
def test_filters_and_retrievers_make_another_query(one, other):
    assert canonical_query(one) != canonical_query(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_canonical_form_is_its_own_canonical_form(value):
    once = canonical_query(json.dumps(value))
    assert canonical_query(once) == once


def test_text_nested_past_the_parser_is_a_query_in_plain_words():
    assert json.loads(canonical_query("[" * 100_000)) == "[" * 100_000
