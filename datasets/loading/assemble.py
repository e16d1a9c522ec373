"""The pairs of all parts, moved into the order of their executions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..pairs.executions import own_where_missing
from ..pairs.fold import NO_TIME
from ..pairs.training_pairs import TrainingPairs
from .merge import ExecutionTexts
from .part import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from ..pairs.array_storage import ArrayStorage, ArrayWriter
    from ..pairs.load_report import LoadReport
    from .merge import MergedLog

CHUNK: Final = 1 << 20
"""Pairs that are moved at once."""

_TYPES: Final[dict[str, Any]] = {
    "document": np.int32,
    "grade": np.float32,
    "clicked": np.bool_,
    "negative": np.bool_,
    "position": np.int32,
    "score": np.float64,
    "X": np.float32,
}
"""Fields of `PairColumns` that have a value for every pair."""


def pair_columns(
    log: MergedLog, names: Sequence[str], storage: ArrayStorage
) -> dict[str, NDArray[Any]]:
    """Return columns of the pairs of `MergedLog.kept`, in the order of the executions."""
    if len(log.parts) == 1:
        return _of_one_part(log, names)
    rows = int(log.group.sum(dtype=np.int64))
    writers: dict[str, ArrayWriter] = {}
    for name in names:
        shape = (rows, len(log.features)) if name == "X" else (rows,)
        writers[name] = storage.array(name, _TYPES[name], shape)
    for executions in chunks(log):
        for name, values in zip(names, _chunk(log, executions, names), strict=True):
            writers[name].write(values)
    return {name: writer.finish() for name, writer in writers.items()}


def chunks(log: MergedLog) -> Iterator[NDArray[np.int64]]:
    """Yield the executions that make pairs, so many at once that `CHUNK` pairs are moved."""
    kept = log.kept
    ends = np.cumsum(log.group[kept], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    inner = np.searchsorted(ends, np.arange(CHUNK, total, CHUNK))
    cuts = np.unique(np.concatenate([[0], inner, [len(kept)]]))
    for start, end in pairwise(cuts):
        yield kept[start:end]


def _of_one_part(log: MergedLog, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the columns of the only part, which is in the right order, without a copy."""
    part = log.parts[0]
    columns: list[NDArray[Any]] = part.columns(0, int(part.offsets[-1]), names)
    if part.used:  # its codes are those of texts that were shared
        columns = [_with_common_codes(log, 0, *each) for each in zip(names, columns, strict=True)]
    dropped = part.pairs.group != log.group
    if dropped.any():
        kept = ~np.repeat(dropped, part.pairs.group)
        columns = [column[kept] for column in columns]
    return dict(zip(names, columns, strict=True))


def _chunk(
    log: MergedLog, executions: NDArray[np.int64], names: Sequence[str]
) -> list[NDArray[Any]]:
    """Return columns of the pairs of some executions, which follow each other in the order.

    The executions of a part are in the same order, so that those of a chunk lie next to each other.
    """
    part, place = log.part[executions], log.place[executions]
    start = np.empty(len(executions), np.int64)
    pieces: list[list[NDArray[Any]]] = []
    used = 0
    for number in np.unique(part):
        at = np.flatnonzero(part == number)
        offsets = log.parts[number].offsets
        first, end = int(offsets[place[at[0]]]), int(offsets[place[at[-1]] + 1])
        start[at] = used + offsets[place[at]] - first
        used += end - first
        columns = log.parts[number].columns(first, end, names)
        pieces.append(list(map(partial(_with_common_codes, log, number), names, columns)))
    group = log.group[executions]
    ends = np.cumsum(group, dtype=np.int64)
    rows = np.repeat(start - ends + group, group) + np.arange(ends[-1])
    return [np.concatenate(column)[rows] for column in zip(*pieces, strict=True)]


def _with_common_codes(log: MergedLog, part: int, name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Return values of a part with the codes that all parts have in common."""
    if name == "document":
        codes: NDArray[np.int32] = log.document_codes[part]
        common: NDArray[np.int32] = codes[values]
        return common
    if name == "X":
        values = values[:, [log.parts[part].features.index(each) for each in log.features]]
    if name == "X" and CHANNEL in log.features:
        column = log.features.index(CHANNEL)
        known = ~np.isnan(values[:, column])
        values[known, column] = log.channel_codes[part][values[known, column].astype(np.int32)]
    return values


@dataclass(frozen=True)
class Recency:
    """Age in days and weight of the executions that make pairs; shape (kept,)."""

    age: NDArray[np.float32]
    weight: NDArray[np.float32]


def assemble(
    log: MergedLog,
    recency: Recency,
    context: Sequence[str],
    report: LoadReport,
    storage: ArrayStorage,
) -> TrainingPairs:
    """Return the training pairs of a log without the user's own features."""
    kept = log.kept
    group, first = log.group[kept], log.first_time[kept]
    columns = pair_columns(log, list(_TYPES), storage)
    query, queries = named_queries(log)
    features = log.features
    return TrainingPairs(
        X=columns["X"],
        y=columns["grade"],
        clicked=columns["clicked"],
        negative=columns["negative"],
        group=group,
        position=columns["position"],
        document_score=columns["score"],
        age_days=_repeated("age_days", recency.age, group, storage),
        weight=_repeated("weight", recency.weight, group, storage),
        time=np.where(first == NO_TIME, np.iinfo(np.int64).min, first).view("datetime64[us]"),
        execution_id=_texts_of_kept(log, "execution_id", storage),
        query_code=query[kept],
        queries=queries,
        document_code=columns["document"],
        documents=log.documents,
        feature_names=features,
        categories={CHANNEL: tuple(log.channels)} if CHANNEL in features else {},
        context={name: _texts_of_kept(log, name, storage) for name in context},
        report=report,
    )


def named_queries(log: MergedLog) -> tuple[NDArray[np.int32], pl.Series]:
    """Return the query of every execution, its own where none is named, and all queries."""
    ids = ExecutionTexts(log.parts, log.part, log.place, "execution_id")
    return own_where_missing(log.query.copy(), log.queries, ids)


def _texts_of_kept(log: MergedLog, name: str, storage: ArrayStorage) -> pl.Series:
    texts = ExecutionTexts(log.parts, log.part, log.place, name)
    if len(log.parts) == 1:
        return texts.gather(log.kept).alias(name)
    return storage.texts(name, (texts.gather(executions) for executions in chunks(log)))


def _repeated(
    name: str, values: NDArray[np.float32], group: NDArray[np.int32], storage: ArrayStorage
) -> NDArray[np.float32]:
    """Return a value of every execution for each of its pairs."""
    writer = storage.array(name, np.float32, (int(group.sum(dtype=np.int64)),))
    for start in range(0, len(group), CHUNK):
        part = slice(start, start + CHUNK)
        writer.write(np.repeat(values[part], group[part]))
    return writer.finish()
