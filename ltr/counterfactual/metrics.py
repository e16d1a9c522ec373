"""Metrics that can be estimated from logs: sums over documents of discount times expected gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.metric_names import parse_metric_at_cutoff
from ..metrics.ranking import discounts, gains

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

_NAMES = {"dcg": "DCG", "p": "P", "precision": "P", "clicks": "clicks"}


@dataclass(frozen=True)
class LogMetric:
    """A metric of what a ranking shows first, written like ``DCG@10``."""

    # DCG counts the gain 2^grade - 1 of an examined document 1 / log2(rank + 1); P counts an
    # examined document with a positive grade 1 / k; clicks counts a click with the probability that
    # its rank is examined
    name: str
    k: int  # Cut-off

    def __str__(self) -> str:
        """Return the name as the field writes it."""
        return f"{self.name}@{self.k}"

    def gain(self, pairs: TrainingPairs) -> Floats:
        """Return what each row's interactions are worth; shape (n,)."""
        if self.name == "clicks":
            return pairs.clicked.astype(np.float64)
        grades = pairs.y.astype(np.float64)
        return gains(grades) if self.name == "DCG" else (grades > 0).astype(np.float64)

    def discount(self, rank: NDArray[np.integer], curve: Floats) -> Floats:
        """Return what a gain counts at 0-based ranks.

        `curve`: examination by position; the last value holds beyond it.
        """
        places = rank.astype(np.int64)
        if self.name == "DCG":
            value = discounts(places)
        elif self.name == "P":
            value = np.full(places.shape, 1.0 / self.k)
        else:
            value = curve[np.minimum(places, len(curve) - 1)]
        return np.where(places < self.k, value, 0.0)


def parse_log_metric(text: str) -> LogMetric:
    """Return the metric that a text such as ``"dcg@10"`` names.

    >>> str(parse_log_metric("dcg@10")), str(parse_log_metric("precision@5"))
    ('DCG@10', 'P@5')
    """
    return LogMetric(*parse_metric_at_cutoff(text, _NAMES))
