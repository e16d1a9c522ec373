"""The probability that each pair was examined: by a given curve, or by the log's own."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidInputError, NotIdentifiableError
from .estimator import PositionBias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs

logger = logging.getLogger("rankloom")


def examination_of(
    pairs: TrainingPairs, given: Any, *, caller: str, exposed: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return the examination of every pair.

    `given`: one number for each position, a `PositionBias`, or None for the pairs' own, or else the
    log's own curve; where the log identifies none, 1 / (position + 1) is assumed, and a log line,
    which names the `caller`, says so. `exposed`: of which executions a curve is fitted; None: all.
    """
    if given is None and pairs.examination is not None:
        return pairs.examination.astype(np.float64)
    if exposed is None:
        exposed = np.ones(pairs.n_executions, np.bool_)
    try:
        bias = fitted_bias(pairs, exposed, given)
    except NotIdentifiableError as error:
        if given is not None:
            raise
        logger.warning(
            "%s: examination 1 / (position + 1) is assumed, because the log does not identify a "
            "curve: %s",
            caller,
            str(error).split(" Ways out:")[0],
        )
        return 1.0 / (pairs.position.astype(np.float64) + 1.0)
    return np.asarray(bias.apply(pairs).examination, np.float64)


def fitted_bias(pairs: TrainingPairs, exposed: NDArray[np.bool_], given: Any) -> PositionBias:
    """Return a `PositionBias` that is fitted, on the log unless it is given.

    Parameters
    ----------
    pairs : TrainingPairs
    exposed : ndarray of bool, shape (e,)
        Executions of `pairs` that show what was passed over.
    given : array-like of shape (positions,), PositionBias or None
        A curve; a `PositionBias`, fitted or to be fitted on the log; None: the log's own curve,
        without intervals.

    Raises
    ------
    NotIdentifiableError
        If a curve is to be fitted that the log does not identify.
    """
    bias = given if isinstance(given, PositionBias) else None
    if given is None:
        bias = PositionBias(n_bootstrap=0)
    elif bias is None:
        bias = _from_numbers(given)
    if hasattr(bias, "examination_"):
        return bias
    return copy.copy(bias).fit(pairs.take(exposed))


def _from_numbers(given: Any) -> PositionBias:
    try:
        return PositionBias.from_curve(np.asarray(given, np.float64))
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        msg = (
            "examination: expected one number for each position, a PositionBias or None, "
            f"got {type(given).__name__}"
        )
        raise InvalidInputError(msg) from error
