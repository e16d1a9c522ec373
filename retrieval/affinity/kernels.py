"""The compiled kernel that sums a user's past engagement by its similarity to what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Histories(NamedTuple):
    """Engagement of every user in order of time; arrays of shape (m,)."""

    starts: NDArray[np.int64]  # shape (users + 1,): where each user's engagement starts
    document: NDArray[np.int32]
    time: NDArray[np.int64]


class Moments(NamedTuple):
    """Displays whose affinity is wanted; those of a moment are neighbours."""

    starts: NDArray[np.int64]  # shape (q + 1,): where each moment's displays start
    user: NDArray[np.int32]  # shape (q,): -1 where unknown
    time: NDArray[np.int64]  # shape (q,): engagement before it counts
    document: NDArray[np.int32]  # shape (n,): that the displays show


@kernel
def fill_affinity(
    histories: Histories,
    moments: Moments,
    neighbour_starts: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    similarity: NDArray[np.float32],
    half_life: float,
    features: NDArray[np.float32],
) -> None:
    """Fill in sum, highest and history of every display; shape (n, 3), NaN for unknown users.

    Of the user's engagement i before the moment, with weights w_i = 2^(-age / half_life): the sum
    of w_i s(i, d), the highest s(i, d), and the sum of w_i. `half_life`: in the unit of times.
    """
    n_documents = len(neighbour_starts) - 1
    weight = np.zeros(n_documents, np.float64)
    for m in range(len(moments.user)):
        user, now = moments.user[m], moments.time[m]
        first, end = moments.starts[m], moments.starts[m + 1]
        if user < 0:
            features[first:end] = np.nan
            continue
        begin = histories.starts[user]
        last, total = begin, 0.0
        while last < histories.starts[user + 1] and histories.time[last] < now:
            decayed = 2.0 ** (-(now - histories.time[last]) / half_life)
            weight[histories.document[last]] += decayed
            total += decayed
            last += 1
        for row in range(first, end):
            document = moments.document[row]
            added, highest = 0.0, 0.0
            for j in range(neighbour_starts[document], neighbour_starts[document + 1]):
                here = weight[neighbours[j]]
                if here > 0.0:
                    added += here * similarity[j]
                    highest = max(highest, float(similarity[j]))
            features[row, 0], features[row, 1], features[row, 2] = added, highest, total
        for i in range(begin, last):
            weight[histories.document[i]] = 0.0
