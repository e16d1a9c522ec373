"""The levels at which behaviour is counted, and the names of its features."""

from __future__ import annotations

from typing import Final, NamedTuple

PREFIX: Final = "behaviour_"


class Level(NamedTuple):
    """What evidence is counted by."""

    keys: tuple[str, ...]
    parent: str | None  # None: all displays
    age: bool = False  # whether the time since the first display is a feature


LEVELS: Final[dict[str, Level]] = {
    "document": Level(("feature_id",), None, age=True),
    "query_document": Level(("query_id", "feature_id"), "document"),
    "user_document": Level(("user_id", "feature_id"), "document"),
    "category": Level(("category",), None),
    "user_category": Level(("user_id", "category"), "category"),
}
"""Parents come before their children."""

AGE: Final = "age_days"
SINCE: Final = "days_since_shown"


def column_name(level: str, statistic: str, window: str = "") -> str:
    """Return the name of a feature.

    Examples
    --------
    >>> column_name("document", "rate", "7d")
    'behaviour_document_rate_7d'
    """
    return PREFIX + "_".join(part for part in (level, statistic, window) if part)


def level_of(name: str) -> str | None:
    """Return the level of a feature by its name; None where it is no feature of behaviour.

    Examples
    --------
    >>> level_of("behaviour_query_document_rate_7d"), level_of("price")
    ('query_document', None)
    """
    levels = (level for level in LEVELS if name.startswith(f"{PREFIX}{level}_"))
    return next(levels, None)
