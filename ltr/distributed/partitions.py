"""Rows of whole queries for each worker, checked there before LightGBM trusts them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from distributed import Client, Future
    from numpy.typing import NDArray

    from ..boosting.dataset import TrainingData

DEFAULT_LEVELS = 31
"""Labels that LightGBM has a gain for where no `label_gain` is given."""


def whole_lists(data: TrainingData, parts: int, seed: int) -> Iterator[TrainingData]:
    """Yield the data in parts of whole lists, with about the same number of rows.

    Lists go to the parts at random, as every worker finds the bins of some features on its own
    rows alone: those of one range of queries or times would not stand for all of them. Within a
    part the lists keep their order. A part without a list, where one list is as long as several
    parts, is left out. `parts`: at least 1.
    """
    if parts == 1:
        yield data
        return
    group = data.group.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(group))
    size = group[order]
    middle = np.cumsum(size) - size / 2
    part = np.empty(len(group), dtype=np.int64)
    part[order] = np.minimum(middle * parts / max(size.sum(), 1), parts - 1).astype(np.int64)
    for each in range(parts):
        chosen = part == each
        if chosen.any():
            yield _lists(data, group, chosen)


def _lists(data: TrainingData, group: NDArray[np.int64], chosen: NDArray[np.bool_]) -> TrainingData:
    rows = np.repeat(chosen, group)
    return replace(
        data,
        X=data.X[rows],
        y=data.y[rows],
        group=group[chosen],
        weight=None if data.weight is None else data.weight[rows],
        position=None if data.position is None else data.position[rows],
    )


@dataclass(frozen=True)
class Partition:
    """Rows of whole lists in the memory of one worker: futures of arrays, as in `TrainingData`."""

    X: Future[Any]
    y: Future[Any]
    group: Future[Any]
    weight: Future[Any] | None
    worker: str  # its address

    @classmethod
    def of(cls, client: Client, data: TrainingData, worker: str) -> Self:
        """Send the data to a worker."""

        def sent(array: NDArray[Any]) -> Future[Any]:
            whole = np.ascontiguousarray(array)
            future: Future[Any] = client.scatter(  # type: ignore[no-untyped-call]
                whole, workers=[worker], hash=False
            )
            return future

        weight = None if data.weight is None else sent(data.weight)
        return cls(sent(data.X), sent(data.y), sent(data.group), weight, worker)

    @property
    def futures(self) -> list[Future[Any]]:
        """All of its arrays."""
        return [each for each in (self.X, self.y, self.group, self.weight) if each is not None]


@dataclass(frozen=True)
class Outline:
    """What is looked at of a partition before LightGBM reads it."""

    rows: int
    columns: int
    labels: int
    weights: int | None
    rows_in_lists: int
    lists: int
    shortest_list: int
    lowest_label: float  # NaN where a label is none
    highest_label: float
    whole_labels: bool

    @classmethod
    def of(
        cls,
        X: NDArray[Any],
        y: NDArray[Any],
        group: NDArray[Any],
        weight: NDArray[Any] | None = None,
    ) -> Self:
        """Look at the arrays of a partition."""
        return cls(
            rows=len(X),
            columns=X.shape[1] if X.ndim == 2 else 0,
            labels=len(y),
            weights=None if weight is None else len(weight),
            rows_in_lists=int(group.sum()),
            lists=len(group),
            shortest_list=int(group.min(initial=1)),
            lowest_label=float(y.min()) if len(y) else 0.0,
            highest_label=float(y.max()) if len(y) else 0.0,
            whole_labels=bool((np.floor(y) == y).all()),
        )


def outlines(client: Client, partitions: Sequence[Partition]) -> list[Outline]:
    """Look at every partition on the worker that holds it."""
    found = [
        client.submit(
            Outline.of, each.X, each.y, each.group, each.weight, workers=[each.worker], pure=False
        )
        for each in partitions
    ]
    return list(client.gather(found))  # type: ignore[no-untyped-call]


def check_outlines(
    found: Sequence[Outline], features: int, params: Mapping[str, Any]
) -> Sequence[Outline]:
    """Return the outlines if LightGBM may train on their partitions.

    LightGBM's Dask side accepts groups that are not aligned with their partition, and ranks rows
    of different queries against each other; a label without a gain ends one worker and leaves the
    others waiting.

    `features`: columns that every partition must have. `params`: LightGBM's, under main names.
    Raises InvalidInputError otherwise.
    """
    for number, each in enumerate(found):
        fault = _fault(each, found[0], features, params)
        if fault:
            msg = f"partition {number} of {len(found)}: {fault}; no model was trained"
            raise InvalidInputError(msg)
    return found


def _fault(
    outline: Outline, first: Outline, features: int, params: Mapping[str, Any]
) -> str | None:
    if outline.rows == 0 or outline.lists == 0:
        return "it holds no rows; give every worker at least one whole query"
    if outline.columns != features:
        return f"it has {outline.columns} columns, expected the same {features} everywhere"
    if outline.rows_in_lists != outline.rows or outline.shortest_list < 1:
        return (
            f"its groups hold {outline.rows_in_lists:,} rows (the shortest {outline.shortest_list})"
            f", it has {outline.rows:,}: groups and rows are not aligned; "
            "a partition must hold whole queries"
        )
    if outline.labels != outline.rows or outline.weights not in (None, outline.rows):
        return f"it has {outline.rows:,} rows, {outline.labels:,} labels, {outline.weights} weights"
    if (outline.weights is None) != (first.weights is None):
        return "some partitions have weights and others have none"
    return _label_fault(outline, params)


def _label_fault(outline: Outline, params: Mapping[str, Any]) -> str | None:
    low, high = outline.lowest_label, outline.highest_label
    if not np.isfinite([low, high]).all():
        return "a label is no finite number"
    if params["objective"] != "lambdarank":
        return None
    levels = len(params.get("label_gain") or range(DEFAULT_LEVELS))
    if low < 0 or high >= levels or not outline.whole_labels:
        return (
            f"labels must be whole numbers from 0 to {levels - 1} (label_gain), got {low} to {high}"
        )
    return None
