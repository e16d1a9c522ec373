"""Names of channels where a search engine takes identifiers only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN: Final = re.compile(r"[a-z][A-Za-z0-9_]*")


def identifiers(channels: Iterable[str]) -> dict[str, str]:
    """Return an identifier for every feature_uri, in their order.

    The names themselves if all are identifiers that begin with a small letter; otherwise
    `channel_0`, `channel_1`, ..., so that no two names can become one.

    >>> identifiers(["image", "text"])
    {'image': 'image', 'text': 'text'}
    >>> identifiers(["mixpeek://image", "text"])
    {'mixpeek://image': 'channel_0', 'text': 'channel_1'}
    """
    names = list(channels)
    if all(_PLAIN.fullmatch(name) for name in names):
        return {name: name for name in names}
    return {name: f"channel_{place}" for place, name in enumerate(names)}
