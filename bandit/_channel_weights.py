"""The weights of channels, checked once for everything that fuses or exports with them."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

from ..errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def checked_weights(
    weights: Mapping[str, float], channels: Collection[str], parameter: str
) -> dict[str, float]:
    """Return the weights as floats, in string order of their feature_uri.

    Parameters
    ----------
    weights : mapping of feature_uri to weight
        Finite, at least 0, one of them above 0; the sum is free.
    channels : collection of str
        The feature_uris that need a weight: no fewer and no more.
    parameter : str
        What the caller calls `channels`, for the messages.

    Raises
    ------
    InvalidInputError
        If a channel has no weight, a weight no channel, or a weight is not such a number.

    Examples
    --------
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
