"""Learned fusion weights per channel will live here; nothing does yet."""

from __future__ import annotations

from .._lazy import attach

__all__: list[str] = []
__getattr__ = attach(__name__, {}, __all__)
