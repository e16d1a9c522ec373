"""Which executions `pairs[...]` means: a slice, numbers or a mask become numbers of executions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXPECTED = "a slice, a list or array of whole numbers, or a mask with a truth value for each"


def selected_executions(key: Any, n: int) -> NDArray[np.int64]:
    """Return the numbers of the executions that a key selects, in its order.

    Parameters
    ----------
    key : slice, array-like of int, or array-like of bool of shape (n,)
        Negative numbers count from the end. A tuple of a key and an ellipsis is that key, as
        scikit-learn selects from arrays.
    n : int
        Number of executions.

    Raises
    ------
    InvalidInputError
        If the key is none of these, a number is outside, or a mask has another length.

    Examples
    --------
    >>> selected_executions(slice(None, None, 2), 5)
    array([0, 2, 4])
    >>> selected_executions([True, False, True], 3)
    array([0, 2])
    """
    if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
        key = key[0]
    if isinstance(key, slice):
        return _sliced(key, n)
    if _is_number(key):
        msg = f"pairs[{key}]: one execution is selected by a list, pairs[[{key}]]"
        raise InvalidInputError(msg)
    chosen = _as_array(key)
    if chosen.dtype == np.bool_:
        if len(chosen) != n:
            msg = (
                f"pairs[...]: a mask needs one value for each of the {n:,} executions (not of the "
                f"rows), got {len(chosen):,}"
            )
            raise InvalidInputError(msg)
        return np.flatnonzero(chosen)
    return _inside(chosen.astype(np.int64), n)


def _sliced(key: slice, n: int) -> NDArray[np.int64]:
    try:
        return np.arange(*key.indices(n), dtype=np.int64)
    except (TypeError, ValueError) as error:
        msg = f"pairs[...]: a slice of executions needs whole numbers, got {key!r} ({error})"
        raise InvalidInputError(msg) from error


def _is_number(key: Any) -> bool:
    return isinstance(key, int | np.integer) and not isinstance(key, bool)


def _as_array(key: Any) -> NDArray[Any]:
    try:
        chosen = np.asarray(key)
    except (TypeError, ValueError):
        chosen = np.empty(0, dtype=object)
    if isinstance(key, list) and not key:
        chosen = chosen.astype(np.int64)
    if chosen.ndim != 1 or chosen.dtype.kind not in "biu":
        got = f"{type(key).__name__} {key!r}"[:100]
        msg = f"pairs[...]: executions are selected by {_EXPECTED} execution; got {got}"
        raise InvalidInputError(msg)
    return chosen


def _inside(chosen: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    outside = (chosen < -n) | (chosen >= n)
    if outside.any():
        number = int(chosen[np.argmax(outside)])
        msg = f"pairs[...]: there is no execution {number}, as there are {n:,} (0 to {n - 1:,})"
        raise InvalidInputError(msg + "; rows cannot be selected, only whole executions")
    return np.where(chosen < 0, chosen + n, chosen)
