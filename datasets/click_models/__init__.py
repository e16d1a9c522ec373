"""Click models: how examination and relevance make clicks. One model a file."""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
