"""Whether documents' moves follow their clicks: swaps then say what clicks were, not examination.

Production may move a document up because it was clicked. Its clicks before the move were then high
by chance or because its relevance rose, and swaps take the difference for the effect of the
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..counts.cells import sum_by

if TYPE_CHECKING:
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
    pairs: TrainingPairs, n_positions: int, rows: NDArray[np.int64] | None = None
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

    `rows`: those to look at, all by default, up to position `n_positions`.
    """
    runs = _runs(pairs, n_positions, rows) if pairs.has_times else None
    if runs is None:
        return None
    by_document = _test(runs, *_same_document(runs), "document")
    if by_document is not None:
        return by_document
    return _test(runs, *_all_documents(runs, n_positions), "position")


@dataclass(frozen=True)
class _Runs:
    """Runs of one (query, document) at one position, in order of time."""

    pair: NDArray[np.int64]
    query: NDArray[np.int32]
    position: NDArray[np.int64]
    shown: Floats
    clicks: Floats
    up: Floats  # 1 where the next run is further up, -1 further down, 0 where there is none


def _same_document(runs: _Runs) -> tuple[Floats, Floats]:
    """Return what every run adds, and its weight, by its document at its position."""
    order = np.lexsort((runs.position, runs.pair))
    new = np.append(True, (np.diff(runs.pair[order]) != 0) | (np.diff(runs.position[order]) != 0))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(new) - 1
    size, moves = int(place.max()) + 1, runs.up != 0
    shown = sum_by(place, runs.shown * moves, size)
    rate = sum_by(place, runs.clicks * moves, size) / np.maximum(shown, 1.0)
    both = np.bincount(place[runs.up > 0], minlength=size) > 0
    both &= np.bincount(place[runs.up < 0], minlength=size) > 0
    weight = np.where(both[place] & moves, runs.shown, 0.0)
    return np.where(weight > 0, runs.up * (runs.clicks - runs.shown * rate[place]), 0.0), weight


def _all_documents(runs: _Runs, n_positions: int) -> tuple[Floats, Floats]:
    """Return what every move adds, and its weight, by the click rates of positions."""
    shown, clicks = (sum_by(runs.position, each, n_positions) for each in (runs.shown, runs.clicks))
    surplus = runs.clicks / runs.shown - (clicks / np.maximum(shown, 1.0))[runs.position]
    following = np.minimum(np.arange(len(surplus)) + 1, len(surplus) - 1)
    total = runs.shown + runs.shown[following]
    weight = np.where(runs.up != 0, runs.shown * runs.shown[following] / total, 0.0)
    return runs.up * (surplus + surplus[following]) * weight, 2 * weight


def _test(runs: _Runs, each: Floats, weight: Floats, compared: str) -> Moves | None:
    used = np.flatnonzero(weight)
    if len(used) == 0:
        return None
    of_query = np.bincount(np.unique(runs.query[used], return_inverse=True)[1], each[used])
    spread = float(np.sqrt(of_query @ of_query))
    if len(of_query) < MIN_QUERIES or spread == 0:
        return None
    total, moves = float(of_query.sum()), int((runs.up != 0).sum())
    return Moves(moves, compared, total / float(weight.sum()), total / spread)


def _runs(pairs: TrainingPairs, n_positions: int, rows: NDArray[np.int64] | None) -> _Runs | None:
    rows = np.arange(len(pairs)) if rows is None else rows
    rows = rows[pairs.position[rows] < n_positions]
    if len(rows) == 0:
        return None
    key, execution = pairs.query_document[rows], pairs.execution_index[rows]
    order = np.lexsort((pairs.time[execution], key))
    key, position = key[order], pairs.position[rows][order].astype(np.int64)
    start = np.flatnonzero(np.append(True, (np.diff(key) != 0) | (np.diff(position) != 0)))
    pair, position = key[start], position[start]
    up = np.zeros(len(start))
    up[:-1] = np.where(np.diff(pair) == 0, -np.sign(np.diff(position)), 0)
    return _Runs(
        pair=pair,
        query=pairs.query_code[execution[order][start]],
        position=position,
        shown=np.diff(np.append(start, len(rows))).astype(np.float64),
        clicks=np.add.reduceat(pairs.clicked[rows][order].astype(np.float64), start),
        up=up,
    )
