"""Learned fusion weights as search requests of Elasticsearch, OpenSearch and Qdrant."""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
