"""Interactions in, training pairs out: reading, validation, grouping, position bias, simulation."""

from .._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
