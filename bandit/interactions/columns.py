"""Interactions as dictionary-encoded columns: the fast way into `Evidence.update`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.ids import stable_ids
from ...errors import InvalidInputError
from ..base.timestamps import MAX_TIME, NO_TIME

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike, NDArray

_MISSING_ALLOWED = ("execution", "feature_uri", "user", "session", "query", "segment")
_OF_ROWS = (*_MISSING_ALLOWED, "document", "types", "time", "position", "scored", "live")


@dataclass(frozen=True, kw_only=True)
class EventColumns:
    """Interactions, one a row, as integer codes and the dictionaries that the codes index.

    Code -1 is a missing value. A dictionary of executions, documents, users, sessions or queries
    is a sequence of texts, or their `stable_ids` where the caller has them already.

    Attributes
    ----------
    execution, document : ndarray of int32, shape (n,)
    executions, documents : sequence of str, or ndarray of uint64
    types : ndarray of int32, shape (n,)
        Code of every row's set of interaction types.
    type_sets : sequence of collections of str
        Such as ``[["impression"], ["impression", "click"]]``.
    time : ndarray of int64 or datetime64, shape (n,)
        When it happened, in microseconds of UTC since 1970; NaT where unknown.
    position : ndarray of int32, shape (n,)
        0-based.
    feature_uri : ndarray of int32, shape (n,), optional
        The channel that found the document.
    feature_uris : sequence of str
        Channels.
    user, session, segment : ndarray of int32, shape (n,), optional
    users, sessions : sequence of str, or ndarray of uint64
    query : ndarray of int32, shape (n,), optional
        The query that was searched for.
    queries : sequence of str, or ndarray of uint64
        Texts that equal queries share, as `canonical_query` gives them.
    segments : sequence of tuple of str
        Values of the ``segment_by`` fields.
    scores : ndarray of float64, shape (m, c), optional
        Channels' scores as fused; NaN where a channel missed the document.
    weights : ndarray of float64, shape (m, c), optional
        Weights that were served.
    scored : ndarray of int32, shape (n,), optional
        Row of `scores` and `weights` of every row; None: the row of the same number.
    score_uris : sequence of str, length c, optional
        Channels of the columns of `scores` and `weights`; `feature_uris` if None.
    live : ndarray of bool, shape (n,), optional
        Rows that were observed as they happened, which move their session; None: none was.

    Examples
    --------
    >>> import numpy as np
    >>> columns = EventColumns(
    ...     execution=np.array([0, 0]), executions=["e1"],
    ...     document=np.array([0, 1]), documents=["d1", "d2"],
    ...     types=np.array([0, 1]), type_sets=[["impression"], ["impression", "click"]],
    ...     time=np.array([10, 20]), position=np.array([0, 1]),
    ...     feature_uri=np.array([0, 0]), feature_uris=["text"],
    ... )
    >>> len(columns)
    2
    """

    execution: NDArray[Any]
    executions: Sequence[str] | NDArray[np.uint64]
    document: NDArray[Any]
    documents: Sequence[str] | NDArray[np.uint64]
    types: NDArray[Any]
    type_sets: Sequence[Collection[str]]
    time: NDArray[Any]
    position: NDArray[Any]
    feature_uri: NDArray[Any] | None = None
    feature_uris: Sequence[str] = ()
    user: NDArray[Any] | None = None
    users: Sequence[str] | NDArray[np.uint64] = ()
    session: NDArray[Any] | None = None
    sessions: Sequence[str] | NDArray[np.uint64] = ()
    query: NDArray[Any] | None = None
    queries: Sequence[str] | NDArray[np.uint64] = ()
    segment: NDArray[Any] | None = None
    segments: Sequence[tuple[str, ...]] = ()
    scores: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    scored: NDArray[np.int32] | None = None
    score_uris: Sequence[str] | None = None
    live: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        dictionaries = {
            "execution": self.executions,
            "document": self.documents,
            "types": self.type_sets,
            "feature_uri": self.feature_uris,
            "user": self.users,
            "session": self.sessions,
            "query": self.queries,
            "segment": self.segments,
        }
        rows = len(self.execution)
        for name, dictionary in dictionaries.items():
            codes = getattr(self, name)
            if codes is not None:
                checked = _checked_codes(name, codes, rows, len(dictionary))
                object.__setattr__(self, name, checked)
        object.__setattr__(self, "time", _checked_time(self.time, rows))
        object.__setattr__(
            self, "position", _checked_codes("position", self.position, rows, 1 << 31)
        )
        if self.live is not None:
            object.__setattr__(self, "live", _checked_live(self.live, rows))
        self._check_scores(rows)

    def __len__(self) -> int:
        return len(self.execution)

    def interned(self) -> EventColumns:
        """Return the same columns with every dictionary of ids hashed.

        This saves time where several batches share dictionaries.
        """
        return replace(
            self,
            executions=ids_of(self.executions),
            documents=ids_of(self.documents),
            users=ids_of(self.users),
            sessions=ids_of(self.sessions),
            queries=ids_of(self.queries),
        )

    def until(self, now: int) -> tuple[EventColumns, int]:
        """Return the columns with times after `now` as of now, and how many there are."""
        future = self.time > now
        if not future.any():
            return self, 0
        return replace(self, time=np.minimum(self.time, now)), int(future.sum())

    def take(self, rows: NDArray[np.integer[Any]]) -> EventColumns:
        """Return some rows, by their numbers; the dictionaries and matrices stay."""
        values = {name: getattr(self, name) for name in _OF_ROWS}
        if self.scores is not None and self.scored is None:
            # Row i of the matrices was that of row i.
            values["scored"] = np.arange(len(self), dtype=np.int32)
        return replace(self, **{n: v[rows] for n, v in values.items() if v is not None})

    def _check_scores(self, rows: int) -> None:
        if self.scores is None:
            if self.weights is not None or self.scored is not None:
                msg = "scores: weights and scored are meaningless without scores; give scores too"
                raise InvalidInputError(msg)
            return
        if self.score_uris is None:
            object.__setattr__(self, "score_uris", self.feature_uris)
        height = rows if self.scored is None else len(self.scores)
        shape = (height, len(self.score_uris or ()))
        for name in ("scores", "weights"):
            matrix = getattr(self, name)
            if matrix is not None:
                object.__setattr__(self, name, _checked_matrix(name, matrix, shape))
        if self.scored is not None:
            checked = _checked_codes("scored", self.scored, rows, shape[0], missing=True)
            object.__setattr__(self, "scored", checked)


def ids_of(dictionary: Sequence[str] | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the stable ids of a dictionary, which may hold them already."""
    if isinstance(dictionary, np.ndarray) and dictionary.dtype == np.uint64:
        return np.ascontiguousarray(dictionary)
    return stable_ids(dictionary)


def _checked_codes(
    name: str, codes: ArrayLike, rows: int, size: int, *, missing: bool | None = None
) -> NDArray[np.int32]:
    array = np.asarray(codes)
    if array.ndim != 1 or len(array) != rows or not np.issubdtype(array.dtype, np.integer):
        msg = (
            f"{name}: expected {rows} whole numbers, as many as execution has, got an array of "
            f"{array.dtype} and shape {array.shape}"
        )
        raise InvalidInputError(msg)
    lowest = -1 if (name in _MISSING_ALLOWED if missing is None else missing) else 0
    if rows and (array.min() < lowest or array.max() >= size):
        limit = "position" if name == "position" else "code"
        msg = (
            f"{name}: expected {limit}s from {lowest} to {size - 1}, got {int(array.min())} to "
            f"{int(array.max())}"
        )
        raise InvalidInputError(msg)
    return np.ascontiguousarray(array, np.int32)


def _checked_time(time: ArrayLike, rows: int) -> NDArray[np.int64]:
    array = np.asarray(time)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]").view(np.int64)
    if array.shape != (rows,) or array.dtype.kind not in "iu":
        msg = (
            f"time: expected {rows} whole microseconds or datetime64, got an array of "
            f"{array.dtype} and shape {array.shape}"
        )
        raise InvalidInputError(msg)
    whole = np.ascontiguousarray(array, np.int64)
    if rows and (whole.min() < -MAX_TIME or whole.max() > MAX_TIME):
        whole = np.where(whole == np.iinfo(np.int64).min, NO_TIME, whole)
        known = whole[whole != NO_TIME]
        if len(known) and np.abs(known).max() > MAX_TIME:
            msg = (
                f"time: expected microseconds since 1970, got {int(known[np.abs(known).argmax()])}"
            )
            raise InvalidInputError(msg)
    return whole


def _checked_live(live: ArrayLike, rows: int) -> NDArray[np.bool_]:
    array = np.asarray(live)
    if array.shape != (rows,) or array.dtype != np.bool_:
        msg = (
            f"live: expected {rows} values True or False, got an array of {array.dtype} and shape "
            f"{array.shape}"
        )
        raise InvalidInputError(msg)
    return array


def _checked_matrix(name: str, values: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    matrix = np.ascontiguousarray(values, np.float64)
    if matrix.shape != shape:
        msg = f"{name}: expected shape {shape} (rows, feature_uris), got {matrix.shape}"
        raise InvalidInputError(msg)
    return matrix
