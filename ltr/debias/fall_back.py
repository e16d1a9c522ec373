"""Whether the learnt model beats production, estimated on queries that it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...datasets.pairs.array_storage import gathered
from ...datasets.pairs.row_blocks import row_blocks, rows_of
from ..counterfactual.from_logs import evaluate_from_logs
from .choice import Bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..exposure.feature_variants import FeatureVariants

    Floats = NDArray[np.float64]

FOLDS = 2
MIN_QUERIES = 20
MAX_EXECUTIONS = 1_000_000
"""Executions that are looked at: more would hardly narrow the interval."""

CONFIDENCE = 0.90
"""Two-sided; its lower end holds with 95 %."""


def gain_over_production(
    pairs: TrainingPairs,
    variants: FeatureVariants,
    curve: Floats,
    scores_of_others: Callable[[NDArray[np.bool_]], Floats],
    seed: int,
) -> Bound | None:
    """Estimate the gain over the logged order, on queries that models were not trained on.

    The queries are split in two; each half is scored by a model trained on the other. Of a log with
    more than a million executions a million are looked at, drawn at random.

    `variants`: of the pairs.
    `curve`, shape (positions,): examination by position.
    `scores_of_others`: mask over the variants -> scores of all others by a model trained on these.
    Returns None where there are too few queries.
    """
    queries, number = np.unique(variants.query, return_inverse=True)
    if len(queries) < MIN_QUERIES:
        return None
    fold = np.random.default_rng(seed).permutation(len(queries)) % FOLDS
    of_variant = fold[number]
    scores = np.empty(len(variants))
    for held_out in range(FOLDS):
        scores[of_variant == held_out] = scores_of_others(of_variant != held_out)
    compared, of_row = _compared(pairs, variants.of_row, seed)
    report = evaluate_from_logs(
        compared,
        scores[of_row],
        examination=curve,
        pool="execution",
        clips=(),
        confidence=CONFIDENCE,
        require_overlap=False,
    )
    return Bound(report.gain.value, report.gain.lower, report.metric)


def _compared(
    pairs: TrainingPairs, of_row: NDArray[np.integer], seed: int
) -> tuple[TrainingPairs, NDArray[np.integer]]:
    """Return the pairs to look at, and the variant of each of their rows."""
    if pairs.n_executions <= MAX_EXECUTIONS:
        return pairs, of_row
    drawn = np.random.default_rng(seed).permutation(pairs.n_executions)[:MAX_EXECUTIONS]
    chosen = np.sort(drawn)
    rows = np.concatenate([rows_of(block) for block in row_blocks(pairs, chosen)])
    return pairs.take(chosen, gathered), of_row[rows]
