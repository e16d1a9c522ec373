"""The table of all routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import fusion, health, interactions, rerank
from .openapi import openapi_endpoint

if TYPE_CHECKING:
    from .endpoint import Endpoint

_ROUTES: Final = (
    *interactions.ENDPOINTS,
    *fusion.ENDPOINTS,
    *rerank.ENDPOINTS,
    *health.ENDPOINTS,
)
ENDPOINTS: Final[tuple[Endpoint, ...]] = (*_ROUTES, openapi_endpoint(_ROUTES))
