"""Where the probability of examination comes from: one order of precedence for the whole library.

What the user gives to the ranker comes first, then what a `PositionBias` wrote into the pairs,
then the log's own curve. Nobody's pairs are changed on the way.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..datasets.position_bias import PositionBias
from ..errors import InvalidInputError, NotIdentifiableError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..datasets.training_pairs import TrainingPairs

    Given: TypeAlias = ArrayLike | PositionBias | None


@dataclass(frozen=True)
class Examination:
    """Examination of every row, and how it was come by.

    Attributes
    ----------
    values : ndarray of float64, shape (n,)
    source : str
        "given", "pairs", "estimated" or "assumed".
    """

    values: NDArray[np.float64]
    source: str

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
        known = np.maximum.accumulate(np.where(np.isnan(curve), -1, np.arange(len(curve))))
        return np.where(known < 0, 1.0, curve[known])


def find_examination(pairs: TrainingPairs, given: Given) -> Examination:
    """Return the examination of the pairs' rows: as given, as in the pairs, or as the log says.

    Raises
    ------
    InvalidInputError
        If the given curve or the pairs' own values are no finite numbers above 0.
    NotIdentifiableError
        If it has to be estimated and positions never varied.
    """
    if given is not None:
        return Examination(_applied(_as_bias(given, pairs), pairs), "given")
    if pairs.examination is not None:
        return Examination(_checked(pairs.examination), "pairs")
    return Examination(_applied(_estimated(pairs), pairs), "estimated")


def find_validation_examination(
    validation: TrainingPairs, given: Given, training: TrainingPairs, known: Examination | None
) -> Examination:
    """Return the examination of validation rows, from the source that training uses.

    Where neither the ranker nor the validation pairs hold it, the curve is the one that training
    used or would use; where the log cannot tell one, it is assumed to be 1 / (position + 1).

    Parameters
    ----------
    validation, training : TrainingPairs
    given : array-like, PositionBias or None
        The ranker's own.
    known : Examination or None
        What training used, if it used any.
    """
    if given is not None:
        return Examination(_applied(_as_bias(given, training), validation), "given")
    if validation.examination is not None:
        return Examination(_checked(validation.examination), "pairs")
    if known is None:
        known = _told_by(training)
    if known is None:
        return Examination(1.0 / (validation.position.astype(np.float64) + 1.0), "assumed")
    bias = PositionBias.from_curve(known.filled_curve(training.position))
    return Examination(_applied(bias, validation), known.source)


def _told_by(training: TrainingPairs) -> Examination | None:
    if not training.has_positions:
        return None
    try:
        return find_examination(training, None)
    except NotIdentifiableError:
        return None


def _as_bias(given: Any, pairs: TrainingPairs) -> PositionBias:
    if isinstance(given, PositionBias):
        fitted = hasattr(given, "examination_")
        return given if fitted else copy.copy(given).fit(_blank(pairs))
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
    return PositionBias(n_bootstrap=0).fit(_blank(pairs))  # the intervals would go unread


def _blank(pairs: TrainingPairs) -> TrainingPairs:
    """Return the same pairs as another object, so that the caller's stay as they are."""
    return replace(pairs, examination=None)


def _applied(bias: PositionBias, pairs: TrainingPairs) -> NDArray[np.float64]:
    return _checked(bias.apply(_blank(pairs)).examination)


def _checked(values: Any) -> NDArray[np.float64]:
    checked = np.asarray(values, dtype=np.float64)
    bad = ~(np.isfinite(checked) & (checked > 0))
    if bad.any():
        at = int(np.argmax(bad))
        msg = f"examination: expected finite numbers above 0, got {checked[at]} in row {at}"
        raise InvalidInputError(msg)
    return checked
