"""Learned fusion: weights per channel, the rankings fused with them, searches that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from ._columns import EventColumns
    from ._combine import FusedColumns
    from ._sessions import SessionSums
    from ._sums import Sums
    from ._update_report import UpdateReport
    from .evidence import Evidence
    from .fusion_columns import fuse_columns
    from .identity import Identity
    from .rewards import RewardTable
    from .score_fusion import Fused, fuse

__all__ = [
    "EventColumns",
    "Evidence",
    "Fused",
    "FusedColumns",
    "Identity",
    "RewardTable",
    "SessionSums",
    "Sums",
    "UpdateReport",
    "fuse",
    "fuse_columns",
]
__getattr__ = attach(
    __name__,
    {
        "UpdateReport": "_update_report",
        "Sums": "_sums",
        "SessionSums": "_sessions",
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
