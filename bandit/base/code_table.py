"""Names with small codes that never change, and the stable ids of those names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ..._shared.ids import stable_id
from .ids import segment_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Name = TypeVar("Name", str, tuple[str, ...])


class CodeTable(Generic[Name]):
    """Channels or segments in the order of their codes.

    `ids`, shape (len(names),): stable ids, by which two states compare names whatever their codes.
    """

    def __init__(self, names: Iterable[Name] = ()) -> None:
        self.names: list[Name] = []
        self._codes: dict[Name, int] = {}
        self.ids: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.add(names)

    def __len__(self) -> int:
        return len(self.names)

    def code(self, name: Name) -> int:
        """Return the code of a name, -1 where it has none."""
        return self._codes.get(name, -1)

    def codes(self, names: Iterable[Name]) -> NDArray[np.int32]:
        """Return the code of every name, -1 where it has none."""
        return np.array([self._codes.get(name, -1) for name in names], np.int32)

    def add(self, names: Iterable[Name]) -> None:
        """Give new names the next codes."""
        new = [name for name in dict.fromkeys(names) if name not in self._codes]
        if new:
            self._codes.update(zip(new, range(len(self.names), 2**31), strict=False))
            self.names.extend(new)
            ids = [stable_id(n) if isinstance(n, str) else segment_id(n) for n in new]
            self.ids = np.append(self.ids, np.array(ids, np.uint64))
