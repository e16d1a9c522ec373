"""The click models compared: likelihood of clicks in executions that were held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...datasets.counts.click_counts import click_counts
from ...datasets.pairs.array_storage import gathered
from ..exposure.click_exposure import dbn_exposure, log_likelihood, pbm_exposure, ubm_exposure
from ..exposure.feature_variants import feature_variants
from ..exposure.query_documents import sums
from .choice import ModelEvidence
from .relevance import posterior_of_variants

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    RelevanceFunction = Callable[[NDArray[np.float32]], Floats]
    FitPrior = Callable[[NDArray[np.float32], Floats, Floats], RelevanceFunction]

HELD_OUT = 0.3
MIN_HELD_OUT = 5
MAX_EXECUTIONS = 100_000
ONE_SIDED = 1.645

_STRENGTHS = (4.0, 32.0)


def held_out_evidence(
    pairs: TrainingPairs, curve: Floats, fit_prior: FitPrior, seed: int
) -> dict[str, ModelEvidence]:
    """Return the evidence for every click model; nothing where there are too few executions.

    `pairs`: at most 100,000 executions of it are used. `curve`, shape (positions,): examination by
    position, for "pbm" and as what "ubm" starts from. `fit_prior`: ``fit_prior(X, clicks,
    exposure)`` returns relevance as a function of features.

    Seven tenths of the executions give each document the relevance ``(C + k m(x)) / (E + k)``,
    with m(x) the prior by its features and k = 4 or 32, whichever does better; the others are
    predicted click by click. The baselines use no documents: the click rate of each position, and
    of each position and last click above. A model has to beat the better of the two.
    """
    chosen, is_held = _chosen(pairs, seed)
    known, held = chosen.take(~is_held), chosen.take(is_held)
    if held.n_executions < MIN_HELD_OUT or not _has_clicks_and_skips(known):
        return {}
    variants = feature_variants(chosen)
    row_is_held = np.repeat(is_held, chosen.group)
    of_known, of_held = variants.of_row[~row_is_held], variants.of_row[row_is_held]
    X, size = chosen.X[variants.row], len(variants)
    clicks = sums(of_known, np.where(known.clicked, known.weight, 0.0), size)
    was_shown = np.bincount(of_known, minlength=size) > 0
    baseline = _baseline(known, held)
    evidence = {}
    for model in (pbm_exposure(known, curve), ubm_exposure(known, curve), dbn_exposure(known)):
        exposure = sums(of_known, model.examination * known.weight, size)
        relevance_of = fit_prior(X[was_shown], clicks[was_shown], exposure[was_shown])
        prior = relevance_of(X)
        candidates = []
        for strength in _STRENGTHS:
            relevance = posterior_of_variants(
                variants.document, clicks, exposure, prior, strength=strength, zero_prior=0.0
            )
            probability = np.clip(relevance[of_held], 1e-4, 0.999)
            candidates.append(log_likelihood(held, model.click_probability(held, probability)))
        likelihood = max(candidates, key=lambda each: float(each.mean()))
        evidence[model.name] = _evidence(likelihood, likelihood - baseline)
    return evidence


def documents_matter(evidence: ModelEvidence) -> bool:
    """Whether the gain over the baselines is above 0, one-sided at 95 %."""
    return evidence.over_baseline > ONE_SIDED * evidence.standard_error


def _chosen(pairs: TrainingPairs, seed: int) -> tuple[TrainingPairs, NDArray[np.bool_]]:
    """Return the executions that are used, in order, and which of them are held out."""
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(pairs.n_executions)[:MAX_EXECUTIONS]
    cut = max(1, round(len(chosen) * (1 - HELD_OUT)))
    is_held = np.zeros(pairs.n_executions, dtype=bool)
    is_held[chosen[cut:]] = True
    chosen.sort()
    return pairs.take(chosen, gathered), is_held[chosen]


def _has_clicks_and_skips(known: TrainingPairs) -> bool:
    counted = known.clicked[known.weight > 0]
    return bool(counted.any() and not counted.all())


def _baseline(known: TrainingPairs, held: TrainingPairs) -> Floats:
    """Return the likelihood under the better of the two models that use no documents."""
    likelihoods = []
    for states in ("position", "last_click"):
        counts = click_counts(known, states, weighted=False)
        rate = (counts.by_state(counts.clicks) + 0.5) / (counts.by_state(counts.shown) + 1.0)
        likelihoods.append(log_likelihood(held, rate[counts.states_of(held)]))
    return max(likelihoods, key=lambda each: float(each.mean()))


def _evidence(likelihood: Floats, gain: Floats) -> ModelEvidence:
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return ModelEvidence(float(likelihood.mean()), float(gain.mean()), error)
