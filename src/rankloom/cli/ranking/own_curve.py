"""The examination curve of the executions that judge a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import NotIdentifiableError

if TYPE_CHECKING:
    from ...datasets import PositionBias, TrainingPairs


def apply_own_curve(pairs: TrainingPairs) -> tuple[PositionBias | None, str | None]:
    """Estimate the examination curve and apply it; return why that is impossible, where it is.

    Returns the curve where features contributed to it: its error is then known.
    """
    from ...datasets import PositionBias

    if not pairs.has_positions:
        return None, "positions are unknown, so no metric is corrected for examination"
    try:
        bias = PositionBias().fit(pairs)
        bias.apply(pairs)
    except NotIdentifiableError as error:
        return None, str(error)
    return (None if bias.curve().log_covariance is None else bias), None
