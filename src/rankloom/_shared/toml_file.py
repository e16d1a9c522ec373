"""TOML files as people's editors and shells write them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the content of a TOML file; raises OSError or ValueError if it cannot be read."""
    raw = Path(path).read_bytes()
    # Windows' shells write the output of a command in UTF-16, or with a mark.
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return tomllib.loads(raw.decode(encoding))
