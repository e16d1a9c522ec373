"""Ids of the texts that requests name, remembered between requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.ids import stable_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_CACHED: Final = 256
"""Characters of a text that is remembered: what clients send must not fill the memory."""


class CachedIds:
    """`stable_ids` of texts, of which the ones used last are remembered.

    In two generations: when the newer one is full it becomes the older one, whose texts return
    to the newer one when they are used. A least-recently-used cache would write to memory for
    every id that it finds.

    Parameters
    ----------
    size : int
        Texts of a generation; the call that fills it stores all that it brings.

    Examples
    --------
    >>> [hex(id_) for id_ in CachedIds(100).ids_of(["u1"]).tolist()]
    ['0xd56a4e3f684d9992']
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._newer = _Generation({})

    def __len__(self) -> int:
        return len(self._newer) + len(self._newer.older)

    def __contains__(self, text: str) -> bool:
        return text in self._newer or text in self._newer.older

    def ids_of(self, texts: Sequence[str]) -> NDArray[np.uint64]:
        """Return the id of every text."""
        newer = self._newer
        if len(newer) >= self.size:
            newer.older = {}
            newer = self._newer = _Generation(newer)
        return np.fromiter(map(newer.__getitem__, texts), np.uint64, len(texts))


class _Generation(dict[str, int]):
    """Ids by text; one that it lacks comes from the generation before, or is made."""

    def __init__(self, older: dict[str, int]) -> None:
        super().__init__()
        self.older = older

    def __missing__(self, text: str) -> int:
        """Return the id of a text that this generation has not met."""
        found = self.older.get(text) or stable_id(text)
        if len(text) <= MAX_CACHED:
            self[text] = found
        return found
