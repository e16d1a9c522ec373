"""The table of all routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import fusion, health, interactions, rerank
from .openapi import openapi_endpoint
from .pages import layout, login, retrievers
from .pages.document import document_endpoint

if TYPE_CHECKING:
    from .endpoint import Endpoint

_ROUTES: Final = (
    *interactions.ENDPOINTS,
    *fusion.ENDPOINTS,
    *rerank.ENDPOINTS,
    *health.ENDPOINTS,
)
ENDPOINTS: Final[tuple[Endpoint, ...]] = (*_ROUTES, openapi_endpoint(_ROUTES))
PAGES: Final = (
    *layout.ENDPOINTS,
    *login.ENDPOINTS,
    *retrievers.ENDPOINTS,
    document_endpoint(ENDPOINTS),
)
"""What people look at; the OpenAPI document leaves it out."""

ALL: Final[tuple[Endpoint, ...]] = (*ENDPOINTS, *PAGES)
