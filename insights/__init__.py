"""A log read by people: queries, documents, retrievers, users, trends, and a report of all."""

from .._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
