"""What grades count as: much where they agree with clicks, nothing where they are random."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.ltr.exposure.judgment_strength import (
    DEFAULT_STRENGTH,
    Observed,
    grade_evidence,
    levels_of,
    rates_of_unshown,
)

RATES, SHARES = np.array([0.1, 0.3, 0.6]), np.array([0.5, 0.3, 0.2])
MEAN = float(RATES @ SHARES)


def simulate(accuracy, *, strength=20.0, documents=1500, seed=0):
    """Return levels, what a log of displays at 1 / rank says, and relevance (Beta by grade)."""
    generator = np.random.default_rng(seed)
    true = generator.choice(3, p=SHARES, size=documents)
    relevance = generator.beta(strength * RATES[true], strength * (1 - RATES[true]))
    shown = generator.random((documents, 100)) < generator.random((documents, 1)) ** 2
    examination = shown / generator.integers(1, 8, shown.shape)
    clicks = (generator.random(shown.shape) < examination * relevance[:, None]).sum(axis=1)
    log = Observed(
        clicks.astype(float), examination.sum(axis=1), clicks.astype(float), (examination**2).sum(1)
    )
    other = (true + generator.integers(1, 3, documents)) % 3
    level = np.where(generator.random(documents) < accuracy, true, other)
    return level, log, relevance


def evidence(accuracy, **options):
    level, log, _ = simulate(accuracy, **options)
    return grade_evidence(level, np.arange(3.0), log, 0.3)


def test_strength_and_rates_of_a_right_labeller_are_those_of_the_simulation():
    found = [evidence(1.0, seed=seed) for seed in range(5)]
    within = np.average(RATES * (1 - RATES) / 21, weights=SHARES)
    total = within + np.average((RATES - MEAN) ** 2, weights=SHARES)
    agreement = np.mean([each.agreement for each in found])
    assert agreement == pytest.approx(1 - within / total, abs=0.04)
    strength = np.mean([each.strength for each in found])
    assert strength == pytest.approx(MEAN / within - MEAN / total, rel=0.2)
    assert np.mean([each.rates for each in found], axis=0) == pytest.approx(RATES, abs=0.02)


def test_strength_rises_with_accuracy_and_a_random_labeller_has_none():
    strengths = [evidence(accuracy).strength for accuracy in (0.5, 0.7, 0.9, 1.0)]
    assert strengths == sorted(strengths)
    assert strengths[0] > 0
    random = [evidence(1 / 3, seed=seed) for seed in range(20)]
    assert sum(each.strength > 0 for each in random) <= 3
    assert all(each.strength < 1 for each in random)


def test_a_labeller_that_takes_the_scale_for_its_reverse_counts_nothing():
    level, log, _ = simulate(1.0)
    found = grade_evidence(2 - level, np.arange(3.0), log, 0.3)
    assert found.strength == 0
    assert not found.clicks.any()
    assert "do not agree" in found.reason


def test_grade_and_blind_prior_together_are_the_prior_of_the_grade():
    """k = K - K_0 and c = K m_g - K_0 m_0 on top of Gamma(K_0 m_0, K_0) is Gamma(K m_g, K)."""
    level, log, relevance = simulate(0.9)
    found = grade_evidence(level, np.arange(3.0), log, 0.3)
    blind = found.strength * (1 / found.agreement - 1)  # K_0
    mean = (found.clicks + blind * MEAN) / (found.strength + blind)
    assert mean == pytest.approx(found.rates, abs=0.03)
    with_grade = (log.clicks + found.clicks[level] + blind * MEAN) / (
        log.exposure + found.strength + blind
    )
    without = (log.clicks + blind * MEAN) / (log.exposure + blind)
    errors = [np.mean((estimate - relevance) ** 2) for estimate in (with_grade, without)]
    assert errors[0] < 0.75 * errors[1]


def test_few_clicks_give_the_default_strength_and_say_so():
    level, log, _ = simulate(0.8, documents=25)
    found = grade_evidence(level, np.arange(3.0), log, 0.3)
    assert found.strength == DEFAULT_STRENGTH
    assert found.agreement is None
    assert "the default strength" in found.reason
    assert found.clicks[level].mean() / found.strength == pytest.approx(0.3)
    assert np.all(np.diff(found.clicks) > 0)


def test_one_grade_counts_nothing():
    zeros = np.zeros(100, dtype=np.int64)
    found = grade_evidence(zeros, np.ones(1), simulate(1.0, documents=100)[1], 0.2)
    assert (found.strength, found.reason) == (0.0, "one grade throughout")


def test_fine_grades_are_binned():
    grade = np.random.default_rng(0).normal(size=1000)
    level, grades = levels_of(grade)
    assert len(grades) == 12
    assert np.all(grades[level] <= grade)
    assert np.bincount(level).min() > 50


def test_relevance_of_unshown_documents_is_that_of_their_stratum():
    """Shown: half of the documents relevant; unshown: a tenth, with the same labeller's errors."""
    generator = np.random.default_rng(1)
    shown = np.repeat([True, False], [20_000, 20_000])
    true = generator.random(40_000) < np.where(shown, 0.5, 0.1)
    label = np.where(generator.random(40_000) < 0.8, true, ~true).astype(int)
    relevance = np.where(true, 0.6, 0.1)
    rates = np.array([relevance[shown & (label == g)].mean() for g in (0, 1)])[label]
    agreement = rates[shown].var() / relevance[shown].var()
    stratum = np.where(shown, -1, 0)
    found = rates_of_unshown(rates, shown.astype(float), stratum, agreement)
    assert np.array_equal(found[shown], rates[shown])
    for grade in (0, 1):
        chosen = ~shown & (label == grade)
        assert found[chosen].mean() == pytest.approx(relevance[chosen].mean(), abs=0.03)
        assert abs(rates[chosen].mean() - relevance[chosen].mean()) > 0.06  # what it corrects
