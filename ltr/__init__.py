"""The LightGBM ranker learnt from training pairs, its metrics and its evaluation."""

from .._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
