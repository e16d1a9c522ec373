"""Fitted neighbours as one file, with what they were found from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scipy import sparse

from ..engagement.arrays_file import (
    csr_arrays,
    csr_of,
    id_array,
    ids_of,
    json_array,
    json_of,
    read_arrays,
    write_arrays,
)
from .interactions import Ids, Interactions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


class StoredModel(NamedTuple):
    """What a file holds."""

    parameters: dict[str, Any]
    interactions: Interactions
    neighbours: sparse.csr_matrix  # empty where they are searched for when asked


def save_model(
    path: str | Path,
    format_name: str,
    parameters: Mapping[str, Any],
    interactions: Interactions,
    neighbours: sparse.csr_matrix | None = None,
) -> None:
    """Write a model. Raises StoreError if the file cannot be written."""
    arrays = {
        "parameters": json_array(dict(parameters)),
        **csr_arrays(interactions.engagement, "engagement_"),
    }
    if neighbours is not None:
        arrays |= csr_arrays(neighbours, "neighbours_")
    for ids in (interactions.users, interactions.documents):
        if ids.texts is not None:
            arrays[ids.name] = id_array(ids.texts)
    write_arrays(path, format_name, arrays)


def load_model(path: str | Path, format_name: str) -> StoredModel:
    """Read what `save_model` wrote. Raises UnreadableSourceError or IntegrityError."""
    with read_arrays(path, format_name) as arrays:
        engagement = csr_of(arrays, "engagement_")
        users, documents = (
            _ids(arrays, name, size)
            for name, size in zip(("user_id", "feature_id"), engagement.shape, strict=True)
        )
        stored = "neighbours_data" in arrays
        neighbours = csr_of(arrays, "neighbours_") if stored else sparse.csr_matrix((0, 0))
        interactions = Interactions(engagement, users, documents)
        return StoredModel(json_of(arrays["parameters"]), interactions, neighbours)


def _ids(arrays: Mapping[str, NDArray[Any]], name: str, size: int) -> Ids:
    texts = ids_of(arrays[name], name) if name in arrays else None
    if texts is not None and len(texts) != size:
        msg = f"{len(texts)} ids of {size}"
        raise ValueError(msg)
    return Ids(name, size, texts)
