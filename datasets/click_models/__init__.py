"""Click models: how examination and relevance make clicks. One model a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import attach

if TYPE_CHECKING:
    from .base import ClickModel, Interval, Perplexity
    from .cascade import Cascade
    from .counts import ClickCounts, click_counts
    from .dbn import DBN
    from .pbm import PBM
    from .simplified_dbn import SimplifiedDBN
    from .trust import TrustPBM
    from .ubm import UBM

__all__ = [
    "DBN",
    "PBM",
    "UBM",
    "Cascade",
    "ClickCounts",
    "ClickModel",
    "Interval",
    "Perplexity",
    "SimplifiedDBN",
    "TrustPBM",
    "click_counts",
]
__getattr__ = attach(
    __name__,
    {
        "Cascade": "cascade",
        "ClickCounts": "counts",
        "ClickModel": "base",
        "DBN": "dbn",
        "Interval": "base",
        "PBM": "pbm",
        "Perplexity": "base",
        "SimplifiedDBN": "simplified_dbn",
        "TrustPBM": "trust",
        "UBM": "ubm",
        "click_counts": "counts",
    },
    __all__,
)
