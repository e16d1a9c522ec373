"""What a log teaches retrievers: similar items and users, and training data for embeddings."""

from .._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
