"""Lazy exports (PEP 562): a name is imported when it is first used.

``import rankloom`` is on the start-up path of retriever services, where scipy costs 150 ms and
numba 200 ms that most of them never need. The names and the modules that define them are listed
once, in the stub ``__init__.pyi`` beside the package's ``__init__.py``, which type checkers and
editors read too.
"""

from __future__ import annotations

import ast
import importlib
import sys
from typing import TYPE_CHECKING, Any

from ..errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable


def attach(package: str, file: str) -> tuple[Callable[[str], Any], list[str]]:
    """Return ``__getattr__`` and ``__all__`` of a package whose public names are in sub-modules.

    `package`: the package's ``__name__``. `file`: its ``__file__``; the stub with the suffix
    ``.pyi`` lists the imports that users may make.
    """
    exports = _exports(f"{file.removesuffix('c')}i")

    def __getattr__(name: str) -> Any:  # noqa: N807 - PEP 562 names it so
        if name not in exports:
            msg = f"module {package!r} has no attribute {name!r}.{did_you_mean(name, exports)}"
            raise AttributeError(msg)
        value = getattr(importlib.import_module(exports[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__, sorted(exports)


def _exports(stub: str) -> dict[str, str]:
    """Return the relative module of every public name of a stub."""
    with open(stub, encoding="utf-8") as lines:  # noqa: PTH123 - pathlib would cost start-up time
        imports = [
            node for node in ast.parse(lines.read()).body if isinstance(node, ast.ImportFrom)
        ]
    return {
        alias.name: "." * node.level + (node.module or "")
        for node in imports
        for alias in node.names
        if not alias.name.startswith("_")
    }
