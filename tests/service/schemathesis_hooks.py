"""JSON Lines for schemathesis, which has no serializer of them."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def json_lines(context: object, value: Any) -> bytes:
    """Return text as it is, and anything else as a line for each of its parts."""
    del context
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    rows = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(row) for row in rows).encode()
