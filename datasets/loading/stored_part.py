"""A part of a log on disk: what there is for every pair, and texts, are read when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..pairs.fold import PairColumns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .part import Part

_BATCH: Final = 1 << 14
"""Texts that are read at once."""


@dataclass(frozen=True)
class FileArray:
    """An array in a file; a slice of it is read into memory."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return some rows."""
        start, end, _ = rows.indices(len(self))
        width = int(np.prod(self.shape[1:], dtype=np.int64))
        values = np.fromfile(
            self.path,
            self.dtype,
            count=max(end - start, 0) * width,
            offset=start * width * self.dtype.itemsize,
        )
        return values.reshape(-1, *self.shape[1:]) if width else np.empty((end - start, 0))


@dataclass(frozen=True)
class FileTexts:
    """A column of text in an Arrow file; a slice of it is read into memory."""

    path: Path
    size: int

    def __len__(self) -> int:
        """Return the number of texts."""
        return self.size

    def __getitem__(self, rows: slice) -> pl.Series:
        """Return some texts."""
        import pyarrow as pa

        start, end, _ = rows.indices(self.size)
        with pa.OSFile(str(self.path), "rb") as file, pa.ipc.open_file(file) as reader:
            first = start // _BATCH
            batches = [reader.get_batch(i).column(0) for i in range(first, -(-end // _BATCH))]
        texts = pa.chunked_array(batches, pa.large_string())
        return pl.Series(texts.slice(start - first * _BATCH, end - start))


def store_part(part: Part, folder: Path) -> Part:
    """Write the pairs and the texts of a part to a new folder, and return the part with them."""
    folder.mkdir()
    pairs = part.pairs
    stored = {
        name: store_array(folder / f"{name}.bin", getattr(pairs, name))
        for name in PairColumns._fields
        if name != "group"
    }
    context = {
        name: _store_texts(folder / f"context-{number}.arrow", texts)
        for number, (name, texts) in enumerate(part.context.items())
    }
    return replace(
        part,
        pairs=pairs._replace(**stored),
        ids=_store_texts(folder / "ids.arrow", part.ids),
        context=context,
    )


def store_array(path: Path, array: NDArray[Any]) -> Any:
    """Write an array to a file, and return it as a `FileArray`."""
    with path.open("wb") as file:
        file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return FileArray(path, array.dtype, array.shape)


def _store_texts(path: Path, texts: pl.Series) -> Any:
    import pyarrow as pa

    column = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    schema = pa.schema([("text", pa.large_string())])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for start in range(0, len(column), _BATCH):
            writer.write_batch(pa.record_batch([column[start : start + _BATCH]], schema=schema))
    return FileTexts(path, len(texts))
