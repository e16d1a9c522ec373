"""How the positions of pairs look."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from ..quality.positions import PositionCounts
from .row_blocks import row_blocks

if TYPE_CHECKING:
    from .training_pairs import TrainingPairs


def position_counts(pairs: TrainingPairs) -> PositionCounts:
    """Return the counts of `PositionCounts.of` for the lists of the pairs."""
    blocks = (
        PositionCounts.of(pairs.group[block.executions], pairs.position[block.rows])
        for block in row_blocks(pairs)
    )
    return reduce(add, blocks, PositionCounts(0, 0, 0, 0, 0))
