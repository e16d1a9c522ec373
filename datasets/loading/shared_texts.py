"""The distinct texts of a log's columns, which all of its parts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ..pairs.executions import query_codes
from ..pairs.text_codes import index_among

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from .settings import LoadSettings

OF_PARTS: Final = ("execution_id", "session_id")
"""Columns whose texts belong to one part each."""


@dataclass(frozen=True, eq=False)
class SharedTexts:
    """Sorted distinct texts by column; in `LoadSettings.query_ids` the ids of the queries."""

    texts: dict[str, pl.Series]

    def __getitem__(self, name: str) -> pl.Series:
        """Return the texts of a column."""
        return self.texts[name]


def share_texts(
    readings: Sequence[Mapping[str, pl.Series]], settings: LoadSettings
) -> tuple[SharedTexts, list[dict[str, NDArray[np.int32]]]]:
    """Return the texts that several readings of a log have together, and each one's codes in them.

    Parameters
    ----------
    readings : sequence of mapping of str to Series of String
        For each reading, the distinct texts of its columns.
    settings : LoadSettings
        Says what the query of a text is.
    """
    names = [name for name in readings[0] if name not in OF_PARTS]
    shared: dict[str, pl.Series] = {}
    codes: list[dict[str, NDArray[np.int32]]] = [{} for _ in readings]
    for name in names:
        texts = [reading[name] for reading in readings]
        common = texts[0] if len(texts) == 1 else pl.concat(texts).unique()
        coded = {}
        if name == settings.query_text:
            coded[settings.query_ids] = query_codes(common, settings.query_key)
        if name not in coded:
            distinct = common.sort()
            coded[name] = index_among(common, distinct).astype(np.int32), distinct
        for column, (of_common, distinct) in coded.items():
            shared[column] = distinct.set_sorted()
            for own, reading in zip(texts, codes, strict=True):
                is_common = own is common
                reading[column] = of_common if is_common else of_common[index_among(own, common)]
    return SharedTexts(shared), codes
