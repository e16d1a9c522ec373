"""Features that lie in a file, as LightGBM reads them: part by part, without a copy of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .array_storage import give_back, is_mapped, unchanged_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS: Final = 1 << 16
"""Rows that LightGBM takes at once."""


def lightgbm_rows(X: NDArray[np.float32]) -> Any:
    """Return the features as `lightgbm.Dataset` takes them: the array itself, unless it is mapped.

    LightGBM reads an array in memory without a copy. Of a mapped one all pages would stay in memory
    that it has read; a `lightgbm.Sequence` gives them back. The bins and the model are the same.
    """
    if not is_mapped(X):
        return X
    import lightgbm

    files = unchanged_files(X)

    class MappedRows(lightgbm.Sequence):
        """The rows of a mapped array."""

        batch_size = _ROWS

        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, rows: Any) -> NDArray[np.float64]:
            part: NDArray[np.float64] = X[rows].astype(
                np.float64
            )  # the only type that LightGBM takes here
            if isinstance(rows, slice):
                give_back(files)
            return part

    return MappedRows()
