"""Interactions in Spark to training pairs: `build_pairs`."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..._shared.checks import checked_number
from ...errors import InvalidInputError
from ..loading.finish import check_times
from ..loading.settings import BUILTIN_FEATURES, LoadSettings
from ..pairs.fold import NO_TIME
from .facts import Facts
from .fold_task import FoldTask
from .log_columns import LogColumns
from .result_rows import FACTS, ResultSchema
from .spark_pairs import SparkPairs

logger = logging.getLogger("rankloom")

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame

    from ..record.mapping import TimeUnit


def build_pairs(
    df: DataFrame,
    *,
    partitions: int | None = None,
    checkpoint: str | None = None,
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
    attribution: str | None = None,
) -> SparkPairs:
    """Turn interactions in a Spark DataFrame into query-document pairs, on its executors.

    Runs one job that shuffles the columns which are read, by execution, and folds each partition
    as `load_pairs` folds a log; a second one where rows lie in the future, whose time depends on
    all others.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Interactions, as `load_pairs` reads them from tables.
    partitions : int, optional
        Number of partitions of the shuffle: a task takes some 500 bytes of memory a row. None:
        Spark's own choice.
    checkpoint : str, optional
        Folder, or URL that Spark writes to, for the rows that the tasks return; it must not exist.
        None: they are persisted in memory and on the executors' disks, and computed again by
        each use where Spark cannot persist (on serverless compute).
    builtin_features, context, columns, types, position_base, time_unit, grades, query_key, \
half_life, now
        See `load_pairs`. A function as `query_key` runs on the executors.
    attribution : str, optional
        Refused: a row without an execution may belong to a display of any partition, and each is
        folded alone. `load_pairs(memory_limit=)` and Dask attribute such rows.

    Returns
    -------
    SparkPairs
        `pairs`, a DataFrame; `report`; `quarantine`; counts; `to_training_pairs`.

    Raises
    ------
    InvalidInputError
        If a parameter or a column is wrong, or no row makes a pair.
    NoExposuresError
        If the log holds no document that was shown and not clicked.

    Notes
    -----
    All rows of an execution are in one task: the key of the shuffle is the ``execution_id``, else
    the ``session_id``, whose rows are divided into executions by query and time. Tables beside the
    log (``features``, ``judgments``) join on the driver in `SparkPairs.to_training_pairs`, or as
    DataFrames; ``impressions`` come as rows of type ``impression``, by a union.

    Examples
    --------
    >>> from rankloom.datasets.spark import build_pairs
    >>> built = build_pairs(spark.table("interactions"))  # doctest: +SKIP
    >>> built.pairs.write.parquet("s3://bucket/pairs")  # doctest: +SKIP
    >>> built.click_counts("position", weighted=False).shown.sum()  # doctest: +SKIP
    np.float64(1000.0)
    >>> built.to_training_pairs()  # doctest: +SKIP
    TrainingPairs(1,000 pairs, 100 executions, 3 features, 114 clicked)
    """
    _check(df, partitions, attribution)
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
    )
    log = LogColumns.of(df, settings)
    rows = log.rows_by_execution(df, partitions)
    task = FoldTask(settings, log)
    result, facts = _run(rows, task, checkpoint, "rows")
    if facts.reading.rows_of_future and facts.latest_known != NO_TIME:
        _release(result)
        dated = replace(task, future_date=facts.latest_known)
        result, facts = _run(rows, dated, checkpoint, "rows-dated")
    built = SparkPairs(result, settings, facts)
    lists = facts.lists
    _ = built.report  # raises where the log is of no use
    if half_life is not None:
        check_times(lists.without_time, lists.executions)
    return built


def _run(
    rows: DataFrame, task: FoldTask, checkpoint: str | None, name: str
) -> tuple[DataFrame, Facts]:
    """Return the rows that the tasks return, stored if Spark can store them, and their facts."""
    result = rows.mapInArrow(task.function, ResultSchema.of(task.settings).ddl)
    if checkpoint is None:
        result = _persisted(result)
    else:
        folder = f"{checkpoint.rstrip('/')}/{name}"
        result.write.parquet(folder)
        result = result.sparkSession.read.parquet(folder)
    facts = result.filter(f"kind = '{FACTS}'").select("facts").collect()
    return result, Facts.of_all(bytes(row["facts"]) for row in facts)


def _persisted(result: DataFrame) -> DataFrame:
    try:
        return result.persist()
    except Exception as error:  # noqa: BLE001 - of classes that each kind of client has of its own
        logger.warning("the rows cannot be persisted, each use computes them again: %s", error)
        return result


def _release(result: DataFrame) -> None:
    """Give back what `_persisted` stored."""
    try:
        result.unpersist()
    except Exception as error:  # noqa: BLE001 - as above
        logger.warning("the rows cannot be released before the session ends: %s", error)


def _check(df: Any, partitions: Any, attribution: Any) -> None:
    if not hasattr(df, "mapInArrow"):
        kind = f"{type(df).__module__}.{type(df).__qualname__}"
        msg = (
            f"df: expected a DataFrame of Spark 3.5 or later, got {kind}. load_pairs reads other "
            "tables; `pip install 'rankloom[spark]'` adds pyspark where it is not installed"
        )
        raise InvalidInputError(msg)
    if attribution is not None:
        msg = (
            "attribution: cannot be done on Spark, where each partition is folded alone: a row "
            "without an execution may belong to a display of any partition. Leave it out, or write "
            "the log to files for load_pairs(memory_limit=) or rankloom.datasets.distributed"
        )
        raise InvalidInputError(msg)
    if partitions is not None:
        checked_number("partitions", partitions, 1, whole=True)
