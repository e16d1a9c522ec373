"""Categories that a model was not trained on, counted as they come."""

from __future__ import annotations

import logging

logger = logging.getLogger("rankloom")


class UnknownCategories:
    """Counts of values that are none of a model's categories; each counts as missing.

    A log line is written for the first one of a feature, and again at each tenfold number: a
    service that meets many must not fill its log.

    Attributes
    ----------
    counts : dict of str to int
        Feature -> values, over all predictions so far.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, feature: str, number: int, example: str) -> None:
        """Count values of a feature, one of which is the example."""
        before = self.counts.get(feature, 0)
        self.counts[feature] = after = before + number
        if len(str(after)) > len(str(before)) or not before:
            logger.warning(
                "%d values of feature %r are unknown to the model and count as missing, such as %r",
                after,
                feature,
                example,
            )
