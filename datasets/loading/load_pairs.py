"""Interactions to training pairs: `load_pairs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ...errors import InvalidInputError
from ..pairs.array_storage import InMemory
from ..reading.scan import check_mapped
from ..record.times import microseconds
from .finish import finish
from .merge import merge_parts
from .out_of_core import MIN_LIMIT, load_out_of_core, parse_size
from .part import build_part
from .settings import BUILTIN_FEATURES, LoadSettings
from .side_tables import SideTables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ..pairs.training_pairs import TrainingPairs
    from ..reading.scan import Positions
    from ..record.mapping import TimeUnit


def load_pairs(
    source: Any,
    *,
    features: Any = None,
    impressions: Any = None,
    judgments: Any = None,
    builtin_features: Sequence[str] = BUILTIN_FEATURES,
    context: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
    half_life: float | None = None,
    now: datetime | None = None,
    drop_bots: bool = False,
    attribution: str | None = None,
    on_error: Literal["quarantine", "raise"] = "quarantine",
    quarantine: str | Path | None = None,
    memory_limit: int | str | None = None,
    workdir: str | Path | None = None,
) -> TrainingPairs:
    """Turn stored interactions into query-document pairs, one per execution and document.

    A pair's rows fold by maximum, so neither their order nor repeats change anything: its grade
    is the highest of its signals (a return to the results takes a plain click back), its position
    that of the earliest event.

    Parameters
    ----------
    source : path, URL, glob, list of paths, table, stream or list of dicts
        Interactions; see `Scan` for what is read.
    features : path or table, optional
        Columns keyed by ``feature_id``, or by ``execution_id`` and ``feature_id``. Text and truth
        values become categorical features, dates and times days since 1970. What is absent is NaN.
    impressions : path or table, optional
        What was shown, where the interactions do not say: ``execution_id``, ``feature_id``,
        ``position``, and possibly ``document_score``, a time, and further columns of numbers, truth
        values or declared categories (Categorical, Enum), which become features. Of all features,
        those that nearly determine the click are outcomes of it: they are left out and reported.
    judgments : path or table, optional
        Grades by people or models: ``query`` (as it is logged; with a `query_key` column, its id),
        ``feature_id``, ``grade`` (higher is better) and possibly ``source``, which names who
        judged. `Ranker` blends them with the clicks, each source as far as it agrees with them.
    builtin_features : sequence of str
        Which of the log's own columns become features; those that are nowhere filled do not.
    context : sequence of str
        Columns or metadata fields that describe an execution, such as ``"device"``.
    columns : mapping of str to str, optional
        Field of the interaction -> column of the tables, where their names differ.
    types : mapping of str to str, optional
        Type in the tables -> interaction type, built-in or named in `grades`.
    position_base : {0, 1}
        Position of the first result in the tables.
    time_unit : {"s", "ms", "us", "ns"}, optional
        Unit of times that are numbers, counted since 1970; without one they are refused.
    grades : mapping of str to int, optional
        Interaction type -> grade from 0 to 30, over the defaults; new names are new types.
    query_key : callable or str, optional
        Function from the parsed query snapshot to a query id, or the name of a column that holds
        the id; `canonical_query` if None.
    half_life : float, optional
        Days after which an execution weighs half: weights are proportional to
        2^(-age / half_life), and 1 in the mean over the executions.
    now : datetime, optional
        Where age is counted from; the log's last event if None. Naive means UTC.
    drop_bots : bool
        Whether to leave out executions that look like those of bots, by the rule stated in
        `rankloom.datasets.quality.bots`. A note says where there are any.
    attribution : str, optional
        A row without a position, such as a late purchase, takes that of its document in its
        execution. One that names no execution is quarantined, or, where this is a duration such as
        ``"12h"`` or ``"7d"``, attributed to its user's last display of the document within that
        time before it. All are counted in the report.
    on_error : {"quarantine", "raise"}
        What happens to a row that breaks a rule of the record.
    quarantine : path, optional
        File (.jsonl, .csv or .parquet) that takes the refused rows with their reasons.
    memory_limit : int or str, optional
        Bytes, or a size such as ``"2GB"``, from 256 MB on: rows are written to partitions in
        `workdir` by a hash of their execution and folded one partition after the other. The pairs
        are the same; their arrays are mapped from files, so that memory holds what is used of
        them. The limit is kept for logs whose distinct documents, queries and users, and 60 bytes
        an execution, take less than half of it; tables beside the log are held in memory whole.
        With `attribution`, the partitions are read once more, and rows that name neither an
        execution nor a position take some 250 bytes each: if these are more than half of the
        limit, that is an error.
    workdir : path, optional
        Folder for these files, some 100 bytes a row, which go with the pairs and even if the
        process is killed with the next load there; that of temporary files if None.

    Returns
    -------
    TrainingPairs
        With the account of every row in its `report`.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    NoExposuresError
        If the log holds no document that was shown and not clicked.
    StoreError
        If the disk of `workdir` becomes full.
    InvalidInputError
        If a parameter is wrong, or no row makes a pair.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs
    >>> shown = {"execution_id": "e", "interaction_type": ["impression"]}
    >>> rows = [{**shown, "feature_id": d, "position": i} for i, d in enumerate("abc")]
    >>> rows.append({**rows[1], "interaction_type": ["click"]})
    >>> pairs = load_pairs(rows)
    >>> pairs.document_id.to_list(), pairs.y.tolist()
    (['a', 'b', 'c'], [0.0, 1.0, 0.0])
    """
    settings = LoadSettings.of(
        builtin_features=builtin_features,
        context=context,
        columns=columns,
        types=types,
        position_base=position_base,
        time_unit=time_unit,
        grades=grades,
        query_key=query_key,
        half_life=half_life,
        now=now,
        drop_bots=drop_bots,
        attribution=attribution,
        on_error=on_error,
        quarantine=quarantine,
        has_impressions=impressions is not None,
    )
    limit = None if memory_limit is None else parse_size(memory_limit)
    if workdir is not None and limit is None:
        msg = "workdir: is for loading in partitions; give memory_limit, such as '2GB', too"
        raise InvalidInputError(msg)
    if limit is not None and limit < MIN_LIMIT:
        msg = f"memory_limit: expected at least 256 MB, got {memory_limit!r}"
        raise InvalidInputError(msg)
    tables = SideTables.read(
        settings, features=features, impressions=impressions, judgments=judgments
    )
    if limit is None:
        return _load_in_memory(source, settings, tables)
    return load_out_of_core(source, settings, tables, memory_limit=limit, workdir=workdir)


def _load_in_memory(source: Any, settings: LoadSettings, tables: SideTables) -> TrainingPairs:
    """Read all rows at once: the log is one part."""
    reader, on_error = settings.reader(), settings.on_error
    positions: Positions = "some" if tables.impressions is None else "optional"
    reader.read(source, on_error=on_error, positions=positions)
    if tables.impressions is not None:
        reader.read(tables.impressions, on_error=on_error, default_types=["impression"])
    check_mapped(*reader.scans)
    rows = reader.finish()
    reader.date_future_rows(rows, microseconds(settings.clock))
    log = merge_parts([build_part(rows, settings, reader)])
    return finish(
        log,
        settings,
        tables,
        InMemory(),
        scans=[scan.counts for scan in reader.scans],
        filled=reader.filled,
        unknown_context=[name for name in settings.context if rows.texts[name].is_empty()],
    )
