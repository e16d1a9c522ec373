"""Learned fusion: weights per channel, the rankings fused with them, searches that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from ._columns import EventColumns
    from ._combine import FusedColumns
    from ._mark import Mark
    from ._replay_report import WeightsReplay
    from ._served import Served
    from ._session_sums import SessionSums
    from ._sums import Sums
    from ._update_report import UpdateReport
    from .evidence import Evidence
    from .explanation import Explanation
    from .fusion_bandit import FusionBandit
    from .fusion_columns import fuse_columns
    from .identity import Identity
    from .learning_curves import LearningCurve, learning_curve
    from .log_follower import LogFollower
    from .replay import replay_weights
    from .rewards import RewardTable
    from .score_fusion import Fused, fuse
    from .store import Store, open_store
    from .weights import FusionWeights

__all__ = [
    "EventColumns",
    "Evidence",
    "Explanation",
    "Fused",
    "FusedColumns",
    "FusionBandit",
    "FusionWeights",
    "Identity",
    "LearningCurve",
    "LogFollower",
    "Mark",
    "RewardTable",
    "Served",
    "SessionSums",
    "Store",
    "Sums",
    "UpdateReport",
    "WeightsReplay",
    "fuse",
    "fuse_columns",
    "learning_curve",
    "open_store",
    "replay_weights",
]
__getattr__ = attach(
    __name__,
    {
        "Explanation": "explanation",
        "LearningCurve": "learning_curves",
        "LogFollower": "log_follower",
        "Mark": "_mark",
        "WeightsReplay": "_replay_report",
        "learning_curve": "learning_curves",
        "replay_weights": "replay",
        "FusionBandit": "fusion_bandit",
        "FusionWeights": "weights",
        "Served": "_served",
        "UpdateReport": "_update_report",
        "Sums": "_sums",
        "SessionSums": "_session_sums",
        "Store": "store",
        "open_store": "store",
        "RewardTable": "rewards",
        "Identity": "identity",
        "Evidence": "evidence",
        "EventColumns": "_columns",
        "Fused": "score_fusion",
        "FusedColumns": "_combine",
        "fuse": "score_fusion",
        "fuse_columns": "fusion_columns",
    },
    __all__,
)
