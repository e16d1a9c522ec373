"""Counts come in; an examination curve with intervals, and its plot, go out."""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
