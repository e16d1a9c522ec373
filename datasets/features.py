"""The user's own features: a table keyed by document, or by execution and document, joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..errors import InvalidInputError, UnreadableSourceError
from .interaction import InteractionType, canonical_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .training_pairs import TrainingPairs

KEYS: Final[tuple[str, ...]] = ("execution_id", "feature_id")
LEAKS: Final = frozenset(
    {
        "position",
        "rank",
        "list_rank",
        "display_position",
        "clicked",
        "is_clicked",
        "clicks",
        "label",
        "grade",
        "y",
        "relevance",
        *(str(name) for name in InteractionType),
    }
)
"""Names of columns that hold the position or the label itself."""

_CHUNK: Final = 1 << 18


def read_feature_table(source: Any, parameter: str = "features") -> pl.DataFrame:
    """Read a table of numeric features with its key columns as text.

    Parameters
    ----------
    source : path or table
        Parquet, CSV or JSON lines by suffix; a polars, pandas or Arrow table.
    parameter : str
        Named in errors.

    Returns
    -------
    polars.DataFrame
        ``execution_id`` (where the table has it), ``feature_id``, then features as Float32.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, damaged or of an unknown suffix.
    InvalidInputError
        If a key is missing, null or repeated, a column is not numeric, holds an infinite value,
        or by its name leaks the position or the label.
    """
    table = _as_frame(source, parameter)
    if "feature_id" not in table.columns and "document_id" in table.columns:
        table = table.rename({"document_id": "feature_id"})
    if "feature_id" not in table.columns:
        msg = f"{parameter}: no column 'feature_id' to join by; the columns are {table.columns}"
        raise InvalidInputError(msg)
    keys = [name for name in KEYS if name in table.columns]
    names = [name for name in table.columns if name not in keys]
    _check_names(table, names, parameter)
    table = table.select(*(_as_text(table[name]) for name in keys), *map(_numeric, names))
    _check_keys(table, keys, parameter)
    for name in names:
        if table[name].is_infinite().any():
            msg = (
                f"{parameter}: column {name!r} holds infinite values; use null where it is unknown"
            )
            raise InvalidInputError(msg)
    return table


def join_features(pairs: TrainingPairs, table: pl.DataFrame, parameter: str) -> TrainingPairs:
    """Return the pairs with a feature table's columns appended; NaN where a key is absent.

    Parameters
    ----------
    pairs : TrainingPairs
    table : polars.DataFrame
        As `read_feature_table` returns it.
    parameter : str
        Named in errors and in the report.
    """
    names = [name for name in table.columns if name not in KEYS]
    taken = [name for name in names if name in pairs.feature_names]
    if taken:
        msg = f"{parameter}: there already is a feature named {taken[0]!r}; rename the column"
        raise InvalidInputError(msg)
    if not names:
        return pairs
    row = _row_of_pair(pairs, table)
    share = float((row >= 0).mean())
    if share == 0:
        msg = (
            f"{parameter}: none of the {len(table):,} keys occurs in the log, such as "
            f"{table.select(pl.col('^.*_id$')).row(0) if len(table) else '(no rows)'}; "
            f"the log's feature_id look like {pairs.document_id[0]!r}"
        )
        raise InvalidInputError(msg)
    pairs.report.coverage[parameter] = share
    return replace(
        pairs,
        X=_appended(pairs.X, table.select(names).to_numpy(), row),
        feature_names=(*pairs.feature_names, *names),
    )


def impression_features(source: Any) -> pl.DataFrame | None:
    """Return the numeric columns of an impressions table that are not part of the record."""
    table = _as_frame(source, "impressions")
    own = {*canonical_schema(), "document_id"}
    names = [n for n, dtype in table.schema.items() if n not in own and dtype.is_numeric()]
    if not names:
        return None
    keyed = table.select(
        *(name for name in (*KEYS, "document_id") if name in table.columns), *names
    )
    return read_feature_table(keyed.unique(maintain_order=True), "impressions")


def _as_frame(source: Any, parameter: str) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if isinstance(source, pl.LazyFrame):
        return source.collect()
    if isinstance(source, str | Path):
        return _read_file(Path(source), parameter)
    try:
        return pl.DataFrame(source)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        msg = f"{parameter}: expected a path or a table, got {type(source).__name__}: {error}"
        raise InvalidInputError(msg) from error


def _read_file(path: Path, parameter: str) -> pl.DataFrame:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".pq": pl.read_parquet,
        ".csv": pl.read_csv,
        ".jsonl": pl.read_ndjson,
        ".ndjson": pl.read_ndjson,
    }
    if path.suffix.lower() not in readers:
        msg = f"{parameter}: {str(path)!r} ends in none of {', '.join(readers)}"
        raise UnreadableSourceError(msg)
    try:
        return readers[path.suffix.lower()](path)
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{parameter}: {str(path)!r} cannot be read: {error}"
        raise UnreadableSourceError(msg) from error


def _check_names(table: pl.DataFrame, names: list[str], parameter: str) -> None:
    for name in names:
        if name.lower() in LEAKS:
            msg = (
                f"{parameter}: column {name!r} is the position or the label by its name, and would "
                "leak it into the ranker. Leave it out, or rename it if it is something else"
            )
            raise InvalidInputError(msg)
        dtype = table.schema[name]
        if not (dtype.is_numeric() or dtype in {pl.Boolean, pl.Null}):
            msg = (
                f"{parameter}: column {name!r} is {dtype}, expected numbers. Encode it as numbers "
                "or leave it out"
            )
            raise InvalidInputError(msg)


def _check_keys(table: pl.DataFrame, keys: list[str], parameter: str) -> None:
    for name in keys:
        if table[name].null_count():
            msg = f"{parameter}: {table[name].null_count()} rows have no {name}"
            raise InvalidInputError(msg)
    repeated = table.select(keys).is_duplicated()
    if repeated.any():
        example = table.select(keys).filter(repeated).row(0)
        msg = (
            f"{parameter}: expected one row per {' and '.join(keys)}, got several for {example}. "
            "Aggregate them first"
        )
        raise InvalidInputError(msg)


def _as_text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String)


def _numeric(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float32)


def _row_of_pair(pairs: TrainingPairs, table: pl.DataFrame) -> NDArray[np.int64]:
    """Return the table's row for every pair, -1 where it has none."""
    document = _row_of_text(pairs.documents, table["feature_id"].unique(maintain_order=True))
    if "execution_id" not in table.columns:
        return document[pairs.document_code]
    n_documents = len(pairs.documents)
    of_row = _row_of_text(table["execution_id"], pairs.execution_id) * n_documents
    code = _row_of_text(table["feature_id"], pairs.documents)
    known = np.flatnonzero((of_row >= 0) & (code >= 0))
    keys = of_row[known] + code[known]
    order = np.argsort(keys)
    wanted = pairs.execution_index.astype(np.int64) * n_documents + pairs.document_code
    at = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.full(len(pairs), -1)
    found = keys[order][at] == wanted
    return np.where(found, known[order[at]], -1)


def _row_of_text(texts: pl.Series, distinct: pl.Series) -> NDArray[np.int64]:
    """Return the index of every text among distinct ones, -1 where it is not there."""
    known = pl.DataFrame({"text": distinct, "at": np.arange(len(distinct))})
    found = pl.DataFrame({"text": texts}).join(known, on="text", how="left", maintain_order="left")
    return found["at"].fill_null(-1).to_numpy()


def _appended(
    X: NDArray[np.float32], values: NDArray[np.float32], row: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return X with the named rows of `values` to its right, in chunks to spare memory."""
    padded = np.vstack([values, np.full((1, values.shape[1]), np.nan, np.float32)])
    wide = np.empty((len(X), X.shape[1] + values.shape[1]), np.float32)
    wide[:, : X.shape[1]] = X
    for start in range(0, len(X), _CHUNK):
        part = slice(start, start + _CHUNK)
        wide[part, X.shape[1] :] = padded[row[part]]
    return wide
