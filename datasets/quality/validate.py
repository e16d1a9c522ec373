"""A check of stored interactions before anything is learnt from them."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from ..reading.displays import attribution_window
from ..reading.duplicates import mark_duplicates
from ..reading.open_sources import OpenedSources
from ..reading.quarantine import Quarantine, check_format
from ..reading.scan import Scan, check_mapped
from ..record.interaction import RECOMMENDED, InteractionType
from ..record.mapping import InputMapping
from ..record.signals import SignalTable
from .notes import RowCounts, quarantine_notes, query_notes
from .positions import PositionCounts, position_notes
from .unplaced import place_keys
from .validation_report import COVERED, ValidationReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ..reading.scan import Positions
    from ..record.mapping import TimeUnit

_EXAMPLES: Final = 5
_KEYS: Final = ("execution_id", "feature_id", "interaction_id")


def validate(
    sources: Any,
    *,
    impressions: Any = None,
    attribution: str | None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | Iterable[str] = (),
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    quarantine: str | Path | None = None,
) -> ValidationReport:
    """Read interactions, check every rule and report what was found.

    Parameters
    ----------
    sources : path, glob, table, list of dicts, or a list of paths and globs
        See `Scan`.
    impressions : path or table, optional
        What was shown, where the interactions do not say; its rows are counted too.
    attribution : str, optional
        As of `load_pairs`: the duration, such as ``"7d"``, within which rows without a position and
        an execution are attributed to their user's last display.
    columns : mapping of str to str, optional
        Field of the interaction -> column of the source, where their names differ.
    types : mapping of str to str, or iterable of str
        Type in the source -> interaction type; or names of types in addition to the built-in ones.
    position_base : {0, 1}
        Position of the first result in the source.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of times that are numbers, counted since 1970; without one they are refused.
    quarantine : path, optional
        Where to write the bad rows: .jsonl, .csv or .parquet.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a column is missing or of a wrong type.

    Examples
    --------
    >>> rows = [{"feature_id": "a", "interaction_type": ["click"], "position": p} for p in (0, -1)]
    >>> report = validate(rows)
    >>> report.rows_read, report.rows_kept, report.quarantined
    (2, 1, 1)
    """
    if quarantine is not None:
        check_format(quarantine)
    mapping = InputMapping.of(columns, types, position_base, time_unit)
    window = attribution_window(attribution)
    opened = OpenedSources(sources, "source", twice=False)
    shown = None if impressions is None else OpenedSources(impressions, "impressions", twice=False)
    signals = SignalTable.with_types(types)
    scans = _scans(opened, shown, signals, mapping)
    filled: Counter[str] = Counter()
    masks: Counter[int] = Counter()
    keys = [pl.DataFrame(schema=_key_schema())]
    for batch in chain.from_iterable(scan.batches() for scan in scans):
        filled.update(_filled(batch))
        masks.update(dict(batch["type_mask"].value_counts().rows()))
        keys.append(_keys(batch))
    check_mapped(*scans)
    rows, unplaced = place_keys(
        pl.concat(keys), scans[0], lambda: _scans(opened, shown, signals, mapping), window
    )
    if unplaced.refused.height:
        filled.subtract({name: int(unplaced.refused[name].sum()) for name in RECOMMENDED})
        filled.subtract({"time": int(unplaced.refused["event_time"].sum())})
        masks.subtract(dict(unplaced.refused["type_mask"].value_counts().rows()))
    duplicates = int(mark_duplicates(rows).sum())
    refused = Quarantine()
    for scan in scans:
        refused.extend(scan.quarantine)
    if quarantine is not None:
        refused.write(quarantine)
    queries = _queries(rows)
    notes = [
        *(note for scan in scans for note in scan.notes),
        *quarantine_notes(_row_counts(scans, refused, masks)),
        *position_notes(_positions(rows, signals)),
        *query_notes(*queries),
    ]
    return ValidationReport(
        rows_read=sum(scan.rows_read for scan in scans),
        rows_kept=rows.height - duplicates,
        duplicates=duplicates,
        quarantined=refused.rows,
        quarantine_reasons=refused.reasons,
        rows_placed=unplaced.placed,
        rows_attributed=unplaced.attributed,
        rows_unplaced=unplaced.refused.height,
        coverage={name: filled[name] / max(rows.height, 1) for name in COVERED},
        types=_per_type(masks, signals),
        examples=refused.head(_EXAMPLES).to_dicts(),
        executions=queries.executions,
        executions_without_query=queries.without,
        notes=notes,
    )


class _Queries(NamedTuple):
    """Executions of which no row names a query, and executions."""

    without: int
    executions: int


def _queries(rows: pl.DataFrame) -> _Queries:
    named = rows.drop_nulls("execution_id").group_by("execution_id").agg(pl.col("has_query").any())
    return _Queries(int((~named["has_query"]).sum()), named.height)


def _positions(rows: pl.DataFrame, signals: SignalTable) -> PositionCounts:
    """Count over executions, a document being at its first position in each."""
    shown = (pl.col("type_mask") & int(signals.implies_shown)) != 0
    lists = (
        rows.drop_nulls("execution_id")
        .filter(shown)
        .group_by("execution_id", "feature_id")
        .agg(pl.col("position").min())
        .sort("execution_id", "position")
    )
    group = lists["execution_id"].rle().struct.field("len").cast(pl.Int32)
    return PositionCounts.of(group.to_numpy(), lists["position"].to_numpy())


def _scans(
    sources: OpenedSources, shown: OpenedSources | None, signals: SignalTable, mapping: InputMapping
) -> list[Scan]:
    positions: Positions = "some" if shown is None else "optional"
    scans = [Scan(sources, signals=signals, mapping=mapping, positions=positions)]
    if shown is not None:
        scans.append(
            Scan(shown, signals=signals, mapping=mapping, default_types=["impression"]),
        )
    return scans


def _row_counts(scans: Sequence[Scan], refused: Quarantine, masks: Counter[int]) -> RowCounts:
    """Return what was read; types of the user's own count as positive, as they may have a grade."""
    signals = scans[0].signals
    own = [name for name in signals.vocabulary if name not in list(InteractionType)]
    positive = signals.positive | signals.mask(own)
    return RowCounts(
        sum(scan.rows_read for scan in scans),
        refused.rows,
        positive_kept=sum(rows for mask, rows in masks.items() if mask & int(positive)),
        positive_quarantined=sum(scan.refused_of(positive) for scan in scans),
        untyped=sum(scan.refused_untyped for scan in scans),
        reasons=refused.reasons,
    )


def _filled(batch: pl.DataFrame) -> dict[str, int]:
    found = {name: batch.height - batch[name].null_count() for name in RECOMMENDED}
    return found | {"time": batch.height - batch["event_time"].null_count()}


def _key_schema() -> dict[str, pl.DataType]:
    hashes = dict.fromkeys(_KEYS, pl.UInt64())
    others = {"type_mask": pl.UInt64(), "event_time": pl.Datetime("us"), "has_query": pl.Boolean()}
    return {**hashes, **others, "position": pl.Int32()}


def _keys(batch: pl.DataFrame) -> pl.DataFrame:
    # Hashes are a small fraction of the texts' memory, and never leave this function's caller.
    hashes = [pl.when(pl.col(n).is_not_null()).then(pl.col(n).hash()).alias(n) for n in _KEYS]
    has_query = pl.col("query_snapshot").is_not_null().alias("has_query")
    return batch.select(*hashes, "type_mask", "event_time", has_query, "position")


def _per_type(masks: Counter[int], signals: SignalTable) -> dict[str, int]:
    counts = {
        name: sum(count for mask, count in masks.items() if mask >> bit & 1)
        for bit, name in enumerate(signals.vocabulary)
    }
    found = ((name, count) for name, count in counts.items() if count)
    return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))
