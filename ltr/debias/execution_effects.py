"""What labels owe to the execution, and not to the document.

Features such as the time of day or the user's age are the same for all documents of an execution.
They may change how often something is clicked, and so the labels, but not which document is best.
Lists to train on have rows of several executions (see `variant_lists`), so that such differences
would be learnt as differences between documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..exposure.feature_variants import FeatureVariants

    Floats = NDArray[np.float64]

_STEPS = 10


def execution_effects(
    variants: FeatureVariants, execution: NDArray[np.integer], values: Floats
) -> Floats:
    """Return the part of every variant's value that belongs to its executions; shape (v,).

    ``value = document + execution + residual`` over the rows: least squares by alternating means,
    then the executions' effects are shrunk to 0 by ``s2 / (s2 + r2 / size)``, with s2 their
    variance and r2 that of the residuals, by moments (a random effect: without the shrinkage the
    mean of what really differs between few documents would be taken out). 0 where documents were
    shown in one execution only. The effect of a variant is the mean over its rows.

    `execution`, shape (n,): execution of every row. `values` has shape (v,).
    """
    of_row, document = values[variants.of_row], variants.documents.of_row
    size = np.bincount(execution).astype(np.float64)
    effect = of_document = np.zeros(len(of_row))
    for _ in range(_STEPS):
        of_document = _means(document, of_row - effect)
        effect = _means(execution, of_row - of_document)
    residual = of_row - of_document - effect
    freedom = max(len(of_row) - len(variants.documents) - len(size), 1)
    noise = float(residual @ residual) / freedom / size[execution]
    variance = max(float(np.mean(effect**2 - noise)), 0.0)
    effect *= variance / np.maximum(variance + noise, np.finfo(np.float64).tiny)
    rows = variants.total(np.ones(len(effect)))
    return variants.total(effect) / np.maximum(rows, 1.0)  # a judged document may have none


def without_execution_effects(
    variants: FeatureVariants, execution: NDArray[np.integer], labels: Floats
) -> Floats:
    """Return labels >= 0 divided by the factors of their executions; shape (v,)."""
    logarithm = np.log(np.maximum(labels, np.finfo(np.float32).tiny))
    return np.asarray(labels / np.exp(execution_effects(variants, execution, logarithm)))


def _means(of: NDArray[np.integer], values: Floats) -> Floats:
    """Return for every row the mean over the rows with the same number."""
    return np.asarray((np.bincount(of, weights=values) / np.maximum(np.bincount(of), 1))[of])
