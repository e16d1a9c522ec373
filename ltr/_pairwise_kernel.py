"""The compiled part of the pairwise objective: gradients and losses of all pairs of a list.

Everything is written per block of lists into arrays of the caller, so that threads may share the
blocks out in any way without a bit of the result changing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_RUN = 16
_LEAST_GAP = 0.01


class Lists(NamedTuple):
    """What stays the same in every round; n rows, q lists, b blocks of lists.

    Attributes
    ----------
    grade : ndarray of float64, shape (n,)
    gain : ndarray of float64, shape (n,)
        As a share of the list's ideal DCG.
    place : ndarray of int64, shape (n,)
        Index of the position parameter of every row.
    by_position : ndarray of int64, shape (n,)
        Rows of every list by position: the order in which equal scores rank.
    starts : ndarray of int64, shape (q + 1,)
    weight : ndarray of float64, shape (q,)
    discount : ndarray of float64, shape (longest list,)
    blocks : ndarray of int64, shape (b + 1,)
        List at which every block starts.
    """

    grade: Floats
    gain: Floats
    place: Integers
    by_position: Integers
    starts: Integers
    weight: Floats
    discount: Floats
    blocks: Integers


class Ranked(NamedTuple):
    """One list in the order of its scores, with room for the longest one.

    What the pairs need is gathered once, as every row meets every other.

    Attributes
    ----------
    row : ndarray of int64
    score, grade, gain : ndarray of float64
    clicked, unclicked : ndarray of float64
        1 / t+ and 1 / t- of the row's position.
    gradient, hessian : ndarray of float64
    clicked_loss, unclicked_loss : ndarray of float64
    """

    row: Integers
    score: Floats
    grade: Floats
    gain: Floats
    clicked: Floats
    unclicked: Floats
    gradient: Floats
    hessian: Floats
    clicked_loss: Floats
    unclicked_loss: Floats


@kernel
def rank_rows(
    row: Integers, score: Floats, n: int, spare_row: Integers, spare_score: Floats
) -> None:
    """Sort the first n rows by descending score; equal scores keep their order.

    Insertion sort of short runs, then merges.
    """
    for low in range(0, n, _RUN):
        for i in range(low + 1, min(low + _RUN, n)):
            held_row, held = row[i], score[i]
            j = i
            while j > low and score[j - 1] < held:
                row[j], score[j] = row[j - 1], score[j - 1]
                j -= 1
            row[j], score[j] = held_row, held
    width = _RUN
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            left, right = low, middle
            for i in range(low, high):
                if right >= high or (left < middle and score[left] >= score[right]):
                    spare_row[i], spare_score[i] = row[left], score[left]
                    left += 1
                else:
                    spare_row[i], spare_score[i] = row[right], score[right]
                    right += 1
        row[:n] = spare_row[:n]
        score[:n] = spare_score[:n]
        width *= 2


@kernel
def add_pairs(
    ranked: Ranked,
    n: int,
    discount: Floats,
    depth: int,
    sigma: float,
    normalised: bool,  # noqa: FBT001 - kernels take plain arguments
) -> float:
    """Add up the pairs of a list of n rows; return the sum of 2 lambda over them."""
    ranked.gradient[:n] = 0.0
    ranked.hessian[:n] = 0.0
    ranked.clicked_loss[:n] = 0.0
    ranked.unclicked_loss[:n] = 0.0
    by_gap = normalised and ranked.score[0] != ranked.score[n - 1]
    total = 0.0
    for i in range(min(depth, n)):
        grade = ranked.grade[i]
        for j in range(i + 1, n):
            if grade == ranked.grade[j]:
                continue
            ordered = grade > ranked.grade[j]
            high, low = (i, j) if ordered else (j, i)
            gap = ranked.score[i] - ranked.score[j]
            delta = abs(ranked.gain[i] - ranked.gain[j]) * (discount[i] - discount[j])
            if by_gap:
                delta /= _LEAST_GAP + gap
            small = np.exp(-sigma * gap)
            near = 1.0 / (1.0 + small)
            right, wrong = (near, small * near) if ordered else (small * near, near)
            loss = delta * (np.log1p(small) + (sigma * gap if ordered else 0.0))
            ranked.clicked_loss[high] += loss * ranked.unclicked[low]
            ranked.unclicked_loss[low] += loss * ranked.clicked[high]
            pull = sigma * delta * wrong * ranked.clicked[high] * ranked.unclicked[low]
            curve = 2.0 * sigma * pull * right
            ranked.gradient[high] -= pull
            ranked.gradient[low] += pull
            ranked.hessian[high] += curve
            ranked.hessian[low] += curve
            total += 2.0 * pull
    return total


@kernel
def pair_gradients(
    scores: Floats,
    lists: Lists,
    per_clicked: Floats,
    per_unclicked: Floats,
    depth: int,
    sigma: float,
    normalised: bool,  # noqa: FBT001 - kernels take plain arguments
    first: int,
    end: int,
    gradient: NDArray[np.float32],
    hessian: NDArray[np.float32],
    losses: Floats,
) -> None:
    """Write gradient and hessian of every row of blocks `first` to `end`, and each block's losses.

    Parameters
    ----------
    per_clicked, per_unclicked : ndarray of float64, shape (places,)
        1 / t+ and 1 / t-.
    depth : int
        Pairs have a document among the first so many.
    losses : ndarray of float64, shape (b, 2, places)
        Of the clicked and of the unclicked side.
    """
    longest = len(lists.discount)
    room = np.empty((10, longest))
    spare_row = np.empty(longest, np.int64)
    ranked = Ranked(
        np.empty(longest, np.int64),
        room[0],
        room[1],
        room[2],
        room[3],
        room[4],
        room[5],
        room[6],
        room[7],
        room[8],
    )
    for block in range(first, end):
        losses[block] = 0.0
        for q in range(lists.blocks[block], lists.blocks[block + 1]):
            start, n = lists.starts[q], lists.starts[q + 1] - lists.starts[q]
            for i in range(n):
                ranked.row[i] = lists.by_position[start + i]
                ranked.score[i] = scores[ranked.row[i]]
            rank_rows(ranked.row, ranked.score, n, spare_row, room[9])
            for i in range(n):
                row = ranked.row[i]
                ranked.grade[i], ranked.gain[i] = lists.grade[row], lists.gain[row]
                ranked.clicked[i] = per_clicked[lists.place[row]]
                ranked.unclicked[i] = per_unclicked[lists.place[row]]
            total = add_pairs(ranked, n, lists.discount, depth, sigma, normalised)
            weight = lists.weight[q]
            factor = np.log2(1.0 + total) / total if normalised and total > 0 else 1.0
            for i in range(n):
                row = ranked.row[i]
                gradient[row] = ranked.gradient[i] * factor * weight
                hessian[row] = ranked.hessian[i] * factor * weight
                losses[block, 0, lists.place[row]] += ranked.clicked_loss[i] * weight
                losses[block, 1, lists.place[row]] += ranked.unclicked_loss[i] * weight
