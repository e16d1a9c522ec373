"""What features of past behaviour brought to a model."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ...datasets.behaviour.names import level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm


def behaviour_gain(booster: lightgbm.Booster, feature_names: Sequence[str]) -> dict[str, float]:
    """Return level -> share of its features in the gain of all splits; empty without such features.

    The levels are those of `behaviour_features`.
    """
    gains = booster.feature_importance("gain")
    total = float(gains.sum()) or 1.0
    shares: Counter[str] = Counter()
    for name, gain in zip(feature_names, gains.tolist(), strict=True):
        if (level := level_of(name)) is not None:
            shares[level] += gain / total
    return dict(shares)
