from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rankloom.errors import InvalidInputError
from rankloom.ltr import ips_relevance
from rankloom.ltr.debias.relevance import (
    grade_gains,
    level_gains,
    posterior_of_variants,
    posterior_relevance,
    soft_labels,
)


def by_document(pairs, examination, **options):
    found = ips_relevance(pairs, examination, **options)
    return dict(zip(pairs.query_document[found.row], found.relevance, strict=True))


def test_relevance_is_the_sum_of_gains_over_the_sum_of_examination(pairs):
    examination = 1 / (pairs.position + 1.0)
    found = by_document(pairs, examination, clip=0.01, prior_exposure=2.0)
    assert found.keys() == set(pairs.query_document)
    for document in list(found)[::50]:
        rows = pairs.query_document == document
        expected = pairs.y[rows].sum() / (2.0 + examination[rows].sum())
        assert found[document] == pytest.approx(expected)


def test_documents_are_ordered_by_query_and_have_their_latest_features(pairs):
    changed = replace(pairs, X=np.arange(len(pairs), dtype=np.float32)[:, None])
    found = ips_relevance(changed, np.ones(len(pairs)))
    query = np.repeat(pairs.query_code, pairs.group)[found.row]
    assert (np.diff(query) >= 0).all()
    np.testing.assert_array_equal(found.group, np.unique(query, return_counts=True)[1])
    for row in found.row[::40]:
        same = pairs.query_document == pairs.query_document[row]
        assert row == np.flatnonzero(same).max()


def test_many_executions_recover_relevance_that_plain_click_rates_miss(make_pairs):
    pairs = make_pairs(40_000, queries=4, documents=10, shuffled=True)
    found = ips_relevance(pairs, 1 / (pairs.position + 1.0))
    from_world = by_document(pairs, 1 / (pairs.position + 1.0))
    truth = {}
    for document in from_world:
        rows = pairs.query_document == document
        shown = pairs.X[np.flatnonzero(rows)[0]]
        value = np.nan_to_num(shown[0]) + 0.7 * np.nan_to_num(shown[1])
        truth[document] = 1 / (1 + np.exp(-2 * value + 1))
    errors = np.array([from_world[document] - truth[document] for document in truth])
    assert len(found.row) == 40
    assert np.abs(errors).max() < 0.05
    naive = by_document(pairs, np.ones(len(pairs)), prior_exposure=0)
    assert max(abs(naive[document] - truth[document]) for document in truth) > 0.3


def test_the_prior_lowers_documents_with_little_evidence(pairs):
    examination = 1 / (pairs.position + 1.0)
    free = ips_relevance(pairs, examination, prior_exposure=0)
    held = ips_relevance(pairs, examination, prior_exposure=4)
    share = held.relevance[free.relevance > 0] / free.relevance[free.relevance > 0]
    exposure = free.exposure[free.relevance > 0]
    assert share == pytest.approx(exposure / (exposure + 4))


def test_examination_is_clipped_from_below(pairs):
    found = ips_relevance(pairs, np.full(len(pairs), 1e-6), clip=0.1, prior_exposure=0)
    same = ips_relevance(pairs, np.full(len(pairs), 0.1), prior_exposure=0)
    np.testing.assert_allclose(found.relevance, same.relevance)


def test_recency_weighs_gains_and_examination_alike(pairs):
    """An execution of weight 2 counts like the same execution twice."""
    weight = np.where(pairs.execution_index % 2 == 0, 2, 1).astype(np.float32)
    twice = pairs.take(np.sort(np.append(np.arange(300), np.arange(0, 300, 2))))
    weighted = by_document(replace(pairs, weight=weight), 1 / (pairs.position + 1.0))
    assert weighted == pytest.approx(by_document(twice, 1 / (twice.position + 1.0)))


def test_the_order_of_executions_does_not_change_relevance(pairs):
    turned = pairs.take(np.arange(300)[::-1])
    assert by_document(pairs, np.ones(3000)) == pytest.approx(by_document(turned, np.ones(3000)))


def test_gains_are_those_of_ndcg_or_the_users():
    y = np.array([0, 1, 2, 4], dtype=np.float32)
    assert grade_gains(y).tolist() == [0, 1, 3, 15]
    assert grade_gains(y, [0, 1, 5, 6, 7]).tolist() == [0, 1, 5, 7]
    with pytest.raises(InvalidInputError, match="grade 4 needs 5 gains, got 3"):
        grade_gains(y, [0, 1, 2])


def test_soft_labels_keep_the_order_and_fit_the_levels():
    relevance = np.random.default_rng(0).gamma(0.3, size=5000)
    labels = soft_labels(relevance)
    assert labels.min() == 0
    assert labels.max() == 63 == len(level_gains()) - 1
    order = np.argsort(relevance)
    assert (np.diff(labels[order]) >= 0).all()
    inside = relevance <= np.quantile(relevance, 0.99)
    scaled = np.array(level_gains())[labels[inside]] * np.quantile(relevance, 0.995)
    np.testing.assert_allclose(scaled, relevance[inside], atol=np.quantile(relevance, 0.995) / 126)


def test_soft_labels_of_nearly_all_zeros_distinguish_the_few():
    relevance = np.zeros(1000)
    relevance[:2] = [0.5, 1.0]
    assert soft_labels(relevance)[:3].tolist() == [32, 63, 0]


def test_posterior_relevance_is_the_mean_of_a_gamma_posterior():
    generator = np.random.default_rng(0)
    clicks, exposure = generator.poisson(3.0, 50).astype(float), generator.gamma(2.0, 5.0, 50)
    prior = generator.uniform(0.01, 1.0, 50)
    found = posterior_relevance(clicks, exposure, prior, strength=3.0, zero_prior=2.0)
    shape, rate = 3.0 * prior, 5.0
    expected = stats.gamma(shape + clicks, scale=1 / (rate + exposure)).mean()
    np.testing.assert_allclose(found, expected)


def test_posterior_relevance_is_the_prior_without_clicks_and_the_click_rate_with_many():
    prior = np.array([0.1, 0.5, 0.9])
    none = np.zeros(3)
    np.testing.assert_allclose(posterior_relevance(none, none, prior, zero_prior=0), prior)
    np.testing.assert_allclose(posterior_relevance(none, none, prior), prior / 2)
    many = np.full(3, 1e9)
    np.testing.assert_allclose(posterior_relevance(0.3 * many, many, prior), 0.3, rtol=1e-6)
    plain = posterior_relevance(np.full(3, 6.0), np.full(3, 10.0), prior, strength=0, zero_prior=2)
    np.testing.assert_allclose(plain, 6 / 12)
    nothing = posterior_relevance(none, none, prior, strength=0, zero_prior=0)
    np.testing.assert_array_equal(nothing, 0)


def test_posterior_relevance_without_features_is_ips_relevance(pairs):
    examination = 1 / (pairs.position + 1.0)
    ips = ips_relevance(pairs, examination, prior_exposure=4.0)
    clicks = ips.relevance * (ips.exposure + 4)
    found = posterior_relevance(clicks, ips.exposure, np.zeros(len(clicks)), strength=0)
    np.testing.assert_allclose(found, ips.relevance)


def test_soft_labels_of_no_relevance_at_all_are_zero():
    np.testing.assert_array_equal(soft_labels(np.zeros(5)), 0)


def test_variants_share_the_clicks_of_their_document_by_the_prior():
    """Weighted by exposure they have its posterior in the mean; they differ as the prior does."""
    generator = np.random.default_rng(0)
    document = np.sort(generator.integers(0, 20, 100))
    document = np.unique(document, return_inverse=True)[1]
    clicks, exposure = generator.poisson(0.3, 100).astype(float), generator.gamma(1.0, 1.0, 100)
    exposure[document == 3] = 0
    clicks[document == 3] = 0
    prior = generator.uniform(0.01, 1.0, 100)
    found = posterior_of_variants(document, clicks, exposure, prior, strength=3.0, zero_prior=1.0)
    ratio = found / prior
    for d in range(document[-1] + 1):
        rows = document == d
        weight = exposure[rows] if exposure[rows].any() else np.ones(rows.sum())
        mean = np.average(prior[rows], weights=weight)
        total = (clicks[rows].sum() + 3.0 * mean) / (exposure[rows].sum() + 4.0)
        assert np.average(found[rows], weights=weight) == pytest.approx(total)
        assert np.ptp(ratio[rows]) == pytest.approx(0, abs=1e-12)


def test_documents_with_one_variant_have_their_own_posterior():
    generator = np.random.default_rng(0)
    clicks, exposure, prior = generator.poisson(1.0, 9).astype(float), *generator.random((2, 9))
    options = {"strength": 3.0, "zero_prior": 1.0}
    np.testing.assert_array_equal(
        posterior_of_variants(np.arange(9), clicks, exposure, prior, **options),
        posterior_relevance(clicks, exposure, prior, **options),
    )
