"""Codes for the channels of a unit: one channel's own code, or one for several channels.

A document that several channels found is logged once for each of them. A unit has one number for
all of its channels: -1 for none, the arm's code for one, a lower number than -1 for each set of
several, the same for equal sets of codes wherever in this process they are met. What is stored
names the channels themselves.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

NO_CHANNEL: Final = -1
_FIRST: Final = -2

_sets: list[tuple[int, ...]] = []
_codes: dict[tuple[int, ...], int] = {}
_lock = Lock()


def code_of(arms: Iterable[int]) -> int:
    """Return the code of some arms; codes below 0 among them are no arms.

    Examples
    --------
    >>> code_of([]), code_of([4, 4]), members(code_of([4, 2]))
    (-1, 4, (2, 4))
    """
    found = tuple(sorted({arm for arm in arms if arm >= 0}))
    if len(found) < 2:
        return found[0] if found else NO_CHANNEL
    code = _codes.get(found)
    if code is None:
        with _lock:
            code = _codes.setdefault(found, _FIRST - len(_sets))
            if code == _FIRST - len(_sets):
                _sets.append(found)
    return code


def members(code: int) -> tuple[int, ...]:
    """Return the arms of a code, in their order."""
    if code <= _FIRST:
        return _sets[_FIRST - code]
    return (code,) if code >= 0 else ()


def union(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the codes of what either of two codes names, pair by pair."""
    pairs, inverse = np.unique(np.stack([one, other], axis=1), axis=0, return_inverse=True)
    made = [code_of(members(a) + members(b)) for a, b in pairs.tolist()]
    return np.array(made, np.int32)[inverse.reshape(-1)]


def recoded(codes: NDArray[np.int32], arms: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return codes where every arm has another one, `arms` by the present ones; -1 drops it."""
    made = np.append(arms, NO_CHANNEL)[np.maximum(codes, NO_CHANNEL)].astype(np.int32)
    several = codes <= _FIRST
    if several.any():
        distinct, inverse = np.unique(codes[several], return_inverse=True)
        sets = [code_of(int(arms[arm]) for arm in members(code)) for code in distinct.tolist()]
        made[several] = np.array(sets, np.int32)[inverse.reshape(-1)]
    return made


def expanded(codes: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return every arm of every code, with its place among the codes.

    Examples
    --------
    >>> [each.tolist() for each in expanded(np.array([3, -1, code_of([2, 4])]))]
    [[0, 2, 2], [3, 2, 4]]
    """
    one, several = np.flatnonzero(codes >= 0), np.flatnonzero(codes <= _FIRST)
    arms = codes[one].astype(np.int64)
    if not len(several):
        return one, arms
    distinct, inverse = np.unique(codes[several], return_inverse=True)
    sets = [members(code) for code in distinct.tolist()]
    sizes = np.array([len(each) for each in sets])
    of_code = inverse.reshape(-1)
    ends = np.cumsum(sizes)
    flat = np.concatenate([np.array(each, np.int64) for each in sets])
    count = sizes[of_code]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    more = flat[np.repeat((ends - sizes)[of_code], count) + within]
    return np.concatenate([one, np.repeat(several, count)]), np.concatenate([arms, more])
