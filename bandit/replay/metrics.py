"""Metrics of replay: discounts by rank, times what a document is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.metric_names import parse_metric_at_cutoff

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .logged_lists import LoggedLists

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_NAMES: Final = {"dcg": "DCG", "clicks": "clicks"}


@dataclass(frozen=True)
class ReplayMetric:
    """A metric of the first k documents, written like ``DCG@10``."""

    # DCG counts the reward of an examined document 1 / log2(rank + 1) (Jarvelin and Kekalainen,
    # TOIS 2002); clicks counts a positive reward with the probability that its rank is examined
    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    def gain(self, log: LoggedLists) -> Floats:
        """Return what each display brought."""
        return log.gain if self.name == "DCG" else log.clicked.astype(np.float64)

    def discount(self, rank: Integers, examination: Floats) -> Floats:
        """Return what a gain counts at 0-based ranks of this examination."""
        value = 1.0 / np.log2(rank + 2.0) if self.name == "DCG" else examination
        return np.where(rank < self.k, value, 0.0)


def parse_replay_metric(text: str) -> ReplayMetric:
    """Return the metric that a text names.

    >>> str(parse_replay_metric("dcg@10"))
    'DCG@10'
    """
    return ReplayMetric(*parse_metric_at_cutoff(text, _NAMES, parameter="metrics"))
