"""The examination of a part's displays by one source for all parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...datasets.position_bias.examination import fitted_bias
from ...errors import NotIdentifiableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ...datasets.position_bias.estimator import PositionBias


@dataclass(frozen=True)
class RowExamination:
    """Where the examination of rows comes from, and how to get it.

    Attributes
    ----------
    source : str
        "given", "pairs", "estimated" or "assumed".
    bias : PositionBias or None
        Holds the curve; None for the sources "pairs" and "assumed".
    note : str
        What limits it; empty if nothing does.
    """

    source: str
    bias: PositionBias | None = None
    note: str = ""

    def of(self, pairs: TrainingPairs) -> NDArray[np.float64]:
        """Return the examination of every row, relative to position 0; shape (n,)."""
        if self.bias is not None:
            pairs = self.bias.apply(replace(pairs, examination=None))
        if pairs.examination is not None:
            return np.asarray(pairs.examination, np.float64)
        return 1.0 / (pairs.position.astype(np.float64) + 1.0)


def row_examination(pairs: TrainingPairs, given: Any) -> RowExamination:
    """Return the examination by what is given; None: the pairs' own, else the log's own curve.

    Where the log identifies none, 1 / (position + 1) is assumed, which the note says.
    """
    if given is None and pairs.examination is not None:
        return RowExamination("pairs")
    bare = replace(pairs, examination=None)
    try:
        bias = fitted_bias(bare, np.ones(pairs.n_executions, np.bool_), given)
    except NotIdentifiableError as error:
        if given is not None:
            raise
        reason = str(error).split(" Ways out:")[0]
        note = f"examination 1 / (position + 1) is assumed, as the log identifies none: {reason}"
        return RowExamination("assumed", note=note)
    return RowExamination("estimated" if given is None else "given", bias)
