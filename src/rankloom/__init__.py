"""rankloom: stored search interactions in, a debiased reranker and fusion weights out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import attach

if TYPE_CHECKING:
    from .datasets.training_pairs import TrainingPairs

__version__ = "0.1.0"

__all__ = ["TrainingPairs"]
__getattr__ = attach(
    __name__,
    {
        "TrainingPairs": "datasets.training_pairs",
    },
    __all__,
)
