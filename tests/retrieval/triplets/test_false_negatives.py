"""Guards against negatives that are relevant."""

import re
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.retrieval.triplets import false_negatives as module
from rankloom.retrieval.triplets.false_negatives import (
    RELATED,
    engaged_under_related_queries,
    text_similarity,
)

entries = st.dictionaries(
    st.tuples(st.integers(0, 7), st.integers(0, 5)), st.booleans(), min_size=1
)


@given(entries=entries, block=st.integers(1, 4))
def test_related_queries_are_those_with_overlapping_documents(entries, block):
    keys = sorted(entries)
    query, document = (np.array(codes) for codes in zip(*keys, strict=True))
    engaged = np.array([entries[key] for key in keys])
    sets = {q: {d for p, d in keys if p == q and entries[p, d]} for q, _ in keys}

    def related(one, other):
        shared = len(sets[one] & sets[other])
        return one != other and shared >= RELATED * np.sqrt(len(sets[one]) * len(sets[other])) > 0

    expected = [any(related(q, p) and d in sets[p] for p in sets) for q, d in keys]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = engaged_under_related_queries(query, document, engaged)
    assert found.tolist() == expected


def test_a_document_that_everybody_wants_relates_no_queries():
    query = np.repeat(np.arange(150), 2)
    document = np.tile([0, 1], 150)
    document[1::2] += np.arange(150)
    engaged = np.tile([True, False], 150)
    assert not engaged_under_related_queries(query, document, engaged).any()


def shingles(text):
    words = re.findall(r"\w+", text.lower())
    return {*words, *pairwise(words)}


texts = st.lists(st.text("aAbB ,.é", max_size=20), min_size=1, max_size=8)


@given(texts=texts)
def test_similarity_is_the_jaccard_coefficient_of_words_and_neighbours(texts):
    similarity = text_similarity(pl.Series(texts, dtype=pl.String))
    left, right = map(np.ravel, np.meshgrid(*2 * [np.arange(len(texts))]))
    found = similarity.jaccard(left, right)
    for i, j, value in zip(left, right, found, strict=True):
        one, other = shingles(texts[i]), shingles(texts[j])
        union = len(one | other)
        assert value == (len(one & other) / union if union else 0)
