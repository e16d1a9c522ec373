"""Arrays and sparse matrices as one .npz file: written whole, read without pickle.

Each array has the checksum of the ZIP format, which finds damage, not tampering.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from scipy import sparse

from ..._shared.atomic_files import write_whole
from ...errors import IntegrityError, StoreError, UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

_CSR: Final = ("data", "indices", "indptr", "shape")


def write_arrays(path: str | Path, format_name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays that hold no objects. Raises StoreError if the file cannot be written."""

    def write(name: str) -> None:
        # numpy would add a suffix to a path.
        with Path(name).open("wb") as file:
            np.savez(file, allow_pickle=False, kind=json_array(format_name), **arrays)

    try:
        write_whole(path, write)
    except OSError as error:
        msg = f"cannot write {str(path)!r}: {error}"
        raise StoreError(msg) from error


@contextmanager
def read_arrays(path: str | Path, format_name: str) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open what `write_arrays` wrote.

    Raises UnreadableSourceError if the file cannot be read, IntegrityError if it is damaged or of
    another format, also where that is found while its arrays are used.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = json_of(arrays["kind"])
            if found != format_name:
                msg = f"{str(path)!r}: expected a file of the format {format_name!r}, got {found!r}"
                raise IntegrityError(msg)
            yield arrays
    except OSError as error:
        msg = f"{str(path)!r}: the file cannot be read: {error}"
        raise UnreadableSourceError(msg) from error
    except (
        AttributeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        msg = (
            f"{str(path)!r}: expected a file of the format {format_name!r}; this one is damaged, "
            f"cut off or of another kind ({error}). Take another copy, or make it again"
        )
        raise IntegrityError(msg) from error


def csr_arrays(matrix: sparse.csr_matrix, prefix: str = "") -> dict[str, NDArray[Any]]:
    """Return a matrix by the names that `scipy.sparse.load_npz` reads, after a prefix."""
    arrays = {
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "shape": np.array(matrix.shape),
        "format": np.array(b"csr"),
    }
    return {prefix + name: array for name, array in arrays.items()}


def csr_of(arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> sparse.csr_matrix:
    """Return the matrix that `csr_arrays` described. Raises ValueError if it does not fit."""
    data, indices, indptr, shape = (arrays[prefix + name] for name in _CSR)
    matrix = sparse.csr_matrix((data, indices, indptr), tuple(shape.tolist()))
    matrix.check_format(full_check=True)
    return matrix


def id_array(ids: pl.Series) -> NDArray[np.uint8]:
    """Return ids as the bytes of a JSON list."""
    return json_array(ids.to_list())


def ids_of(array: NDArray[np.uint8], name: str) -> pl.Series:
    """Return the ids that `id_array` wrote."""
    return pl.Series(name, json_of(array), pl.String)


def json_array(value: Any) -> NDArray[np.uint8]:
    """Return a JSON value as an array of its bytes."""
    return np.frombuffer(json.dumps(value, separators=(",", ":")).encode(), np.uint8)


def json_of(array: NDArray[np.uint8]) -> Any:
    """Return the value that `json_array` wrote."""
    return json.loads(array.tobytes())
