"""Names of metrics as users write them, such as ``ndcg@10``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

# Nine digits: a cut-off fits every integer type that it meets.
_PATTERN = re.compile(r"\s*([A-Za-z]+)\s*(?:@\s*([1-9][0-9]{0,8}))?\s*")


def parse_metric_name(
    text: str, names: Mapping[str, str], *, parameter: str = "metric"
) -> tuple[str, int | None]:
    """Return the metric that a text names and its cut-off, None where it has none.

    `names`: the accepted spellings in lower case, each with the name of its metric. `parameter`:
    what the text was given for; begins the message of an error. Raises InvalidInputError if there
    is no such metric or the cut-off is not a whole number >= 1.

    >>> parse_metric_name("Precision@5", {"p": "P", "precision": "P", "map": "MAP"})
    ('P', 5)
    """
    match = _PATTERN.fullmatch(str(text))
    if match is None or match[1].lower() not in names:
        raise _error(text, names, parameter)
    return names[match[1].lower()], int(match[2]) if match[2] else None


def parse_metric_at_cutoff(
    text: str, names: Mapping[str, str], *, parameter: str = "metric"
) -> tuple[str, int]:
    """Return what `parse_metric_name` does, for metrics that must have a cut-off."""
    name, k = parse_metric_name(text, names, parameter=parameter)
    if k is None:
        raise _error(text, names, parameter)
    return name, k


def _error(text: str, names: Mapping[str, str], parameter: str) -> InvalidInputError:
    known = ", ".join(sorted(set(names.values()), key=str.lower))
    msg = (
        f"{parameter}: got {text!r}, expected one of {known}, with a cut-off such as "
        f"{next(iter(names))}@10."
    )
    return InvalidInputError(msg + did_you_mean(str(text).split("@")[0].strip().lower(), names))
