"""Fusion evidence from the workers of a `dask.distributed` cluster."""

from ..._shared.lazy import attach

__getattr__, __all__ = attach(__name__, __file__)
