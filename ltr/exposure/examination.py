"""Where the probability of examination comes from: one order of precedence for the whole library.

What the user gives to the ranker comes first, then what a `PositionBias` wrote into the pairs,
then the log's own curve. The pairs given are not changed.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...datasets.counts.cells import add_at
from ...datasets.counts.pair_counts import require_positions
from ...datasets.pairs.row_blocks import collected, of_array, row_blocks, rows_of
from ...datasets.position_bias.estimator import PositionBias
from ...errors import InvalidInputError, NotIdentifiableError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.pairs.row_blocks import RowBlock, RowValues
    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]
    Given: TypeAlias = ArrayLike | PositionBias | None


@dataclass(frozen=True)
class Examination:
    """Examination of every row of some pairs, and where it comes from."""

    pairs: TrainingPairs
    rows: RowValues  # float64
    source: str  # "given", "pairs", "estimated" or "assumed"
    # shape (positions, positions): covariance of the curve's logarithm, where it was estimated with
    # the help of features. Such a curve needs no documents that were shown at several positions.
    log_covariance: Floats | None = None

    @cached_property
    def values(self) -> Floats:
        """Examination of all rows as one array; shape (n,)."""
        return collected(self.pairs, self.rows)

    def shifted(self, shift: Floats) -> Examination:
        """Return the examination where the log curve is shifted; `shift`, shape (positions,)."""
        factor = curve_values(np.exp(shift), self.pairs.position)
        return replace(self, rows=lambda block: self.rows(block) * factor(block))

    def curve(self) -> Floats:
        """Mean examination of each position up to the last; NaN where a position is absent."""
        position = self.pairs.position
        size = int(position.max()) + 1
        count, total = np.zeros(size, np.int64), np.zeros(size)
        for block in row_blocks(self.pairs):
            count += np.bincount(position[block.rows], minlength=size)
            add_at(position[block.rows], self.rows(block), total)
        curve = np.full(size, np.nan)
        np.divide(total, count, out=curve, where=count > 0)
        return curve

    def filled_curve(self) -> Floats:
        """Return `curve` with absent positions filled by the one before, the first ones by 1."""
        return _filled(self.curve())


def find_examination(pairs: TrainingPairs, given: Given) -> Examination:
    """Return the examination of the pairs' rows: as given, as in the pairs, or estimated.

    Raises InvalidInputError if the given curve or the pairs' own values are no finite numbers above
    0. Raises NotIdentifiableError if it has to be estimated and neither swaps nor features
    identify it.
    """
    if given is not None:
        return _examination_by(_as_bias(given, pairs), pairs, "given")
    if pairs.examination is not None:
        return _of_pairs(pairs)
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
        return replace(
            _examination_by(_as_bias(given, training), validation, "given"), log_covariance=None
        )
    if validation.examination is not None:
        return _of_pairs(validation)
    if used is None:
        used = _of_training(training)
    if used is None:
        return assumed_examination(validation)
    bias = PositionBias.from_curve(used.filled_curve())
    return _examination_by(bias, validation, used.source)


def score_examination(
    pairs: TrainingPairs, given: Given, ranker_given: Given, learnt: Floats | None
) -> Floats | None:
    """Return the examination by which a fitted ranker's score is corrected; None of judged pairs.

    `given`: with the call; `ranker_given`: the ranker's parameter; `learnt`: its `examination_`.
    Nothing is estimated on `pairs`, whose score it corrects; raises InvalidInputError if there is
    no curve.
    """
    if not pairs.has_positions:
        return None
    if _is_unfitted(given):
        msg = "examination: this PositionBias is not fitted; fit it on the training pairs"
        raise InvalidInputError(msg)
    if given is None and not _is_unfitted(ranker_given):
        given = ranker_given
    if given is not None:
        return _examination_by(_as_bias(given, pairs), pairs, "given").values
    if pairs.examination is not None:
        return _of_pairs(pairs).values
    if learnt is None:
        msg = (
            "examination: this ranker's training found no curve; give the training pairs' own, as "
            "score(pairs, examination=PositionBias().fit(training)) or Ranker(examination=...)"
        )
        raise InvalidInputError(msg)
    return _examination_by(PositionBias.from_curve(_filled(learnt)), pairs, "given").values


def _is_unfitted(given: Given) -> bool:
    return isinstance(given, PositionBias) and not hasattr(given, "examination_")


def _filled(curve: Floats) -> Floats:
    """Return a curve with absent positions filled by the one before, the first ones by 1."""
    at = np.maximum.accumulate(np.where(np.isnan(curve), -1, np.arange(len(curve))))
    return np.where(at < 0, 1.0, curve[at])


def assumed_examination(pairs: TrainingPairs) -> Examination:
    """Return 1 / (position + 1), for logs that do not identify a curve."""

    def rows(block: RowBlock) -> Floats:
        return 1.0 / (pairs.position[block.rows].astype(np.float64) + 1.0)

    return Examination(pairs, rows, "assumed")


def curve_values(curve: NDArray[np.floating], position: NDArray[np.integer]) -> RowValues:
    """Return the value of a curve at the position of each row; beyond its end the last one.

    `position`, shape (n,): of all rows.
    """
    return lambda block: curve[np.minimum(position[block.rows], len(curve) - 1)]


def _of_training(training: TrainingPairs) -> Examination | None:
    if not training.has_positions:
        return None
    try:
        return find_examination(training, None)
    except NotIdentifiableError:
        return None


def _examination_by(bias: PositionBias, pairs: TrainingPairs, source: str) -> Examination:
    curve = bias.curve()
    if bias.curves_ or np.isnan(curve.examination).any():
        applied = bias.apply(_without_examination(pairs)).examination
        rows = of_array(np.asarray(applied))
    else:
        require_positions(pairs)
        rows = curve_values(curve.examination.astype(np.float32), pairs.position)
    return _checked(Examination(pairs, _as_float64(rows), source, curve.log_covariance))


def _of_pairs(pairs: TrainingPairs) -> Examination:
    return _checked(
        Examination(pairs, _as_float64(of_array(np.asarray(pairs.examination))), "pairs")
    )


def _as_float64(rows: RowValues) -> RowValues:
    return lambda block: rows(block).astype(np.float64, copy=False)


def _as_bias(given: Any, pairs: TrainingPairs) -> PositionBias:
    if isinstance(given, PositionBias):
        unfitted = _is_unfitted(given)
        return copy.copy(given).fit(_without_examination(pairs)) if unfitted else given
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


def _checked(examination: Examination) -> Examination:
    for block in row_blocks(examination.pairs):
        values = examination.rows(block)
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            at = int(np.argmax(bad))
            row = int(rows_of(block)[at])
            msg = f"examination: expected finite numbers above 0, got {values[at]} in row {row}"
            raise InvalidInputError(msg)
    return examination
