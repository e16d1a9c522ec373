"""Click models: how examination and relevance make clicks. One model a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import attach

if TYPE_CHECKING:
    from .pbm import PBM

__all__ = ["PBM"]
__getattr__ = attach(__name__, {"PBM": "pbm"}, __all__)
