"""Executions of interactions without an execution_id: by session, query and time.

Interactions of one session and one query belong to one execution as long as no more than 30
minutes lie between two that follow each other in time. The order in which they come does not
matter where all of them are at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SESSION_GAP: Final = 30 * 60 * 1_000_000
"""Microseconds after which the same query of the same session is another execution."""


def infer_executions(
    key: NDArray[np.int64], time: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Assign interactions to executions.

    Parameters
    ----------
    key : ndarray of int64, shape (n,)
        Equal for the interactions of the same session and query.
    time : ndarray of int64, shape (n,)
        Microseconds.

    Returns
    -------
    execution : ndarray of int64, shape (n,)
        Number of each interaction's execution, by key and time.
    first : ndarray of intp, shape (executions,)
        The earliest interaction of each.

    Examples
    --------
    >>> minutes = 60_000_000
    >>> infer_executions(np.array([7, 7, 7]), np.array([61, 0, 30]) * minutes)
    (array([1, 0, 0]), array([1, 0]))
    """
    order = np.lexsort((time, key))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(key[order]) != 0) | (np.diff(time[order]) > SESSION_GAP)
    execution = np.empty(len(order), np.int64)
    execution[order] = np.cumsum(begins) - 1
    return execution, order[begins]


def continues(start: int, last: int, time: int) -> bool:
    """Return whether an interaction belongs to an execution that lasts from `start` to `last`."""
    return start - SESSION_GAP <= time <= last + SESSION_GAP


def inferred_id(session_id: str, digest: str, start: int | None) -> str:
    """Return the name of an execution: the same wherever and whenever it is inferred.

    Parameters
    ----------
    session_id : str
    digest : str
        Of the query; see `digest_of`.
    start : int or None
        Microseconds of the earliest interaction, None where no time is known.
    """
    return f"session:{session_id}:{digest}:{'' if start is None else start}"
