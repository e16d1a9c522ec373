"""Texts and codes in the folder that all workers share, mapped where they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..loading.shared_texts import OF_PARTS, SharedTexts
from ..pairs.array_storage import read_texts, write_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray


def store_texts(folder: Path, texts: Mapping[str, pl.Series]) -> tuple[str, ...]:
    """Write the distinct texts of columns, but those of partitions; return the columns' names."""
    names = tuple(name for name in texts if name not in OF_PARTS)
    for number, name in enumerate(names):
        write_texts(_text_file(folder, number), "text", [texts[name]])
    return names


def stored_texts(folder: Path, names: Sequence[str]) -> dict[str, pl.Series]:
    """Return what `store_texts` wrote."""
    return {
        name: read_texts(_text_file(folder, number), "text").alias(name)
        for number, name in enumerate(names)
    }


def shared_texts(folder: Path, names: Sequence[str]) -> SharedTexts:
    """Return texts that were stored in their order as those that all parts share."""
    texts = stored_texts(folder, names)
    return SharedTexts({name: each.set_sorted() for name, each in texts.items()})


def store_codes(folder: Path, codes: Mapping[str, NDArray[np.int32]]) -> None:
    """Write the codes of a reading's texts among the shared ones."""
    for number, values in enumerate(codes.values()):
        np.save(_code_file(folder, number), values)


def stored_codes(folder: Path, names: Sequence[str]) -> dict[str, NDArray[np.int32]]:
    """Return what `store_codes` wrote for these columns."""
    return {
        name: np.load(_code_file(folder, number), mmap_mode="r")
        for number, name in enumerate(names)
    }


def _text_file(folder: Path, number: int) -> Path:
    return folder / f"texts-{number}.arrow"


def _code_file(folder: Path, number: int) -> Path:
    return folder / f"codes-{number}.npy"
