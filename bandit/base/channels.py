"""Names and weights of channels, checked once for everything that learns, fuses or exports."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Final

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MAX_ARMS: Final = 1_000
"""Most channels of one state."""


def checked_arms(feature_uris: Sequence[str]) -> list[str]:
    """Return channels as a list of different names, or raise `InvalidInputError`."""
    if isinstance(feature_uris, str | bytes) or not isinstance(feature_uris, Iterable):
        example = [feature_uris] if isinstance(feature_uris, str) else ["bm25", "clip"]
        msg = f"feature_uris: expected a list of names such as {example}, got {feature_uris!r}"
        raise InvalidInputError(msg)
    names = list(feature_uris)
    if not names:
        msg = "feature_uris: got none; name at least one channel"
        raise InvalidInputError(msg)
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name:
            msg = f"feature_uris: a channel's name is a non-empty text, got {name!r} at {place}"
            raise InvalidInputError(msg)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"feature_uris: {twice!r} is there twice; name every channel once"
        raise InvalidInputError(msg)
    if len(names) > MAX_ARMS:
        msg = f"feature_uris: at most {MAX_ARMS} channels, got {len(names)}"
        raise InvalidInputError(msg)
    return names


def checked_weights(
    weights: Mapping[str, float], channels: Collection[str], parameter: str
) -> dict[str, float]:
    """Return the weights as floats, in string order of their feature_uri.

    `weights`: finite, at least 0, one of them above 0; the sum is free.
    `channels`: the feature_uris that need a weight: no fewer and no more.
    `parameter`: what the caller calls `channels`, for the messages.
    Raises InvalidInputError if a channel has no weight, a weight no channel, or a weight is not
    such a number.

    >>> checked_weights({"b": 3, "a": 1}, ["a", "b"], "lists")
    {'a': 1.0, 'b': 3.0}
    """
    _check_names(weights, channels, parameter)
    checked = {uri: _checked(uri, weights[uri]) for uri in sorted(weights)}
    if not any(checked.values()):
        msg = f"weights: all {len(checked)} are 0; at least one channel needs a weight above 0"
        raise InvalidInputError(msg)
    return checked


def _check_names(weights: Mapping[str, float], channels: Collection[str], parameter: str) -> None:
    if not weights:
        msg = "weights: got none; give a weight for every feature_uri"
        raise InvalidInputError(msg)
    for uri in channels:
        if uri not in weights:
            msg = (
                f"weights: no weight for the channel {uri!r} of {parameter}; give it one (0 mutes)."
            )
            raise InvalidInputError(msg + did_you_mean(str(uri), map(str, weights)))
    for uri in weights:
        if uri not in channels:
            msg = (
                f"{parameter}: nothing for {uri!r}, which has a weight; give every channel its own."
            )
            raise InvalidInputError(msg + did_you_mean(str(uri), map(str, channels)))


def _checked(uri: str, weight: float) -> float:
    if not isinstance(uri, str) or not uri:
        msg = f"weights: a feature_uri is a non-empty text, got {uri!r}"
        raise InvalidInputError(msg)
    if isinstance(weight, bool) or not isinstance(weight, Real):
        msg = f"weights[{uri!r}]: expected a number, got {weight!r}"
        raise InvalidInputError(msg)
    value = float(weight)
    if not math.isfinite(value) or value < 0:
        msg = f"weights[{uri!r}]: expected a finite number >= 0, got {weight!r}"
        raise InvalidInputError(msg)
    return value
