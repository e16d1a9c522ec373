"""Positives and negatives crossed within their query, and the caps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.retrieval.triplets import candidates as module
from rankloom.retrieval.triplets.candidates import Caps, capped, cross
from rankloom.retrieval.triplets.relevance import QueryDocumentCounts, relevance_posterior


def posterior_of(query, clicks, examination):
    """Return posteriors of documents of several queries, ascending by query."""
    rows = np.arange(len(query))
    nothing = np.zeros(len(query))
    counts = QueryDocumentCounts(
        np.asarray(query), rows, np.asarray(clicks, float), np.asarray(examination, float),
        nothing, nothing, rows, rows, rows, mean=0.4, variance=0.05,
    )  # fmt: skip
    return relevance_posterior(counts, 0.6)


documents = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 12), st.integers(0, 8), st.booleans()),
    min_size=1,
    max_size=40,
)


@given(documents=documents, block=st.integers(1, 20))
def test_crossing_gives_all_pairs_of_a_query_whose_intervals_are_apart(documents, block):
    ordered = sorted(documents)
    query, clicks, more, positive = map(np.array, zip(*ordered, strict=True))
    posterior = posterior_of(query, clicks, clicks + more)
    ones, others = np.flatnonzero(positive), np.flatnonzero(~positive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CROSSED", block)
        found, overlapping = cross(posterior, ones, others)
    low, high = posterior.lower(np.arange(len(query))), posterior.upper(np.arange(len(query)))
    pairs = [(i, j) for i in ones for j in others if query[i] == query[j]]
    apart = {(i, j) for i, j in pairs if low[i] > high[j]}
    assert set(zip(found.positive, found.negative, strict=True)) == apart
    assert (len(found), overlapping) == (len(apart), len(pairs) - len(apart))
    assert (found.certainty > 0.5).all()


@given(documents=documents, per_query=st.integers(1, 5), per_positive=st.integers(1, 3))
def test_caps_keep_the_most_certain_pairs(documents, per_query, per_positive):
    query, clicks, more, positive = map(np.array, zip(*sorted(documents), strict=True))
    posterior = posterior_of(query, clicks, clicks + more)
    found, _ = cross(posterior, np.flatnonzero(positive), np.flatnonzero(~positive))
    few = capped(found, query[found.positive], Caps(per_query, per_positive))
    for q in np.unique(query[found.positive]):
        sizes = np.unique(few.positive[query[few.positive] == q], return_counts=True)[1]
        assert sizes.max() <= per_positive
        assert sizes.sum() <= per_query
        # By hand: the most certain negatives of every positive, then the most certain of all.
        of_query = query[found.positive] == q
        best = []
        for p in np.unique(found.positive[of_query]):
            best += sorted(found.certainty[found.positive == p])[-per_positive:]
        kept = few.certainty[query[few.positive] == q]
        np.testing.assert_allclose(sorted(kept), sorted(best)[-per_query:])
