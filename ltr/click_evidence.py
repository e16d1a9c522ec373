"""Which click model the log speaks for: likelihood of clicks in executions that were held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..datasets.click_models.counts import click_counts
from .choice import ModelEvidence
from .click_readings import documents_of, log_likelihood, read_dbn, read_pbm, read_ubm
from .relevance import posterior_relevance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ..datasets.training_pairs import TrainingPairs
    from .click_readings import Reading

    Floats = NDArray[np.float64]
    Told = Callable[[NDArray[np.float32]], Floats]
    Prior = Callable[[NDArray[np.float32], Floats, Floats], Told]

HELD_OUT = 0.3
FEWEST_HELD_OUT = 5
MOST_EXECUTIONS = 100_000
ONE_SIDED = 1.645

_STRENGTHS = (4.0, 32.0)


def held_out_evidence(
    pairs: TrainingPairs, curve: Floats, prior: Prior, seed: int
) -> dict[str, ModelEvidence]:
    """Return the evidence for every click model; nothing where there are too few executions.

    Parameters
    ----------
    pairs : TrainingPairs
        At most 100,000 executions of it are looked at.
    curve : ndarray of float64, shape (positions,)
        Examination by position, for "pbm" and as the anchor of "ubm".
    prior : callable
        ``prior(X, clicks, exposure)`` returns relevance as a function of features.
    seed : int

    Notes
    -----
    Seven tenths of the executions give each document the relevance ``(C + k m(x)) / (E + k)``,
    with m(x) what its features say and k = 4 or 32, whichever does better; the others are
    foretold click by click. The rivals know no documents: the click rate of each position, and of
    each position and last click above. The better of the two is what a model has to beat.
    """
    known, held = _halves(pairs, seed)
    if held.n_executions < FEWEST_HELD_OUT or not _tells(known):
        return {}
    documents, counts = documents_of(known)
    place = counts.find(held)
    seen = place >= 0
    blind = _best_blind(known, held)
    found = {}
    for reading in (read_pbm(counts, curve), read_ubm(known, curve), read_dbn(known)):
        X = known.X[documents.row]
        told = prior(X, documents.clicks, reading.exposure)
        features = told(X)
        elsewhere = told(held.X[~seen]) if not seen.all() else np.empty(0)
        likelihood = max(
            (
                _foretold(held, reading, own, place, elsewhere)
                for own in _relevances(documents.clicks, reading.exposure, features)
            ),
            key=lambda found: float(found.mean()),
        )
        gain = likelihood - blind
        found[reading.name] = ModelEvidence(
            float(likelihood.mean()),
            float(gain.mean()),
            float(gain.std(ddof=1) / np.sqrt(len(gain))),
        )
    return found


def _relevances(clicks: Floats, exposure: Floats, features: Floats) -> list[Floats]:
    """Return the documents' relevance, leaning on their features a little and much."""
    return [
        posterior_relevance(clicks, exposure, features, strength=k, caution=0.0) for k in _STRENGTHS
    ]


def _foretold(
    held: TrainingPairs,
    reading: Reading,
    own: Floats,
    place: NDArray[np.int64],
    elsewhere: Floats,
) -> Floats:
    """Return the likelihood of the held-out executions; `elsewhere` is for unseen documents."""
    relevance = own[place]
    relevance[place < 0] = elsewhere
    relevance = np.clip(relevance, 1e-4, 0.999)
    return log_likelihood(held, reading.chance(held, relevance))


def speaks_for_documents(evidence: ModelEvidence) -> bool:
    """Whether documents matter: the gain over blind accounts is above 0, one-sided at 95 %."""
    return evidence.over_best_blind > ONE_SIDED * evidence.standard_error


def _halves(pairs: TrainingPairs, seed: int) -> tuple[TrainingPairs, TrainingPairs]:
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(pairs.n_executions)[:MOST_EXECUTIONS]
    cut = max(1, round(len(chosen) * (1 - HELD_OUT)))
    return pairs.take(np.sort(chosen[:cut])), pairs.take(np.sort(chosen[cut:]))


def _tells(known: TrainingPairs) -> bool:
    """Whether something was clicked and something was not."""
    counted = known.clicked[known.weight > 0]
    return bool(counted.any() and not counted.all())


def _best_blind(known: TrainingPairs, held: TrainingPairs) -> Floats:
    """Return the likelihood of the better account that knows no documents."""
    accounts = []
    for states in ("position", "last_click"):
        counts = click_counts(known, states, weighted=False)
        rate = (counts.by_state(counts.clicks) + 0.5) / (counts.by_state(counts.shown) + 1.0)
        accounts.append(log_likelihood(held, rate[counts.states_of(held)]))
    return max(accounts, key=lambda found: float(found.mean()))
