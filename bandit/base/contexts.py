"""Contexts as callers name them, and the keys of their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.ids import stable_id
from ...errors import InvalidInputError
from .ids import segment_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Context = tuple[str, ...]
"""``()`` for everything, ``("segment", *values)`` or ``("user", user_id)``."""

GLOBAL: Final[Context] = ()
"""The context of all interactions."""

GLOBAL_KEY: Final = stable_id("rankloom: all interactions")
"""The key of that context; segments and users go by their own ids."""


def keys_of(
    contexts: Sequence[Context], segment_by: tuple[str, ...]
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the keys of contexts, and which of them are users.

    Raises InvalidInputError if a context has none of these forms.
    """
    keys, is_user = [], []
    for context in contexts:
        kind, *values = context or ("",)
        if kind == "user" and len(values) == 1:
            keys.append(stable_id(values[0]))
        elif kind == "segment" and len(values) == len(segment_by) > 0:
            keys.append(segment_id(values))
        elif not context:
            keys.append(GLOBAL_KEY)
        else:
            msg = (
                "contexts: expected (), ('user', id) or ('segment', *values) with one value for "
                f"each of segment_by={segment_by}, got {context!r}"
            )
            raise InvalidInputError(msg)
        is_user.append(kind == "user")
    return np.array(keys, np.uint64), np.array(is_user, np.bool_)
