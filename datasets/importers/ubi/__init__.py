"""User Behavior Insights logs come in; interaction records go out."""

from ...._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
