"""rankloom: stored search interactions in, a debiased reranker and fusion weights out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import attach

if TYPE_CHECKING:
    from .bandit.fusion_bandit import FusionBandit
    from .bandit.weights import FusionWeights
    from .datasets.interaction import Interaction, parse_interaction
    from .datasets.letor import load_letor
    from .datasets.log import InteractionLog
    from .datasets.pairs import load_pairs
    from .datasets.position_bias import PositionBias
    from .datasets.scan import scan
    from .datasets.simulate import simulate_interactions
    from .datasets.splits import split_by_time
    from .datasets.training_pairs import TrainingPairs
    from .datasets.validate import validate
    from .errors import RankloomError
    from .ltr.ranker import Ranker

__version__ = "0.1.0"

__all__ = [
    "FusionBandit",
    "FusionWeights",
    "Interaction",
    "InteractionLog",
    "PositionBias",
    "Ranker",
    "RankloomError",
    "TrainingPairs",
    "load_letor",
    "load_pairs",
    "parse_interaction",
    "scan",
    "simulate_interactions",
    "split_by_time",
    "validate",
]
__getattr__ = attach(
    __name__,
    {
        "FusionBandit": "bandit.fusion_bandit",
        "FusionWeights": "bandit.weights",
        "parse_interaction": "datasets.interaction",
        "Interaction": "datasets.interaction",
        "InteractionLog": "datasets.log",
        "validate": "datasets.validate",
        "scan": "datasets.scan",
        "Ranker": "ltr.ranker",
        "load_pairs": "datasets.pairs",
        "split_by_time": "datasets.splits",
        "RankloomError": "errors",
        "PositionBias": "datasets.position_bias",
        "TrainingPairs": "datasets.training_pairs",
        "load_letor": "datasets.letor",
        "simulate_interactions": "datasets.simulate",
    },
    __all__,
)
