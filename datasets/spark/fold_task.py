"""What a Spark task does: its rows, all there are of their executions, folded into pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ..loading.part import build_part
from ..pairs.fold import NO_TIME
from ..record.times import microseconds
from .facts import Facts, ListFacts, ReadingFacts
from .result_rows import ResultSchema
from .task_source import TaskSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

    from ..loading.part import Part
    from ..loading.settings import LoadSettings
    from .log_columns import LogColumns


@dataclass(frozen=True)
class FoldTask:
    """The parameters of a task.

    Attributes
    ----------
    settings : LoadSettings
        With the clock of the driver, so that a task that runs again gives the same rows.
    columns : LogColumns
    future_date : int or None
        Date of rows of the future, in microseconds; None: the clock.
    """

    settings: LoadSettings
    columns: LogColumns
    future_date: int | None = None

    @property
    def function(self) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
        """The task as Spark takes it."""

        def fold(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return self.fold(batches)

        return fold

    def fold(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield what a task returns; nothing where it gets no rows."""
        settings = self.settings
        reader = settings.reader()
        source = TaskSource(batches, self.columns, reader)
        reader.read(source, on_error="quarantine", positions="some")
        scan = reader.scans[0]
        if not scan.rows_read:
            return
        rows = reader.finish()
        clock = microseconds(settings.clock)
        known = int(rows.time[rows.time != clock].max(initial=NO_TIME))
        if self.future_date is not None:
            rows.time[rows.time == clock] = self.future_date
        context = [name for name in settings.context if len(rows.texts[name])]
        part = build_part(rows, settings, reader, settings.builtin_features)
        schema = ResultSchema.of(settings)
        facts = Facts(
            reading=ReadingFacts.of(scan.counts),
            counts=part.counts,
            positions=part.positions,
            lists=ListFacts.of(part, settings),
            filled=reader.filled,
            latest=part.latest,
            latest_known=known,
            context=context,
            texts=_texts_beside_pairs(part),
        )
        yield from schema.batches(schema.facts(facts.to_bytes()))
        refused = scan.quarantine.to_frame()
        named = refused.with_columns(source.rows_named(refused["row"]).alias("row"))
        yield from schema.batches(schema.refused(named))
        for frame in schema.rows_of(part):
            yield from schema.batches(frame)


def _texts_beside_pairs(part: Part) -> dict[str, list[str]]:
    """Return documents and queries that no pair has, and all channels."""
    queries = part.query[part.pairs.group > 0]
    return {
        "documents": _unused(part.documents, pl.Series(part.pairs.document)),
        "queries": _unused(part.queries, pl.Series(queries)),
        "channels": part.channels.to_list(),
    }


def _unused(texts: pl.Series, codes: pl.Series) -> list[str]:
    index = pl.Series(range(len(texts)), dtype=pl.Int64)
    return texts.filter(~index.is_in(codes.unique().cast(pl.Int64).implode())).to_list()
