"""The evidence of single executions: one unit is one document that one execution showed.

Units fold by maximum, so neither their order nor repeats change anything. They are kept as long as
late clicks and deletions are to be possible; `closed_sums` holds what is left of them then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ..._shared.ids import NO_ID
from ..._shared.text_ids import stable_ids_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

NO_TIME: Final = np.iinfo(np.int64).max
"""Time of an execution whose source had none: later than all, so a known time folds over it."""

USER: Final = "user_id"
_MAX_POSITION: Final = int(np.iinfo(np.uint16).max)
_MAX_GRADE: Final = 255


class Units(NamedTuple):
    """Documents of executions, e executions and n units; ids are `stable_ids`."""

    id: NDArray[np.uint64]  # shape (e,): execution
    query: NDArray[np.uint64]  # shape (e,)
    user: NDArray[np.uint64]  # shape (e,): NO_ID where unknown
    time: NDArray[np.int64]  # shape (e,): microseconds since 1970, or NO_TIME
    execution: NDArray[np.int32]  # shape (n,): index of the execution
    document: NDArray[np.uint64]  # shape (n,)
    position: NDArray[np.uint16]  # shape (n,)
    grade: NDArray[np.uint8]  # shape (n,)
    examination: NDArray[np.float32]  # shape (n,)
    score: NDArray[np.float32]  # shape (n,): the prior's score, NaN where it was not given

    def take(self, executions: NDArray[np.bool_], units: NDArray[np.bool_] | None = None) -> Units:
        """Return the units of some executions, of these again some."""
        kept = executions[self.execution]
        if units is not None:
            kept &= units
        used = np.zeros(len(self.id), dtype=bool)
        used[self.execution[kept]] = True
        index = np.cumsum(used, dtype=np.int32) - 1
        of_executions = (column[used] for column in self[:4])
        of_units = (column[kept] for column in self[5:])
        return Units._make([*of_executions, index[self.execution[kept]], *of_units])

    @property
    def latest(self) -> int | None:
        """Time of the latest execution that has one."""
        known = self.time[self.time != NO_TIME]
        return int(known.max()) if len(known) else None


def no_units() -> Units:
    """Return an empty set of units."""
    kinds = ["u8", "u8", "u8", "i8", "i4", "u8", "u2", "u1", "f4", "f4"]
    return Units._make(np.zeros(0, dtype=kind) for kind in kinds)


def units_of(
    pairs: TrainingPairs,
    examination: NDArray[np.floating],
    scores: NDArray[np.floating] | None,
    query_ids: NDArray[np.uint64],
    document_ids: NDArray[np.uint64],
) -> Units:
    """Return the units of pairs.

    `query_ids`, `document_ids`: ids of `pairs.queries` and `pairs.documents`. `scores`: those of
    the prior, shape (n,).
    """
    executions = pairs.n_executions
    user = np.full(executions, NO_ID, dtype=np.uint64)
    if USER in pairs.context:
        known = pairs.context[USER].is_not_null().to_numpy()
        user[known] = stable_ids_of(pairs.context[USER].drop_nulls())
    time = pairs.time.astype("datetime64[us]").astype(np.int64)
    return Units(
        stable_ids_of(pairs.execution_id),
        query_ids[pairs.query_code],
        user,
        np.where(np.isnat(pairs.time), NO_TIME, time),
        pairs.execution_index,
        document_ids[pairs.document_code],
        _within(pairs.position, _MAX_POSITION).astype(np.uint16),
        _within(pairs.y, _MAX_GRADE).astype(np.uint8),
        examination.astype(np.float32, copy=False),
        np.full(len(pairs), np.nan, np.float32) if scores is None else scores.astype(np.float32),
    )


def _within(values: NDArray[Any], highest: int) -> NDArray[Any]:
    return values if values.max(initial=0) <= highest else np.minimum(values, highest)


def fold(parts: Sequence[Units]) -> Units:
    """Return the units of several sets, each once, ordered by execution and document.

    A unit has the earliest time and position, and the highest grade, examination and score that
    any of the sets has.
    """
    ids = np.concatenate([part.id for part in parts])
    starts_at = np.cumsum([0, *(len(part.id) for part in parts)])
    order = np.argsort(ids, kind="stable")
    starts = _starts(ids[order])
    index = np.empty(len(ids), dtype=np.int32)
    index[order] = np.cumsum(starts) - 1
    at = np.flatnonzero(starts)
    columns = [
        np.concatenate(column)[order] for column in zip(*(p[:4] for p in parts), strict=True)
    ]
    reductions = (np.maximum, np.maximum, np.maximum, np.minimum)
    executions = [_reduced(*each, at) for each in zip(reductions, columns, strict=True)]
    execution = np.concatenate(
        [index[part.execution + start] for part, start in zip(parts, starts_at, strict=False)]
    )
    rows = [np.concatenate(column) for column in zip(*(p[5:] for p in parts), strict=True)]
    order = np.lexsort((rows[0], execution))
    execution, rows = execution[order], [row[order] for row in rows]
    at = np.flatnonzero(_starts(execution) | _starts(rows[0]))
    by = (np.maximum, np.minimum, np.maximum, np.maximum, np.fmax)
    folded = [_reduced(*each, at) for each in zip(by, rows, strict=True)]
    return Units._make([*executions, execution[at], *folded])


def _starts(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    starts = np.ones(len(values), dtype=bool)
    starts[1:] = values[1:] != values[:-1]
    return starts


def _reduced(by: np.ufunc, values: NDArray[Any], at: NDArray[np.int64]) -> NDArray[Any]:
    return np.asarray(by.reduceat(values, at)) if len(values) else values
