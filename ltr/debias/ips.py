"""The mode "ips": labels from gains over a known examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...datasets.pairs.array_storage import gathered
from ..exposure.examination import find_examination
from ..exposure.feature_variants import feature_variants
from ..exposure.query_documents import sums
from ..exposure.unshown_documents import with_unshown
from .execution_effects import without_execution_effects
from .feature_prior import relevance_from_features
from .judged_evidence import JudgedEvidence, judged_evidence
from .relevance import (
    grade_gains,
    prior_means,
    relevance_of_documents,
    spread_over_variants,
    weighted_examination,
    weighted_gains,
)
from .training_rows import document_data, variant_lists
from .training_target import TrainingTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.row_blocks import RowBlock, RowValues
    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..boosting.trainer import Trainer
    from ..exposure.feature_variants import FeatureVariants
    from .training_target import DebiasOptions

    Floats = NDArray[np.float64]


def ips_target(pairs: TrainingPairs, trainer: Trainer, options: DebiasOptions) -> TrainingTarget:
    """Return one row for every (query, document), its soft label from gains over examination.

    Clicks that judgements count as have the mean gain of a click. Where features differ between
    executions, a document's label is spread over its variants by a prior, which is fitted to all
    clicks as in "click_model".
    """
    examination = find_examination(pairs, options.examination)
    variants = feature_variants(pairs)
    labels = relevance_of_documents(
        pairs,
        variants.documents,
        examination.rows,
        clip=options.clip,
        prior_exposure=options.prior_exposure,
        label_gain=options.label_gain,
    ).relevance
    X, judged = gathered(pairs.X, variants.row), None
    if pairs.judgments is not None:
        variants, X, labels, judged = _with_judgments(pairs, variants, X, examination.rows, options)
    if variants.varying:
        labels = _spread(pairs, variants, X, examination.rows, labels, trainer, options)
    lists = variant_lists(variants, options.seed)
    data = document_data(X[lists.variant], labels[lists.variant], lists.group)
    report = None if judged is None else judged.report
    return TrainingTarget(data, examination=examination, judgments=report)


def _with_judgments(
    pairs: TrainingPairs,
    shown: FeatureVariants,
    X: NDArray[np.float32],
    examination: RowValues,
    options: DebiasOptions,
) -> tuple[FeatureVariants, NDArray[np.float32], Floats, JudgedEvidence]:
    """Return variants with judged documents, their features, and the labels of documents."""
    extended = with_unshown(pairs, shown, X)

    def examined(block: RowBlock) -> Floats:
        return np.asarray(np.maximum(examination(block), options.clip))

    judged = judged_evidence(pairs, extended.variants, extended.document, examined)
    kept = (extended.variants.row >= 0) | (judged.exposure > 0)
    extended, judged = extended.only(kept), judged.only(kept)
    variants, documents = extended.variants, extended.variants.documents
    size = len(documents)
    gains = documents.total_of(pairs, weighted_gains(pairs, options.label_gain))
    gains += _gain_per_click(pairs, options) * sums(variants.document, judged.clicks, size)
    known = documents.total_of(pairs, weighted_examination(pairs, examination, options.clip))
    known += sums(variants.document, judged.exposure, size)
    evidence = np.maximum(known + options.prior_exposure, np.finfo(np.float32).tiny)
    return variants, extended.X, gains / evidence, judged


def _gain_per_click(pairs: TrainingPairs, options: DebiasOptions) -> float:
    """Return the mean gain of a click."""
    weight = pairs.weight.astype(np.float64)
    gain = grade_gains(pairs.y, options.label_gain) * pairs.clicked
    return float(gain @ weight) / max(float(pairs.clicked @ weight), 1.0)


def _spread(
    pairs: TrainingPairs,
    variants: FeatureVariants,
    X: NDArray[np.float32],
    examination: RowValues,
    labels: Floats,
    trainer: Trainer,
    options: DebiasOptions,
) -> Floats:
    """Return the labels of variants by those of their documents."""
    gains = variants.total_of(pairs, weighted_gains(pairs, options.label_gain))
    exposure = variants.total_of(pairs, weighted_examination(pairs, examination, options.clip))
    X = np.ascontiguousarray(X)
    prior = relevance_from_features(trainer, X, gains, exposure)(X)
    mean = prior_means(variants.document, prior, exposure)
    spread = spread_over_variants(variants.document, labels, prior, mean)
    return without_execution_effects(variants, pairs.execution_index, spread)
