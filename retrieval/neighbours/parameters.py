"""Checks of what `SimilarItems` and `SimilarUsers` are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._shared.checks import checked_number
from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_method(method: Any, methods: Sequence[str]) -> None:
    """Raise InvalidInputError unless it is one of the methods."""
    if method not in methods:
        msg = f"method: expected one of {list(methods)}, got {method!r}."
        raise InvalidInputError(msg + did_you_mean(str(method), methods))


def check_neighbours(n_neighbours: Any) -> None:
    """Raise InvalidInputError unless it is a whole number of at least 1."""
    checked_number("n_neighbours", n_neighbours, 1, whole=True)


def check_weighting(k1: Any, b: Any) -> None:
    """Raise InvalidInputError unless they are parameters of BM25."""
    checked_number("k1", k1, 0, between=True)
    checked_number("b", b, 0, 1)


def check_memory(what: str, needed: float, limit: float, way_out: str) -> None:
    """Raise InvalidInputError where something takes more bytes than it may."""
    if needed > limit:
        msg = (
            f"memory_limit: {what} takes about {needed / 1e9:.2f} GB, the limit is "
            f"{limit / 1e9:.2f} GB. Raise the limit, or use {way_out}"
        )
        raise InvalidInputError(msg)
