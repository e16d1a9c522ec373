"""The LightGBM ranker learnt from training pairs, its metrics and its evaluation."""

from __future__ import annotations

from .._lazy import attach

__all__: list[str] = []
__getattr__ = attach(__name__, {}, __all__)
