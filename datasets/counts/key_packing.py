"""A (query, document) and a state as one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from .cells import CellIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..pairs.training_pairs import TrainingPairs

    Integers = NDArray[np.int64]

_LARGEST: Final = 2**62


class KeyPacking:
    """Packs `TrainingPairs.query_document` and a state; where it would overflow, keys are numbered.

    `states`: how many there are.
    """

    def __init__(self, pairs: TrainingPairs, states: int) -> None:
        self._states = states
        keys = max(len(pairs.queries), 1) * max(len(pairs.documents), 1)
        self._names = CellIndex() if keys > _LARGEST // states else None

    def pack(self, key: Integers, state: Integers) -> Integers:
        """Return one number for each key and state."""
        if self._names is not None:
            key = self._names.add(key)
        return key * self._states + state

    def ordered(self, packed: Integers) -> tuple[Integers, Integers, Integers]:
        """Return the order of packed numbers by key, then by state, and both in this order."""
        if self._names is None:
            order = np.argsort(packed)
            return order, *np.divmod(packed[order], self._states)
        number, state = np.divmod(packed, self._states)
        key = self._names.numbers[number]
        order = np.lexsort((state, key))
        return order, key[order], state[order]
