"""Metrics of replay: discounts by rank, times what a document is worth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._replay_log import LoggedLists

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_NAMES: Final = {"dcg": "DCG", "clicks": "clicks"}


@dataclass(frozen=True)
class ReplayMetric:
    """A metric of what a ranking shows first, written like ``DCG@10``.

    Attributes
    ----------
    name : {"DCG", "clicks"}
        DCG counts the reward of an examined document 1 / log2(rank + 1) (Jarvelin and Kekalainen,
        TOIS 2002); clicks counts a positive reward with the probability that its rank is examined.
    k : int
    """

    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    def gain(self, log: LoggedLists) -> Floats:
        """Return what each display brought."""
        return log.gain if self.name == "DCG" else log.clicked.astype(np.float64)

    def discount(self, rank: Integers, examine: Floats) -> Floats:
        """Return what a gain counts at 0-based ranks; `examine` is their examination."""
        value = 1.0 / np.log2(rank + 2.0) if self.name == "DCG" else examine
        return np.where(rank < self.k, value, 0.0)


def parse_replay_metric(text: str) -> ReplayMetric:
    """Return the metric that a text names.

    Examples
    --------
    >>> str(parse_replay_metric("dcg@10"))
    'DCG@10'
    """
    match = re.fullmatch(r"\s*([A-Za-z]+)\s*@\s*([1-9][0-9]{0,8})\s*", str(text))
    if match is None or match[1].lower() not in _NAMES:
        name = str(text).split("@")[0].strip().lower()
        msg = f"metrics: got {text!r}, expected dcg@K or clicks@K, such as dcg@10."
        raise InvalidInputError(msg + did_you_mean(name, _NAMES))
    return ReplayMetric(_NAMES[match[1].lower()], int(match[2]))
