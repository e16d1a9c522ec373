"""Learned fusion weights as search requests of Elasticsearch, OpenSearch and Qdrant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import attach

if TYPE_CHECKING:
    from ._carry_over import CarryOverWarning
    from .elasticsearch import to_elasticsearch
    from .opensearch import to_opensearch
    from .qdrant import to_qdrant

__all__ = ["CarryOverWarning", "to_elasticsearch", "to_opensearch", "to_qdrant"]
__getattr__ = attach(
    __name__,
    {
        "CarryOverWarning": "_carry_over",
        "to_elasticsearch": "elasticsearch",
        "to_opensearch": "opensearch",
        "to_qdrant": "qdrant",
    },
    __all__,
)
