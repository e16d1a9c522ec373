"""The compiled kernel that folds interaction rows into (execution, document) pairs.

Rows arrive as flat arrays of numbers. A counting sort brings the rows of an execution together;
within it a small sort by (document, time, position) makes every pair a run, which is folded in
one pass. Nothing depends on the order in which the rows came. Inner kernels take flat arrays and
bounds, for the reasons given in `fold_sort`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.jit import kernel
from ..._shared.threads import available_threads
from ..record.interaction import DUPLICATE_WINDOW
from .fold_sort import find_runs
from .growing_array import lazy_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_TIME = -(1 << 62)
"""Event time of a row without one: an impression logged without a time came before any event.

Far from any date and yet no subtraction of two times overflows.
"""

CARRIED = ("document_score", "feature_uri", "result_set_size")
"""Values that a pair takes from its earliest row that has one."""

_SCORE = CARRIED.index("document_score")
_CHANNEL = CARRIED.index("feature_uri")
_ROWS_PER_THREAD = 1 << 20


class RowColumns(NamedTuple):
    """Interaction rows as numbers; arrays have shape (n,) where nothing else is said.

    `execution` and `document` are codes in any order; `execution_rank` (e,) and `document_rank`
    (d,) are the order of the output. Executions from code `inferred_from` on were inferred for rows
    without an execution_id, which are never duplicates. `carried` (n, k) holds the columns of
    `CARRIED` (NaN: missing), channels as codes, of which `channel_rank` (c,) is the order;
    `features` are those of its columns that become features.
    """

    execution: NDArray[np.int32]
    document: NDArray[np.int32]
    types: NDArray[np.uint64]
    time: NDArray[np.int64]
    position: NDArray[np.int32]
    carried: NDArray[np.float64]
    execution_rank: NDArray[np.int32]
    document_rank: NDArray[np.int32]
    inferred_from: int
    features: NDArray[np.int64]
    channel_rank: NDArray[np.float64]


class SignalMasks(NamedTuple):
    """What the bits of `RowColumns.types` mean."""

    grade: NDArray[np.int32]
    list_level: np.uint64
    negative: np.uint64
    impression: np.uint64
    return_to_results: np.uint64


class PairColumns(NamedTuple):
    """Pairs in execution order.

    `group` has one value per execution, by rank (0 where it was dropped), the other arrays have
    one value, `X` one row, per pair; `document` is a rank.
    """

    group: NDArray[np.int32]
    document: NDArray[np.int32]
    grade: NDArray[np.float32]
    clicked: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    position: NDArray[np.int32]
    score: NDArray[np.float64]
    X: NDArray[np.float32]


class FoldCounts(NamedTuple):
    """What the fold noticed: rows, rows, pairs, executions, executions."""

    duplicates: int
    list_level_rows: int
    position_conflicts: int
    clicks_only: int
    list_level_only: int


@kernel
def first_times(
    execution: NDArray[np.int32], time: NDArray[np.int64], n_executions: int
) -> NDArray[np.int64]:
    """Return the time of each execution's first event, `NO_TIME` where none has a time."""
    first = np.full(n_executions, NO_TIME, np.int64)
    for i in range(len(execution)):
        e = execution[i]
        if e >= 0 and time[i] != NO_TIME and (first[e] == NO_TIME or time[i] < first[e]):
            first[e] = time[i]
    return first


@kernel
def earliest_values(
    execution: NDArray[np.int32],
    time: NDArray[np.int64],
    values: NDArray[np.int32],
    rank: NDArray[np.int32],
    n_executions: int,
) -> NDArray[np.int32]:
    """Return each execution's earliest value that is not -1; ties go to the lowest rank."""
    best = np.full(n_executions, -1, np.int32)
    when = np.empty(n_executions, np.int64)
    for i in range(len(execution)):
        e = execution[i]
        value = values[i]
        if e < 0 or value < 0:
            continue
        old = best[e]
        if old < 0 or time[i] < when[e] or (time[i] == when[e] and rank[value] < rank[old]):
            best[e] = value
            when[e] = time[i]
    return best


@kernel
def _rows_by_execution(
    execution: NDArray[np.int32], rank: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where each execution's rows start, and the rows in that order (counting sort)."""
    starts = np.zeros(len(rank) + 1, np.int64)
    for e in execution:
        if e >= 0:
            starts[rank[e] + 1] += 1
    for e in range(len(rank)):
        starts[e + 1] += starts[e]
    fill = starts[:-1].copy()
    rows = np.empty(starts[-1], np.int32)
    for i in range(len(execution)):
        e = execution[i]
        if e >= 0:
            rows[fill[rank[e]]] = i
            fill[rank[e]] += 1
    return starts, rows


@kernel
def _count_duplicates(
    types: NDArray[np.uint64],
    time: NDArray[np.int64],
    run: NDArray[np.int32],
    bounds: NDArray[np.int32],
    n_runs: int,
    kept_at: NDArray[np.int64],
) -> int:
    """Count rows that repeat the last kept one of the same document and types within the window.

    `kept_at[i]` is the time of the last kept row with row i's types, so that looking back may stop
    at the first row with the same types, kept or not.
    """
    duplicates = 0
    for r in range(n_runs):
        for i in range(bounds[r], bounds[r + 1]):
            now = time[run[i]]
            kept_at[i] = now
            j = i - 1
            while j >= bounds[r] and now - time[run[j]] <= DUPLICATE_WINDOW and now != NO_TIME:
                if types[run[j]] == types[run[i]]:
                    if now - kept_at[j] <= DUPLICATE_WINDOW:
                        kept_at[i] = kept_at[j]
                        duplicates += 1
                    break
                j -= 1
    return duplicates


@kernel
def earliest_value(
    carried: NDArray[np.float64],
    column: int,
    channel_rank: NDArray[np.float64],
    time: NDArray[np.int64],
    position: NDArray[np.int32],
    run: NDArray[np.int32],
    begin: int,
    end: int,
) -> float:
    """Return the first value that is not NaN in a run; among rows of one moment the highest."""
    best = np.nan
    when = where = np.int64(0)
    for i in range(begin, end):
        row = run[i]
        value = carried[row, column]
        if np.isnan(value):
            continue
        if column == _CHANNEL:
            value = channel_rank[int(value)]
        if np.isnan(best):
            best, when, where = value, time[row], np.int64(position[row])
        elif time[row] != when or position[row] != where:
            break
        else:
            best = max(best, value)
    return float(best)


@kernel
def _grade(types: np.uint64, grades: NDArray[np.int32], return_to_results: np.uint64) -> int:
    """Return the highest grade of a set of types; a return to the results takes a click back."""
    highest, bit = 0, 0
    left = types
    while left:
        if left & np.uint64(1):
            highest = max(highest, grades[bit])
        left >>= np.uint64(1)
        bit += 1
    return 0 if highest == 1 and types & return_to_results else highest


@kernel
def _longest(starts: NDArray[np.int64], first: int, end: int) -> int:
    """Return the most rows that an execution has."""
    longest = 0
    for e in range(first, end):
        longest = max(longest, starts[e + 1] - starts[e])
    return longest


@kernel
def _choose(
    by_execution: NDArray[np.int32],
    begin: int,
    end: int,
    types: NDArray[np.uint64],
    list_level: np.uint64,
    of_documents: bool,  # noqa: FBT001 - kernels take arguments by position
    chosen: NDArray[np.int32],
) -> int:
    """Copy the rows about documents, or those about the list; return how many there are."""
    m = 0
    for i in range(begin, end):
        if ((types[by_execution[i]] & ~list_level) != 0) == of_documents:
            chosen[m] = by_execution[i]
            m += 1
    return m


@kernel
def _fold(  # noqa: C901, PLR0915 - calls from the inner loop cost more than the work
    rows: RowColumns,
    signals: SignalMasks,
    starts: NDArray[np.int64],
    by_execution: NDArray[np.int32],
    first: int,
    end: int,
    pairs: PairColumns,
) -> tuple[int, int, int, int, int, int]:
    """Fold the executions from `first` to before `end` into `pairs`.

    Their pairs start at the place of their first row: there are never more pairs than rows, so
    that two ranges of executions never meet. Returns the number of pairs and what `FoldCounts`
    counts.
    """
    types, time, position, carried = rows.types, rows.time, rows.position, rows.carried
    document, rank, features = rows.document, rows.document_rank, rows.features
    execution, inferred_from = rows.execution, rows.inferred_from
    score, X, channel_rank = pairs.score, pairs.X, rows.channel_rank
    longest = _longest(starts, first, end)
    chosen = np.empty(longest, np.int32)
    run = np.empty(longest, np.int32)
    order = np.empty(longest, np.int32)
    spare = np.empty(longest, np.int32)
    bounds = np.empty(longest + 1, np.int32)
    keys = np.empty((3, longest), np.int64)
    kept_at = np.empty(longest, np.int64)
    p = starts[first]
    duplicates = list_level_rows = conflicts = clicks_only = list_level_only = 0
    for e in range(first, end):
        here, there = starts[e], starts[e + 1]
        own_id = here < there and execution[by_execution[here]] < inferred_from
        m = _choose(by_execution, here, there, types, signals.list_level, False, chosen)
        list_level_rows += m
        if m and own_id:
            n = find_runs(
                rank, document, time, position, chosen, m, keys, run, bounds, order, spare
            )
            repeats = _count_duplicates(types, time, run, bounds, n, kept_at)
            duplicates += repeats
            list_level_rows -= repeats
        m = _choose(by_execution, here, there, types, signals.list_level, True, chosen)
        n = find_runs(rank, document, time, position, chosen, m, keys, run, bounds, order, spare)
        if own_id:
            duplicates += _count_duplicates(types, time, run, bounds, n, kept_at)
        list_level_only += n == 0
        shown = n == 0
        for k in range(n):
            low, high = int(bounds[order[k]]), int(bounds[order[k] + 1])
            earliest = int(run[low])
            union, moved = types[earliest], False
            for i in range(low + 1, high):
                row = int(run[i])
                union |= types[row]
                moved |= position[row] != position[earliest]
            conflicts += moved
            tied = high - low > 1 and time[run[low + 1]] == time[earliest]
            score[p] = carried[earliest, _SCORE]
            for j in range(len(features)):
                column = features[j]
                value = carried[earliest, column]
                if np.isnan(value) or tied:
                    value = earliest_value(
                        carried, column, channel_rank, time, position, run, low, high
                    )
                elif column == _CHANNEL:
                    value = channel_rank[int(value)]
                X[p, j] = value
            if np.isnan(score[p]) or tied:
                score[p] = earliest_value(
                    carried, _SCORE, channel_rank, time, position, run, low, high
                )
            pairs.document[p] = rank[document[earliest]]
            pairs.position[p] = position[earliest]
            pairs.grade[p] = _grade(union, signals.grade, signals.return_to_results)
            pairs.clicked[p] = _grade(union, signals.grade, np.uint64(0)) >= 1
            pairs.negative[p] = (union & signals.negative) != 0
            shown |= (union & signals.impression) != 0 or not pairs.clicked[p]
            p += 1
        if shown:
            pairs.group[e] = n
        else:
            clicks_only += 1
            p -= n
    made = p - starts[first]
    return made, duplicates, list_level_rows, conflicts, clicks_only, list_level_only


def group_pairs(rows: RowColumns, signals: SignalMasks) -> tuple[PairColumns, FoldCounts]:
    """Fold rows into pairs, execution by execution.

    An execution makes pairs if it holds an impression, or a document that was not clicked: where
    only clicks were logged, nothing says what else was shown. Its pairs are ordered by position,
    then by document rank. Rows without an execution (code -1) are skipped.
    """
    n = len(rows.execution)
    pairs = PairColumns(
        np.zeros(len(rows.execution_rank), np.int32),
        lazy_zeros((n,), np.int32),
        lazy_zeros((n,), np.float32),
        lazy_zeros((n,), np.bool_),
        lazy_zeros((n,), np.bool_),
        lazy_zeros((n,), np.int32),
        lazy_zeros((n,), np.float64),
        lazy_zeros((n, len(rows.features)), np.float32),
    )
    starts, by_execution = _rows_by_execution(rows.execution, rows.execution_rank)
    cuts = _cuts(starts, available_threads() if n > _ROWS_PER_THREAD else 1)

    def fold(first: int, end: int) -> tuple[int, ...]:
        return _fold(rows, signals, starts, by_execution, first, end, pairs)

    with ThreadPoolExecutor(len(cuts) - 1, "rankloom-group") as threads:
        found = list(threads.map(fold, cuts[:-1], cuts[1:]))
    made = _close_up(pairs, starts[cuts[:-1]].tolist(), [each[0] for each in found])
    trimmed = PairColumns(
        pairs.group,
        pairs.document[:made],
        pairs.grade[:made],
        pairs.clicked[:made],
        pairs.negative[:made],
        pairs.position[:made],
        pairs.score[:made],
        pairs.X[:made],
    )
    return trimmed, FoldCounts(*(sum(counts) for counts in list(zip(*found, strict=True))[1:]))


def _cuts(starts: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """Return where to cut the executions so that every part has about as many rows."""
    shares = np.linspace(0, starts[-1], parts + 1)
    cuts = np.searchsorted(starts, shares)
    cuts[0], cuts[-1] = 0, len(starts) - 1
    return cuts


def _close_up(pairs: PairColumns, starts: list[int], made: list[int]) -> int:
    """Move the parts' pairs together, and return how many there are."""
    total = 0
    for start, count in zip(starts, made, strict=True):
        if start > total:
            for column in pairs[1:]:
                column[total : total + count] = column[start : start + count]
        total += count
    return total
