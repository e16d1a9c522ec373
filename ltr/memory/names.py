"""Texts of ids, for people to read; serving needs none."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]


class Names(NamedTuple):
    """Ids in ascending order, and the text of each."""

    ids: Ids
    texts: NDArray[np.object_]

    @classmethod
    def of(cls, ids: Ids, texts: Sequence[str]) -> Names:
        """Return the names of ids in any order, each once."""
        kept, first = np.unique(ids, return_index=True)
        return cls(kept, np.array(texts, dtype=object)[first])

    def merged(self, other: Names) -> Names:
        """Return the names of both."""
        texts = np.concatenate([self.texts, other.texts])
        kept, first = np.unique(np.concatenate([self.ids, other.ids]), return_index=True)
        return Names(kept, texts[first])

    def only(self, ids: Ids) -> Names:
        """Return the names of some ids."""
        kept = np.isin(self.ids, ids)
        return Names(self.ids[kept], self.texts[kept])

    def texts_of(self, ids: Ids) -> list[str]:
        """Return the text of every id; its hexadecimal digits where it has none."""
        if not len(self.ids):
            return [f"#{id_:016x}" for id_ in ids.tolist()]
        place = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        known = self.ids[place] == ids
        texts = self.texts[place]
        return [
            text if found else f"#{id_:016x}"
            for text, found, id_ in zip(texts, known, ids.tolist(), strict=True)
        ]

    def to_bytes(self) -> NDArray[np.uint8]:
        """Return the texts, compressed."""
        packed = zlib.compress(msgspec.json.encode(self.texts.tolist()), 6)
        return np.frombuffer(packed, dtype=np.uint8)

    @classmethod
    def from_bytes(cls, ids: Ids, packed: NDArray[np.uint8]) -> Names:
        """Return what `to_bytes` packed; raises ValueError where that is damaged."""
        try:
            texts = msgspec.json.decode(zlib.decompress(packed.tobytes()), type=list[str])
        except (zlib.error, msgspec.MsgspecError) as error:
            msg = f"names cannot be read: {error}"
            raise ValueError(msg) from error
        if len(texts) != len(ids):
            msg = f"{len(texts)} names for {len(ids)} ids"
            raise ValueError(msg)
        made = np.empty(len(texts), dtype=object)
        made[:] = texts
        return cls(ids, made)


def no_names() -> Names:
    """Return no names."""
    return Names(np.zeros(0, np.uint64), np.zeros(0, object))
