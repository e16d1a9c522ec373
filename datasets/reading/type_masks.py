"""Interaction types as bitmasks over a vocabulary, however other tools write them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..._shared.jit import kernel
from ..record.type_names import known_name, mapped_name, names_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MISSING, NULL, UNKNOWN = 1, 2, 3
"""Why a row has no mask; 0 where it has one."""


class TypeReader:
    """Reads the interaction types of a source into bitmasks, however its names are written.

    Parameters
    ----------
    vocabulary : sequence of str
        Bit index -> name.
    names : dict of str to str
        Name in the data -> name in the vocabulary.

    Attributes
    ----------
    rewritten : Counter of (str, str)
        (Name in the data, known name) -> rows, for names that were not mapped by the user.

    Examples
    --------
    >>> reader = TypeReader(["view", "click"], {"Buy": "click"})
    >>> lists = reader.lists(pl.Series(["click|view", "['CLICK']", "Buy", "clik", ""]))
    >>> masks, status = reader.masks(lists)
    >>> masks.tolist(), status.tolist(), reader.rewritten
    ([3, 2, 2, 0, 0], [0, 0, 0, 3, 1], Counter({('CLICK', 'click'): 1}))
    >>> reader.known(lists).to_list()[:3]
    [['click', 'view'], ['click'], ['click']]
    """

    def __init__(self, vocabulary: Sequence[str], names: Mapping[str, str]) -> None:
        self._bits = {name: bit for bit, name in enumerate(vocabulary)}
        self._names = {**{name: name for name in vocabulary}, **names}
        self._learned: dict[str, str] = {}
        self.rewritten: Counter[tuple[str, str]] = Counter()

    def lists(self, texts: pl.Series) -> pl.Series:
        """Return lists of names from texts that hold one name or several."""
        # A log holds few distinct texts, so each is split once.
        distinct = texts.unique().drop_nulls().sort()
        split = [[_text(name) for name in names_of(text, self._names)] for text in distinct]
        lists = pl.Series(texts.name, split, pl.List(pl.String))
        if texts.is_empty() or distinct.is_empty():
            return pl.repeat(None, len(texts), dtype=pl.List(pl.String), eager=True)
        places = distinct.search_sorted(texts)
        return lists.gather(pl.Series(places).set(texts.is_null(), None))

    def masks(self, lists: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        """Return the bitmask over the vocabulary, and the status, of every list."""
        masks, status = self._fold(lists)
        if (status == UNKNOWN).any() and self._learn(lists.filter(pl.Series(status == UNKNOWN))):
            masks, status = self._fold(lists)
        if self._learned:
            names = lists.explode().value_counts().rows()
            found = {n: rows for n, rows in names if n in self._learned}
            self.rewritten.update({(n, self._learned[n]): rows for n, rows in found.items()})
        return masks, status

    def known(self, lists: pl.Series) -> pl.Series:
        """Return the lists with the names of the vocabulary; others stay as they are."""
        renamed = {name: known for name, known in self._names.items() if name != known}
        if not renamed:
            return lists
        return lists.list.eval(pl.element().replace(renamed))

    def unknown(self, lists: pl.Series) -> pl.Series:
        """Return the first unknown name of every list."""
        unknown = ~pl.element().is_in(list(self._names))
        return lists.list.eval(pl.element().filter(unknown)).list.first()

    def _learn(self, lists: pl.Series) -> bool:
        """Note the unknown names that mean known ones; return whether there are any."""
        names = [n for n in lists.explode().drop_nulls().unique() if n not in self._names]
        found = {
            name: known
            for name in names
            if (known := known_name(name, self._bits) or mapped_name(name, self._names))
        }
        self._learned |= found
        self._names |= found
        return bool(found)

    def _fold(self, lists: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
        lengths = lists.list.len().fill_null(0).to_numpy()
        names = lists.explode(empty_as_null=False, keep_nulls=False)
        blank = names.is_null() | (names.str.len_bytes() == 0)
        bits = np.array([self._bits[known] for known in self._names.values()], np.uint64)
        return _fold(
            lengths,
            names.hash().to_numpy(),
            blank.to_numpy() if blank.any() else _NONE,
            pl.Series(list(self._names), dtype=pl.String).hash().to_numpy(),
            bits,
        )


def _text(name: Any) -> str | None:
    return name if name is None or isinstance(name, str) else json.dumps(name)


_NONE: Final = np.empty(0, np.bool_)


@kernel
def _fold(
    lengths: NDArray[np.uint32],
    names: NDArray[np.uint64],
    blank: NDArray[np.bool_],
    known: NDArray[np.uint64],
    bits: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Fold the hashed names of every row into its mask and its status.

    Comparing 64-bit hashes with those of the known names is several times as fast as casting every
    name to an enumeration; a name that shares a hash with one of the few known ones has a
    probability of 1e-18.
    """
    masks = np.zeros(len(lengths), np.uint64)
    status = np.zeros(len(lengths), np.uint8)
    at, last = 0, 0
    for row in range(len(lengths)):
        if lengths[row] == 0:
            status[row] = MISSING
        for _ in range(lengths[row]):
            name = names[at]
            if len(blank) and blank[at]:
                status[row] = max(status[row], NULL)
            else:
                if name != known[last]:
                    last = 0
                    while last < len(known) and known[last] != name:
                        last += 1
                if last < len(known):
                    masks[row] |= np.uint64(1) << bits[last]
                else:
                    last = 0
                    status[row] = max(status[row], UNKNOWN)
            at += 1
    return masks, status
