"""The posterior of relevance: its counts, its prior, and the probability of an order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rankloom.datasets import load_pairs
from rankloom.retrieval.triplets.relevance import (
    MAX_STRENGTH,
    QueryDocumentCounts,
    count_query_documents,
    relevance_posterior,
)
from tests.datasets.conftest import make_pairs


def counts_of(clicks, examination):
    """Return counts with the given clicks and examinations, one query."""
    clicks, examination = np.asarray(clicks, float), np.asarray(examination, float)
    nothing, rows = np.zeros(len(clicks)), np.arange(len(clicks))
    return QueryDocumentCounts(
        np.zeros(len(clicks), np.int64), rows, clicks, examination, nothing, nothing,
        rows, rows, rows, mean=clicks.sum() / examination.sum(), variance=0.05,
    )  # fmt: skip


def row(execution, document, position, types, query="boots"):
    return {
        "execution_id": execution,
        "feature_id": document,
        "position": position,
        "interaction_type": types,
        "query_snapshot": query,
    }


LISTS = [
    row("e1", "a", 0, ["impression"]),
    row("e1", "b", 1, ["impression", "click"]),
    row("e1", "c", 2, ["impression"]),
    row("e2", "b", 0, ["impression", "click", "return_to_results"]),
    row("e2", "a", 1, ["impression", "skip"]),
    row("e2", "c", 2, ["impression", "click", "negative_feedback"]),
    row("e3", "a", 0, ["impression", "purchase"], "hats"),
    row("e3", "b", 1, ["impression"], "hats"),
]


@given(order=st.permutations(range(len(LISTS))))
def test_counts_are_sums_over_displays_in_any_order_of_rows(order):
    pairs = load_pairs([LISTS[i] for i in order])
    counts = count_query_documents(pairs, 1 / (1.0 + pairs.position))
    names = pairs.documents.gather(counts.document).to_list()
    queries = pairs.queries.gather(counts.query).to_list()
    fields = ("clicks", "examination", "returned", "rejected")
    columns = [getattr(counts, name).tolist() for name in fields]
    rows = zip(queries, names, *columns, strict=True)
    found = {(query, name): values for query, name, *values in rows}
    assert found == {
        ('"boots"', "a"): [0, 1.5, 0, 1],
        ('"boots"', "b"): [1, 1.5, 1, 0],
        # A display with negative feedback was examined, wherever it stood.
        ('"boots"', "c"): [0, 1.0, 0, 1],
        ('"hats"', "a"): [1, 1.0, 0, 0],
        ('"hats"', "b"): [0, 0.5, 0, 0],
    }
    clicked = pairs.execution_id.gather(pairs.execution_index[counts.clicked_row])
    assert clicked[names.index("b")] == "e1"
    assert counts.clicked_row[names.index("c")] == -1


def test_limits_and_order_are_those_of_the_gamma_distribution():
    posterior = relevance_posterior(counts_of([9, 2, 0], [12, 10, 8]), 0.8)
    every = np.arange(3)
    gamma = stats.gamma(posterior.shape, scale=1 / posterior.rate)
    np.testing.assert_allclose(posterior.lower(every), gamma.ppf(0.1))
    np.testing.assert_allclose(posterior.upper(every), gamma.ppf(0.9))
    np.testing.assert_allclose(posterior.relevance, gamma.mean())
    left, right = np.array([0, 0, 1]), np.array([1, 2, 0])
    drawn = gamma.rvs((200_000, 3), random_state=0)
    expected = (drawn[:, left] > drawn[:, right]).mean(axis=0)
    np.testing.assert_allclose(posterior.greater(left, right), expected, atol=0.005)


@pytest.mark.parametrize("strength", [2.0, 16.0])
def test_mean_and_strength_of_the_prior_are_found(strength):
    """Clicks vary less than Poisson counts: their variance would hide that of relevance."""
    rng = np.random.default_rng(0)
    relevance = rng.beta(0.5 * strength, 0.5 * strength, (400, 5))
    lists = np.repeat(np.arange(400), 20)
    examination = rng.choice([1.0, 0.6], (len(lists), 5))
    clicked = rng.random((len(lists), 5)) < examination * relevance[lists]
    pairs = make_pairs(lists, 5 * lists[:, None] + np.arange(5), clicked)
    posterior = relevance_posterior(count_query_documents(pairs, examination.ravel()), 0.8)
    assert posterior.mean == pytest.approx(0.5, rel=0.05)
    # The variance of that Beta distribution is 0.25 / (strength + 1); m / k is that of the Gamma.
    expected = 0.5 / (0.25 / (strength + 1))
    assert posterior.strength == pytest.approx(expected, rel=0.15)


def test_documents_that_are_all_alike_have_the_strongest_prior():
    clicked = np.tile([[True, False], [False, True]], (50, 1))
    pairs = make_pairs(np.zeros(100, int), np.tile([0, 1], (100, 1)), clicked)
    posterior = relevance_posterior(count_query_documents(pairs, np.ones(200)), 0.8)
    assert posterior.strength == MAX_STRENGTH


def test_without_a_click_nothing_is_engaged():
    posterior = relevance_posterior(counts_of([0, 0], [3, 1]), 0.8)
    assert not posterior.engaged.any()
