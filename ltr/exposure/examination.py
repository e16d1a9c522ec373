"""Where the probability of examination comes from: one order of precedence for the whole library.

What the user gives to the ranker comes first, then what a `PositionBias` wrote into the pairs,
then the log's own curve. The pairs given are not changed.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...datasets.position_bias.estimator import PositionBias
from ...errors import InvalidInputError, NotIdentifiableError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Given: TypeAlias = ArrayLike | PositionBias | None


@dataclass(frozen=True)
class Examination:
    """Examination of every row, and where it comes from."""

    values: NDArray[np.float64]  # shape (n,)
    source: str  # "given", "pairs", "estimated" or "assumed"
    # shape (positions, positions): covariance of the curve's logarithm, where it was estimated with
    # the help of features. Such a curve needs no documents that were shown at several positions.
    log_covariance: NDArray[np.float64] | None = None

    def shifted(self, position: NDArray[np.int32], shift: NDArray[np.float64]) -> Examination:
        """Return the examination where the log curve is shifted; `shift`, shape (positions,)."""
        factor = np.exp(shift)[np.minimum(position, len(shift) - 1)]
        return replace(self, values=self.values * factor)

    def curve(self, position: NDArray[np.int32]) -> NDArray[np.float64]:
        """Mean examination of each position up to the last; NaN where a position is absent."""
        count = np.bincount(position)
        curve = np.full(len(count), np.nan)
        total = np.bincount(position, weights=self.values)
        np.divide(total, count, out=curve, where=count > 0)
        return curve

    def filled_curve(self, position: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return `curve` with absent positions filled by the one before, the first ones by 1."""
        curve = self.curve(position)
        at = np.maximum.accumulate(np.where(np.isnan(curve), -1, np.arange(len(curve))))
        return np.where(at < 0, 1.0, curve[at])


def find_examination(pairs: TrainingPairs, given: Given) -> Examination:
    """Return the examination of the pairs' rows: as given, as in the pairs, or estimated.

    Raises InvalidInputError if the given curve or the pairs' own values are no finite numbers above
    0. Raises NotIdentifiableError if it has to be estimated and neither swaps nor features
    identify it.
    """
    if given is not None:
        return _examination_by(_as_bias(given, pairs), pairs, "given")
    if pairs.examination is not None:
        return Examination(_checked(pairs.examination), "pairs")
    return _examination_by(_estimated(pairs), pairs, "estimated")


def find_validation_examination(
    validation: TrainingPairs, given: Given, training: TrainingPairs, used: Examination | None
) -> Examination:
    """Return the examination of validation rows, from the source that training uses.

    Where neither the ranker nor the validation pairs hold it, the curve is the one that training
    used or would use; where the log does not identify one, it is assumed to be 1 / (position + 1).

    `given`: the ranker's own. `used`: what training used, if it used any.
    """
    if given is not None:
        return Examination(_applied(_as_bias(given, training), validation), "given")
    if validation.examination is not None:
        return Examination(_checked(validation.examination), "pairs")
    if used is None:
        used = _of_training(training)
    if used is None:
        return assumed_examination(validation)
    bias = PositionBias.from_curve(used.filled_curve(training.position))
    return Examination(_applied(bias, validation), used.source)


def assumed_examination(pairs: TrainingPairs) -> Examination:
    """Return 1 / (position + 1), for logs that do not identify a curve."""
    return Examination(1.0 / (pairs.position.astype(np.float64) + 1.0), "assumed")


def _of_training(training: TrainingPairs) -> Examination | None:
    if not training.has_positions:
        return None
    try:
        return find_examination(training, None)
    except NotIdentifiableError:
        return None


def _examination_by(bias: PositionBias, pairs: TrainingPairs, source: str) -> Examination:
    return Examination(_applied(bias, pairs), source, bias.curve().log_covariance)


def _as_bias(given: Any, pairs: TrainingPairs) -> PositionBias:
    if isinstance(given, PositionBias):
        fitted = hasattr(given, "examination_")
        return given if fitted else copy.copy(given).fit(_without_examination(pairs))
    try:
        curve = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            "examination: expected one number for each position, a PositionBias or None, "
            f"got {type(given).__name__}"
        )
        raise InvalidInputError(msg) from error
    return PositionBias.from_curve(curve)


def _estimated(pairs: TrainingPairs) -> PositionBias:
    return PositionBias(n_bootstrap=0).fit(_without_examination(pairs))  # few replicates suffice


def _without_examination(pairs: TrainingPairs) -> TrainingPairs:
    """Return a copy: `PositionBias` writes into the pairs, and the caller's must not change."""
    return replace(pairs, examination=None)


def _applied(bias: PositionBias, pairs: TrainingPairs) -> NDArray[np.float64]:
    return _checked(bias.apply(_without_examination(pairs)).examination)


def _checked(values: Any) -> NDArray[np.float64]:
    checked = np.asarray(values, dtype=np.float64)
    bad = ~(np.isfinite(checked) & (checked > 0))
    if bad.any():
        at = int(np.argmax(bad))
        msg = f"examination: expected finite numbers above 0, got {checked[at]} in row {at}"
        raise InvalidInputError(msg)
    return checked
