"""Values as JSON holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return the value as JSON holds it; a number that is not finite becomes None.

    Mappings become dicts with text keys; numpy arrays, tuples and sets become lists. What JSON has
    no form for is returned as it is.

    >>> plain({"gain": np.float64(0.5), "interval": (0.25, float("inf"))})
    {'gain': 0.5, 'interval': [0.25, None]}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
