"""Pairs of one part of a log with the codes and the weights that all parts have in common."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import polars as pl

from ..loading.assemble import Recency, assemble, named_queries
from ..loading.merge import MergedLog
from ..loading.settings import LoadSettings
from ..pairs.array_storage import InMemory, read_texts, write_texts
from ..pairs.load_report import LoadReport
from ..pairs.outcomes import chosen_queries, outcomes_among
from .cluster import run_tasks, share
from .log_parts import log_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from ..loading.finish import DescribedLog
    from ..loading.part import Part
    from ..loading.side_tables import SideTables
    from ..pairs.training_pairs import TrainingPairs
    from .log_parts import LogParts

T = TypeVar("T")
_TEXTS: Final = ("queries", "documents", "channels")
_CODES: Final = ("document_codes", "channel_codes")


@dataclass(frozen=True)
class PartRows:
    """Pairs of one part, and where they are among all.

    Attributes
    ----------
    pairs : TrainingPairs
        With the codes of queries, documents and channels of the whole log, and its weights; the
        features are those of `load_pairs`. Without judgements.
    first_row : ndarray of int64, shape (e,)
        Row of the first pair of each execution among all pairs of the log.
    """

    pairs: TrainingPairs
    first_row: NDArray[np.int64]

    @property
    def row(self) -> NDArray[np.int64]:
        """Row of every pair among all pairs of the log; shape (n,)."""
        within = np.arange(len(self.pairs)) - np.repeat(self.pairs.offsets[:-1], self.pairs.group)
        return np.asarray(np.repeat(self.first_row, self.pairs.group) + within)


@contextmanager
def pair_parts(
    source: Any,
    *,
    client: Any,
    workdir: str | Path | None = None,
    partitions: int | None = None,
    features: Any = None,
    impressions: Any = None,
    **parameters: Any,
) -> Iterator[PairParts]:
    """Build pairs on workers and leave them there; their files go at the end of the context.

    Parameters and errors as of `rankloom.datasets.distributed.load_pairs`, without judgements.
    Features by past behaviour (`behaviour_features`) need what came before each execution in all
    parts, so they are made from the log before, and given as `features`.

    Yields
    ------
    PairParts
    """
    settings = LoadSettings.of(**parameters, has_impressions=impressions is not None)
    with log_parts(
        source,
        settings,
        client=client,
        workdir=workdir,
        partitions=partitions,
        features=features,
        impressions=impressions,
    ) as parts:
        yield PairParts(parts)


@dataclass(frozen=True)
class _Common:
    """What the tasks have in common; texts are in files of `folder`."""

    folder: Path
    query_text: str
    context: tuple[str, ...]
    features: tuple[str, ...]
    tables: SideTables
    left_out: tuple[str, ...]


class PairParts:
    """The parts of a log as pairs, which stay with the workers.

    Parameters
    ----------
    parts : LogParts

    Attributes
    ----------
    report : LoadReport
        That of `load_pairs`, without what is found when features and judgements are joined.
    queries, documents : Series of String
    """

    def __init__(self, parts: LogParts) -> None:
        self._parts = parts
        self._described = parts.described()
        log = self._described.log
        self.report, self.documents = self._described.report, log.documents
        codes, self.queries = named_queries(log)
        _store_common(parts.folder, replace(log, queries=self.queries))
        tables = replace(parts.tables, impressions=None, judged=None)
        self._common = _Common(
            parts.folder,
            parts.settings.query_text,
            parts.settings.context,
            log.features,
            tables,
            tuple(self._outcomes(codes)),
        )
        self._orders = [
            _order_of(self._described, codes, number, parts.folder)
            for number in range(len(log.parts))
        ]

    def run(self, what: str, function: Callable[..., T], *arguments: Any) -> Iterator[T]:
        """Call a function with the `PartRows` of every part, on workers; yield what it returns.

        `what`: what is done, for errors. `function`: importable on the workers. Its results come
        to this process, so they should be small.
        """
        client, parts = self._parts.client, self._described.log.parts
        common = share(client, self._common)
        calls = [
            (common, _stored_only(part), order, function, arguments)
            for part, order in zip(parts, self._orders, strict=True)
        ]
        return run_tasks(client, what, _call, calls)

    def _outcomes(self, codes: NDArray[np.int32]) -> dict[str, float]:
        """Return the features that nearly determine the click, as `outcome_features` of all."""
        log, tables = self._described.log, self._parts.tables
        names = [*log.features, *(name for table, _ in tables.named for name in table.names)]
        kept = log.kept

        def sample_of(most: int) -> TrainingPairs:
            chosen = chosen_queries(codes[kept], log.group[kept], most)
            sample, recency = log, self._described.recency
            if chosen is not None:
                left_out = np.ones(len(codes), np.bool_)
                left_out[kept] = ~chosen[codes[kept]]
                sample = log.without(left_out)
                few = ~left_out[kept]
                recency = Recency(recency.age[few], recency.weight[few])
            pairs = assemble(sample, recency, (), LoadReport(), InMemory())
            return tables.append(pairs, (), InMemory())

        return outcomes_among(names, int(log.group.sum(dtype=np.int64)), sample_of)


def _order_of(described: DescribedLog, codes: NDArray[np.int32], number: int, folder: Path) -> Path:
    """Write what is known of the executions of a part, in their order, and return the file."""
    log = described.log
    own = np.flatnonzero(log.part == number)
    kept = np.zeros(len(log.group), np.bool_)
    kept[own] = True
    of_kept = kept[log.kept]
    first_row = np.cumsum(log.group, dtype=np.int64) - log.group
    path = folder / f"order-{number:05d}.npz"
    np.savez(
        path,
        place=log.place[own],
        group=log.group[own],
        group_of_part=log.parts[number].pairs.group,
        first_time=log.first_time[own],
        query=codes[own],
        user=log.user[own],
        first_row=first_row[own],
        age=described.recency.age[of_kept],
        weight=described.recency.weight[of_kept],
    )
    return path


def _stored_only(part: Part) -> Part:
    """Return a part without what its worker gets from files."""
    nothing, no_codes = pl.Series(dtype=pl.String), np.empty(0, np.int32)
    return replace(
        part,
        first_time=np.empty(0, np.int64),
        query=no_codes,
        user=no_codes,
        pairs=part.pairs._replace(group=no_codes),
        documents=nothing,
        queries=nothing,
        channels=nothing,
        users=nothing,
        met=None,
    )


def _call(
    common: _Common, part: Part, order: Path, function: Callable[..., T], arguments: tuple[Any, ...]
) -> T:
    return function(_part_rows(common, part, order), *arguments)


def _part_rows(common: _Common, part: Part, order: Path) -> PartRows:
    with np.load(order) as stored:
        known = {name: stored[name] for name in stored.files}
    part = replace(part, pairs=part.pairs._replace(group=known["group_of_part"]))
    texts, (documents, channels) = _stored_common(common.folder)
    log = MergedLog(
        parts=[part],
        part=np.zeros(len(known["group"]), np.int32),
        place=known["place"],
        group=known["group"],
        first_time=known["first_time"],
        query=known["query"],
        user=known["user"],
        **texts,
        document_codes=[documents],
        channel_codes=[channels],
        features=common.features,
    )
    recency = Recency(known["age"], known["weight"])
    pairs = assemble(log, recency, common.context, LoadReport(), InMemory())
    pairs = common.tables.append(pairs, common.left_out, InMemory())
    return PartRows(pairs, known["first_row"][log.kept])


def _store_common(folder: Path, log: MergedLog) -> None:
    """Write the texts of a whole log, and their codes, which are the same ones for all parts."""
    for name in _TEXTS:
        write_texts(folder / f"{name}.arrow", "text", [getattr(log, name)])
    for name in _CODES:
        np.save(folder / f"{name}.npy", getattr(log, name)[0])


def _stored_common(folder: Path) -> tuple[dict[str, pl.Series], list[NDArray[np.int32]]]:
    """Return what `_store_common` wrote, by name, and the codes of documents and of channels."""
    texts = {name: read_texts(folder / f"{name}.arrow", "text") for name in _TEXTS}
    return texts, [np.load(folder / f"{name}.npy", mmap_mode="r") for name in _CODES]
