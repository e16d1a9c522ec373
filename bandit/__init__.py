"""Learned fusion weights per channel, their store and their export."""

from __future__ import annotations

from .._lazy import attach

__all__: list[str] = []
__getattr__ = attach(__name__, {}, __all__)
