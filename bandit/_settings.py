"""Checks of the settings that are no part of a state's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ARMS: Final = 1_000
"""Most channels of one state."""


def checked_arms(feature_uris: Sequence[str]) -> list[str]:
    """Return channels as a list, refusing none, a bare text, and repeats."""
    names = [] if isinstance(feature_uris, str) else list(feature_uris)
    if not names or not all(isinstance(name, str) and name for name in names):
        msg = f"feature_uris: expected at least one channel's name, got {feature_uris!r}"
        raise InvalidInputError(msg)
    if len(set(names)) < len(names) or len(names) > MOST_ARMS:
        msg = f"feature_uris: expected at most {MOST_ARMS} different names, got {feature_uris!r}"
        raise InvalidInputError(msg)
    return names


def checked_max_users(max_users: int | None) -> int | None:
    """Return the most user contexts, refusing what is no whole number from 0 on."""
    if max_users is None:
        return None
    whole = isinstance(max_users, int) and not isinstance(max_users, bool)
    if not whole or max_users < 0:
        msg = f"max_users: expected a whole number from 0 on, or None, got {max_users!r}"
        raise InvalidInputError(msg)
    return max_users
