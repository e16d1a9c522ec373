"""Contexts as callers name them, and the keys by which sums are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidInputError
from ._contexts import GLOBAL
from ._ids import segment_id, stable_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Context = tuple[str, ...]
"""``()`` for everything, ``("segment", *values)`` or ``("user", user_id)``."""


def keys_of(
    contexts: Sequence[Context], segment_by: tuple[str, ...]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the keys of contexts, and which of them are users.

    Raises
    ------
    InvalidInputError
        If a context is of no known kind.
    """
    keys, is_user = [], []
    for context in contexts:
        kind, *values = context or ("",)
        if kind == "user" and len(values) == 1:
            keys.append(stable_id(values[0]))
        elif kind == "segment" and len(values) == len(segment_by) > 0:
            keys.append(segment_id(values))
        elif not context:
            keys.append(GLOBAL)
        else:
            msg = (
                "contexts: expected (), ('user', id) or ('segment', *values) with one value for "
                f"each of segment_by={segment_by}, got {context!r}"
            )
            raise InvalidInputError(msg)
        is_user.append(kind == "user")
    return np.array(keys, np.uint64), np.array(is_user, np.bool_)
