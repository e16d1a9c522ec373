"""Learned fusion weights as requests of search engines: a module for each."""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
