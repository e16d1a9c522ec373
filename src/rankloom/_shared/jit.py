"""Compiles numba kernels, cached on disk where a folder can be written."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("rankloom")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function on its first call, caching the machine code on disk.

    Kernels release the GIL and never use numba's own threads: those fight with LightGBM's and
    with the caller's. Where neither the package's folder nor the user's cache folder can be
    written, numba refuses to cache by raising; then the kernel is compiled anew in every process
    and one log line says so.

    `function`: written in the subset of Python that ``numba.njit`` compiles.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError as error:
        _warn_once(str(error))
        compiled = numba.njit(**options)(function)
    return cast("Callable[P, R]", compiled)


@cache
def _log_no_cache() -> None:
    logger.warning(
        "No folder for compiled kernels can be written: they are compiled anew in every process "
        "(a few seconds). Set NUMBA_CACHE_DIR to a writable folder to pay this once."
    )


def _warn_once(reason: str) -> None:
    if "cache" not in reason:
        raise RuntimeError(reason)
    _log_no_cache()
