"""Whether documents' moves follow their clicks: swaps then say what clicks were, not examination.

Production may move a document up because it was clicked. Its clicks before the move were then high
by chance or because its relevance rose, and swaps take the difference for the effect of the
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ..._shared.jit import kernel
from ..counts.cells import CellIndex, lengthened
from ..pairs.row_blocks import query_documents_of, row_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

ONE_SIDED: Final = 1.645
MIN_QUERIES: Final = 10


@dataclass(frozen=True)
class Moves:
    """Whether moves follow clicks.

    Attributes
    ----------
    count : int
        Moves of a (query, document) from one position to another, over time.
    compared : {"document", "position"}
        What was compared: one document at one position before it moved up and before it moved down;
        or, where documents hardly return to a position, all documents at a position before they
        moved up (or after they came down) and before they moved down (or after they came up).
    excess : float
        Click rate in the former case above that in the latter, halved. 0 where moves do not depend
        on clicks.
    z : float
        That, in standard errors over queries.
    """

    count: int
    compared: str
    excess: float
    z: float

    @property
    def follow_clicks(self) -> bool:
        """Whether the excess is above 0, one-sided at 95 %."""
        return self.z > ONE_SIDED

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "count": self.count,
            "compared": self.compared,
            "excess": self.excess,
            "z": self.z,
            "follow_clicks": self.follow_clicks,
        }


def find_moves(
    pairs: TrainingPairs, n_positions: int, executions: NDArray[np.int64] | None = None
) -> Moves | None:
    """Test whether moves follow clicks; None without times, or where too few queries have moves.

    A (query, document)'s executions in time are runs at one position: c_j clicks in n_j displays,
    then a move up (d_j = 1) or down (-1). Where documents return to positions, the statistic is

        sum_j d_j (c_j - n_j r_j)

    with r_j the click rate of the document at the run's position, over its runs there. Whatever
    ranked them, its mean is 0 where moves do not depend on clicks and relevance stays. Where they
    hardly return, it is

        sum_j d_j (m_j + m_j+1) n_j n_j+1 / (n_j + n_j+1)

    with m_j the run's click rate above that of its position over the log. Reversed in time it
    changes its sign, so its mean is 0 where moves do not depend on relevance either: rankers drawn
    at random, experiments, switches between rankers that are equally good. A switch to a better
    ranker is above 0, too.

    `executions`: those to look at, ascending; all by default. Positions below `n_positions` count.
    """
    if not pairs.has_times:
        return None
    if (np.diff(pairs.time) < np.timedelta64(0)).any():  # not the order of `load_pairs`
        chosen = np.arange(pairs.n_executions) if executions is None else executions
        pairs = pairs.take(chosen[np.argsort(pairs.time[chosen], kind="stable")])
        executions = None
    by_document = _test(_same_document(pairs, n_positions, executions), "document")
    if by_document is not None:
        return by_document
    return _test(_all_documents(pairs, n_positions, executions), "position")


class _Statistic(NamedTuple):
    """The statistic in parts, that belong to one query each."""

    query: NDArray[np.int64]
    value: Floats
    weight: Floats
    moves: int


def _same_document(
    pairs: TrainingPairs, n_positions: int, executions: NDArray[np.int64] | None
) -> _Statistic:
    """Compare documents with themselves at one position; one part for each of both.

    The sum over the runs j at a position is ``sum d c - r sum d n`` with whole numbers, so that the
    order of the runs does not matter.
    """
    keys, places = CellIndex(), CellIndex()
    runs = np.empty((0, 3), np.int64)
    sums = np.empty((0, 7), np.int64)
    moves = 0
    for key, position, clicked in _rows(pairs, n_positions, executions):
        pair = keys.add(key)
        place = places.add(pair * n_positions + position)
        runs, sums = lengthened(runs, len(keys)), lengthened(sums, len(places))
        moves += _add_runs(pair, place, position, clicked, runs, sums)
    shown, clicks, net_shown, net_clicks, ups, downs, _ = sums[: len(places)].T
    used = np.flatnonzero((ups > 0) & (downs > 0))
    rate = clicks[used] / shown[used]
    return _Statistic(
        query=keys.numbers[places.numbers[used] // n_positions] // max(len(pairs.documents), 1),
        value=net_clicks[used] - net_shown[used] * rate,
        weight=shown[used].astype(np.float64),
        moves=moves,
    )


def _all_documents(
    pairs: TrainingPairs, n_positions: int, executions: NDArray[np.int64] | None
) -> _Statistic:
    """Compare documents with all at their positions; one part for each that moved."""
    shown, clicks = np.zeros(n_positions), np.zeros(n_positions)
    for _, position, clicked in _rows(pairs, n_positions, executions):
        shown += np.bincount(position, minlength=n_positions)
        clicks += np.bincount(position, clicked, minlength=n_positions)
    rate = clicks / np.maximum(shown, 1.0)
    keys = CellIndex()
    runs, before = np.empty((0, 3), np.int64), np.empty((0, 3))
    sums = np.empty((0, 2))
    moves = 0
    for key, position, clicked in _rows(pairs, n_positions, executions):
        pair = keys.add(key)
        runs, before, sums = (lengthened(each, len(keys)) for each in (runs, before, sums))
        moves += _add_moves(pair, position, clicked, rate, runs, before, sums)
    _end_moves(rate, runs, before, sums)
    used = np.flatnonzero(sums[:, 1])
    query = keys.numbers[used] // max(len(pairs.documents), 1)
    return _Statistic(query, sums[used, 0], sums[used, 1], moves)


def _test(found: _Statistic, compared: str) -> Moves | None:
    if len(found.query) == 0:
        return None
    of_query = np.bincount(np.unique(found.query, return_inverse=True)[1], found.value)
    spread = float(np.sqrt(of_query @ of_query))
    if len(of_query) < MIN_QUERIES or spread == 0:
        return None
    total = float(of_query.sum())
    return Moves(found.moves, compared, total / float(found.weight.sum()), total / spread)


def _rows(
    pairs: TrainingPairs, n_positions: int, executions: NDArray[np.int64] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield query and document, position and click of all rows that count, in order of time."""
    for block in row_blocks(pairs, executions):
        key = query_documents_of(pairs, block)
        position, clicked = pairs.position[block.rows].astype(np.int64), pairs.clicked[block.rows]
        counted = position < n_positions
        if counted.all():
            yield key, position, clicked
        else:
            yield key[counted], position[counted], clicked[counted]


@kernel
def _add_runs(
    pair: NDArray[np.int64],
    place: NDArray[np.int64],
    position: NDArray[np.int64],
    clicked: NDArray[np.bool_],
    runs: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> int:
    """Add the runs that end in a move to the sums of their places; return how many there are.

    `runs`, by pair: displays, clicks and place of its latest run. `sums`, by place: displays,
    clicks, both of the runs before a move up less those before one down, the numbers of these
    moves, and the position.
    """
    moves = 0
    for row in range(len(pair)):
        run = runs[pair[row]]
        if run[0] == 0 or run[2] != place[row]:
            if run[0] > 0:
                moves += 1
                up = 1 if position[row] < sums[run[2], 6] else -1
                sums[run[2], 0] += run[0]
                sums[run[2], 1] += run[1]
                sums[run[2], 2] += up * run[0]
                sums[run[2], 3] += up * run[1]
                sums[run[2], 4 if up > 0 else 5] += 1
            run[0], run[1], run[2] = 0, 0, place[row]
            sums[place[row], 6] = position[row]
        run[0] += 1
        run[1] += clicked[row]
    return moves


@kernel
def _add_moves(
    pair: NDArray[np.int64],
    position: NDArray[np.int64],
    clicked: NDArray[np.bool_],
    rate: Floats,
    runs: NDArray[np.int64],
    before: Floats,
    sums: Floats,
) -> int:
    """Add moves whose second run has ended to the sums of their pairs; return how many began.

    `runs`, by pair: displays, clicks and position of its latest run. `before`, by pair: displays
    and surplus of the run before, and where it moved from there: 1 up, -1 down, 0 if there is none.
    `sums`, by pair: the statistic and its weight.
    """
    moves = 0
    for row in range(len(pair)):
        each = pair[row]
        run = runs[each]
        if run[0] == 0 or run[2] != position[row]:
            if run[0] > 0:
                moves += 1
                _end_run(rate, run, before[each], sums[each])
                before[each, 2] = 1 if position[row] < run[2] else -1
            run[0], run[1], run[2] = 0, 0, position[row]
        run[0] += 1
        run[1] += clicked[row]
    return moves


@kernel
def _end_moves(rate: Floats, runs: NDArray[np.int64], before: Floats, sums: Floats) -> None:
    """Add the moves to the last runs."""
    for each in range(len(runs)):
        if runs[each, 0] > 0:
            _end_run(rate, runs[each], before[each], sums[each])


@kernel
def _end_run(rate: Floats, run: NDArray[np.int64], before: Floats, sums: Floats) -> None:
    """Add the move to a run that has ended, and keep the run as the one before the next."""
    surplus = run[1] / run[0] - rate[run[2]]
    if before[2] != 0:
        weight = before[0] * run[0] / (before[0] + run[0])
        sums[0] += before[2] * (before[1] + surplus) * weight
        sums[1] += 2 * weight
    before[0], before[1] = run[0], surplus
