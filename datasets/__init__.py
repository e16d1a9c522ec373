"""Interactions in, training pairs out: reading, validation, grouping, position bias, simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .reports import LoadReport
    from .training_pairs import TrainingPairs

__all__ = ["LoadReport", "TrainingPairs"]
__getattr__ = attach(
    __name__,
    {
        "LoadReport": "reports",
        "TrainingPairs": "training_pairs",
    },
    __all__,
)
