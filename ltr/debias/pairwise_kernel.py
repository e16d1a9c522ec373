"""The compiled part of the pairwise objective: gradients and losses of all pairs of a list.

Everything is written per block of lists into arrays of the caller, so that the result is the same
bit for bit, whichever thread takes which block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_RUN = 16
_MIN_GAP = 0.01


class Lists(NamedTuple):
    """What stays the same in every round; n rows, q lists, b blocks of lists."""

    grade: Floats  # shape (n,)
    gain: Floats  # shape (n,): as a share of the list's ideal DCG
    position: Integers  # shape (n,): index of the position's ratios for every row
    # shape (n,): rows of every list by position: the order in which equal scores rank
    by_position: Integers
    starts: Integers  # shape (q + 1,)
    weight: Floats  # shape (q,)
    discount: Floats  # shape (longest list,)
    blocks: Integers  # shape (b + 1,): list at which every block starts


class Ranked(NamedTuple):
    """One list in the order of its scores, in arrays as long as the longest one.

    What the pairs need is gathered once: every row is read for many pairs.
    """

    row: Integers
    score: Floats
    grade: Floats
    gain: Floats
    clicked: Floats  # 1 / t+ and 1 / t- of the row's position
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
                delta /= _MIN_GAP + gap
            small = np.exp(-sigma * gap)
            near = 1.0 / (1.0 + small)
            right, wrong = (near, small * near) if ordered else (small * near, near)
            loss = delta * (np.log1p(small) + (sigma * gap if ordered else 0.0))
            ranked.clicked_loss[high] += loss * ranked.unclicked[low]
            ranked.unclicked_loss[low] += loss * ranked.clicked[high]
            pull = sigma * delta * wrong * ranked.clicked[high] * ranked.unclicked[low]
            curvature = 2.0 * sigma * pull * right
            ranked.gradient[high] -= pull
            ranked.gradient[low] += pull
            ranked.hessian[high] += curvature
            ranked.hessian[low] += curvature
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

    `per_clicked`, `per_unclicked`, shape (positions,): 1 / t+ and 1 / t-. `depth`: pairs have a
    document among the first so many. `losses`, shape (b, 2, positions): of the clicked and of the
    unclicked side.
    """
    longest = len(lists.discount)
    buffers = np.empty((10, longest))
    spare_row = np.empty(longest, np.int64)
    ranked = Ranked(
        np.empty(longest, np.int64),
        buffers[0],
        buffers[1],
        buffers[2],
        buffers[3],
        buffers[4],
        buffers[5],
        buffers[6],
        buffers[7],
        buffers[8],
    )
    for block in range(first, end):
        losses[block] = 0.0
        for q in range(lists.blocks[block], lists.blocks[block + 1]):
            start, n = lists.starts[q], lists.starts[q + 1] - lists.starts[q]
            for i in range(n):
                ranked.row[i] = lists.by_position[start + i]
                ranked.score[i] = scores[ranked.row[i]]
            rank_rows(ranked.row, ranked.score, n, spare_row, buffers[9])
            for i in range(n):
                row = ranked.row[i]
                ranked.grade[i], ranked.gain[i] = lists.grade[row], lists.gain[row]
                ranked.clicked[i] = per_clicked[lists.position[row]]
                ranked.unclicked[i] = per_unclicked[lists.position[row]]
            total = add_pairs(ranked, n, lists.discount, depth, sigma, normalised)
            weight = lists.weight[q]
            factor = np.log2(1.0 + total) / total if normalised and total > 0 else 1.0
            for i in range(n):
                row = ranked.row[i]
                gradient[row] = ranked.gradient[i] * factor * weight
                hessian[row] = ranked.hessian[i] * factor * weight
                losses[block, 0, lists.position[row]] += ranked.clicked_loss[i] * weight
                losses[block, 1, lists.position[row]] += ranked.unclicked_loss[i] * weight
