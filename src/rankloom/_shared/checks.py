"""Numbers that users pass: within their bounds, or refused by the parameter's name."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from ..errors import InvalidInputError


def checked_number(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    whole: bool = False,
    between: bool = False,
) -> Any:
    """Return a number within bounds, or raise `InvalidInputError`.

    `name`: of the parameter; the message starts with it.
    `low`, `high`: lowest and highest value; without `high` there is none.
    `whole`: whether only a whole number will do.
    `between`: whether the bounds themselves are outside.

    >>> checked_number("page_size", 500, 1, 1_000, whole=True)
    500
    """
    if isinstance(value, Integral if whole else Real) and not isinstance(value, bool):
        number: Any = value
        inside = low < number < high if between else low <= number <= high
        if inside and not math.isinf(number):
            return value
    kind = "whole number" if whole else "number"
    msg = f"{name}: expected a {kind} {_bounds(low, high, between)}, got {repr(value)[:100]}"
    raise InvalidInputError(msg)


def _bounds(low: float, high: float, between: bool) -> str:  # noqa: FBT001 - passed on
    if math.isinf(high):
        return f"above {low:,}" if between else f"of at least {low:,}"
    return f"between {low:,} and {high:,}" if between else f"from {low:,} to {high:,}"
