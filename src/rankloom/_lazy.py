"""Lazy exports (PEP 562): a name is imported when it is first used.

``import rankloom`` sits on the start-up path of retriever services, where scipy costs 150 ms and
numba 200 ms that most of them never need.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from .errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def attach(package: str, exports: Mapping[str, str], public: Sequence[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose public names live in sub-modules.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    exports : mapping of str to str
        Public name -> sub-module that defines it, relative to the package.
    public : sequence of str
        The package's ``__all__``; type checkers want it spelt out, so it is compared here.
    """
    if set(exports) != set(public):
        msg = f"{package}.__all__ and its lazy exports differ: {sorted(set(exports) ^ set(public))}"
        raise ImportError(msg)

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562 names it so
        if name not in exports:
            msg = f"module {package!r} has no attribute {name!r}.{did_you_mean(name, exports)}"
            raise AttributeError(msg)
        value = getattr(importlib.import_module(f".{exports[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
