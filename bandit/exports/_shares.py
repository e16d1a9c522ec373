"""Weights divided by their sum, for search engines that take shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Divide by the sum; by the highest first, so that the sum is finite.

    >>> shares({"image": 1.0, "text": 3.0})
    {'image': 0.25, 'text': 0.75}
    """
    highest = max(weights.values())
    relative = {uri: weight / highest for uri, weight in weights.items()}
    total = sum(relative.values())
    return {uri: each / total for uri, each in relative.items()}
