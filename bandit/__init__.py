"""Learned fusion: weights per channel, the rankings fused with them, searches that use them."""

from .._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
