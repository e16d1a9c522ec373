"""Interactions stored in an SQLite file: records come in; records, pages and frames go out."""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
