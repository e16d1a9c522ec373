"""Judgements of documents for queries, by people or models, beside the clicks of a log."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..quality.notes import share
from ..reading.column_names import missing_columns
from ..reading.table_reader import read_table
from ..record.mapping import InputMapping
from ..record.query_keys import query_key_of, words_of
from .text_codes import index_among

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .features import FeatureTable
    from .training_pairs import TrainingPairs

PARAMETER: Final = "judgments"
DEFAULT_SOURCE: Final = "judgments"
"""Source of judgements that name none."""

_KEYS: Final = ("query", "feature_id", "source")
_QUERIES: Final = ("query", "query_id", "query_snapshot")


@dataclass(frozen=True, eq=False)
class Judgments:
    """Grades of documents for queries, one for every (query, document, source).

    j is their number. `TrainingPairs.take` keeps them all, since a judgement has no time;
    `split_by_query` keeps those of the queries on its side.

    Attributes
    ----------
    query_code : ndarray of int32, shape (j,)
        Index into `TrainingPairs.queries`, which may hold queries that the log lacks.
    document_code : ndarray of int32, shape (j,)
        Index into `TrainingPairs.documents`.
    grade : ndarray of float64, shape (j,)
        Any finite numbers; higher is better. Sources need not share a scale.
    source : ndarray of int32, shape (j,)
        Index into `sources`.
    sources : tuple of str
        Who judged: people, a language model.
    X : ndarray of float32, shape (j, n_features)
        Features of the document from the table by feature_id; NaN where there are none.
    """

    query_code: NDArray[np.int32]
    document_code: NDArray[np.int32]
    grade: NDArray[np.float64]
    source: NDArray[np.int32]
    sources: tuple[str, ...]
    X: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of judgements."""
        return len(self.grade)

    def take(self, chosen: NDArray[np.bool_]) -> Judgments:
        """Return the chosen judgements; `chosen` has shape (j,)."""
        rows = {
            name: getattr(self, name)[chosen]
            for name in ("query_code", "document_code", "grade", "source", "X")
        }
        return replace(self, **rows)

    def to_bytes(self, pairs: TrainingPairs) -> bytes:
        """Return the judgements as a Parquet file in memory, with ids instead of codes."""
        columns = {
            "query": pairs.queries.gather(self.query_code),
            "feature_id": pairs.documents.gather(self.document_code),
            "source": pl.Series(self.sources, dtype=pl.String).gather(self.source),
            "grade": self.grade,
            **{f"x{j}": column for j, column in enumerate(self.X.T)},
        }
        buffer = io.BytesIO()
        pl.DataFrame(columns).write_parquet(buffer)
        return buffer.getvalue()


@dataclass
class JudgmentCounts:
    """What became of the rows of one source of judgements.

    Attributes
    ----------
    rows : int
    without_grade : int
        Rows left out because their grade is null or NaN.
    duplicates, conflicts : int
        Rows that repeat a (query, document) with the grade it has, and (query, document) with
        several grades, of which the mean is taken.
    judgments : int
        What was kept: (query, document) with a grade.
    shown : int
        Of these, documents that the log showed for the query.
    query_not_logged, document_not_logged : int
        Of these, judgements of a query, or a document, that occurs nowhere in the log.
    without_features : int
        Judgements of documents that were not shown and have no features: not learnt from.
    """

    rows: int = 0
    without_grade: int = 0
    duplicates: int = 0
    conflicts: int = 0
    judgments: int = 0
    shown: int = 0
    query_not_logged: int = 0
    document_not_logged: int = 0
    without_features: int = 0


def read_judgments(
    table: Any, mapping: InputMapping | None, query_key: Callable[[Any], str] | str | None
) -> pl.DataFrame:
    """Read a table of judgements: ``query`` as in the pairs, ``feature_id``, ``source``, ``grade``.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, damaged or of an unknown format.
    InvalidInputError
        If a column or an id is missing, or grades are no finite numbers.
    """
    column = query_key if isinstance(query_key, str) else None
    queries = [*([column] if column else []), *_QUERIES]
    ids = {*_KEYS, *queries, "document_id"}
    frame = read_table(table, PARAMETER, ids=ids, mapping=mapping).frame
    query = next((name for name in queries if name in frame.columns), "query")
    frame = frame.rename({query: "query"}, strict=False)
    if "feature_id" not in frame.columns:
        frame = frame.rename({"document_id": "feature_id"}, strict=False)
    absent = [n for n in ("query", "feature_id", "grade") if n not in frame.columns]
    if absent:
        raise missing_columns(PARAMETER, absent, mapping or InputMapping(), frame.columns)
    for name in ("query", "feature_id"):
        if frame[name].null_count():
            msg = f"judgments: {frame[name].null_count():,} rows have no {name}"
            raise InvalidInputError(msg)
    if "source" not in frame.columns:
        frame = frame.with_columns(pl.lit(DEFAULT_SOURCE).alias("source"))
    chosen = frame.select(
        pl.col("query"),
        pl.col("feature_id"),
        pl.col("source").fill_null(DEFAULT_SOURCE),
        _grades(frame["grade"]),
    )
    return chosen if column else _with_query_keys(chosen, query_key_of(query_key))  # type: ignore[arg-type]


def _grades(given: pl.Series) -> pl.Series:
    if not (given.dtype.is_numeric() or given.dtype in (pl.Boolean, pl.Null)):
        msg = f"judgments: column 'grade' has type {given.dtype}, expected numbers (higher: better)"
        raise InvalidInputError(msg)
    grades = given.cast(pl.Float64).fill_nan(None)
    if grades.is_infinite().any():
        msg = "judgments: column 'grade' holds infinite values; expected finite numbers"
        raise InvalidInputError(msg)
    return grades


def _with_query_keys(table: pl.DataFrame, key: Callable[[str], str]) -> pl.DataFrame:
    texts = table["query"].unique()
    keys = pl.Series([key(text) for text in texts.to_list()], dtype=pl.String)
    return table.with_columns(pl.col("query").replace_strict(texts, keys))


def join_judgments(
    pairs: TrainingPairs, table: pl.DataFrame, features: FeatureTable | None
) -> TrainingPairs:
    """Return the pairs with judgements, whose counts and notes go to the report.

    `table`: as `read_judgments` returns it. `features`: the table of ``features=``, for documents
    that were not shown for the query.
    """
    graded = _as_logged(table.filter(pl.col("grade").is_not_null()), pairs.queries)
    if graded.is_empty():
        msg = f"judgments: none of the {len(table):,} rows has a grade"
        raise InvalidInputError(msg)
    keys = ["source", "query", "feature_id"]
    kept = graded.group_by(keys).agg(
        pl.col("grade").mean(), pl.len().alias("rows"), pl.col("grade").n_unique().alias("grades")
    )
    kept = kept.sort(keys)
    logged = len(pairs.queries), len(pairs.documents)
    queries, query = _extended(pairs.queries, kept["query"])
    documents, document = _extended(pairs.documents, kept["feature_id"])
    if (query >= logged[0]).all():
        msg = (
            f"judgments: none of the {kept['query'].n_unique():,} queries occurs in the log, such "
            f"as {kept['query'][0]!r}, while the log has {pairs.queries[0]!r}. Give the queries "
            "as they are logged, or the query_key that the log needs"
        )
        raise InvalidInputError(msg)
    sources = tuple(kept["source"].unique().sort())
    judgments = Judgments(
        query_code=query,
        document_code=document,
        grade=kept["grade"].to_numpy(),
        source=index_among(kept["source"], pl.Series(sources)).astype(np.int32),
        sources=sources,
        X=_features_of(pairs, kept["feature_id"], features),
    )
    joined = replace(pairs, queries=queries, documents=documents, judgments=judgments)
    flags = _flags(joined, judgments, logged)
    counts = _counts(table, kept, judgments, flags)
    joined.report.judgments = {source: asdict(counts[source]) for source in sources}
    joined.report.notes += _notes(kept, flags, counts, pairs)
    return joined


def _as_logged(table: pl.DataFrame, logged: pl.Series) -> pl.DataFrame:
    """Name queries given in plain words as they are logged: ``{"query": words}`` and the like."""
    given = table["query"].unique()
    absent = given.filter(index_among(given, logged) < 0)
    known = {words: query for query in logged if (words := words_of(query)) is not None}
    renamed = {
        query: known[words]
        for query in absent
        if (words := words_of(query)) is not None and words in known
    }
    return table.with_columns(pl.col("query").replace(renamed)) if renamed else table


def _extended(known: pl.Series, texts: pl.Series) -> tuple[pl.Series, NDArray[np.int32]]:
    """Return known texts followed by new ones, and the index of every text among them."""
    new = texts.filter(index_among(texts, known) < 0).unique().sort()
    extended = pl.concat([known, new.alias(known.name)]) if len(new) else known
    return extended, index_among(texts, extended).astype(np.int32)


def _features_of(
    pairs: TrainingPairs, documents: pl.Series, features: FeatureTable | None
) -> NDArray[np.float32]:
    X = np.full((len(documents), len(pairs.feature_names)), np.nan, np.float32)
    if features is None or "execution_id" in features.frame.columns:
        return X
    row = index_among(documents, features.frame["feature_id"])
    names = [name for name in features.names if name in pairs.feature_names]
    values = features.frame.select(names).to_numpy().astype(np.float32)
    found = row >= 0
    for name, column in zip(names, values.T, strict=True):
        X[found, pairs.feature_names.index(name)] = column[row[found]]
    return X


def _flags(
    pairs: TrainingPairs, judgments: Judgments, logged: tuple[int, int]
) -> dict[str, NDArray[np.bool_]]:
    """Return which judgements are of each of the kinds that `JudgmentCounts` counts."""
    key = judgments.query_code.astype(np.int64) * len(pairs.documents) + judgments.document_code
    shown = np.isin(key, pairs.query_document)
    return {
        "shown": shown,
        "query_not_logged": judgments.query_code >= logged[0],
        "document_not_logged": judgments.document_code >= logged[1],
        "without_features": ~shown & np.isnan(judgments.X).all(axis=1),
    }


def _counts(
    table: pl.DataFrame,
    kept: pl.DataFrame,
    judgments: Judgments,
    flags: dict[str, NDArray[np.bool_]],
) -> dict[str, JudgmentCounts]:
    found = {}
    for number, source in enumerate(judgments.sources):
        of_source = judgments.source == number
        rows = table.filter(pl.col("source") == source)
        own = kept.filter(pl.col("source") == source)
        found[source] = JudgmentCounts(
            rows=len(rows),
            without_grade=rows["grade"].null_count(),
            duplicates=int((own["rows"] - own["grades"]).sum()),
            conflicts=int((own["grades"] > 1).sum()),
            judgments=len(own),
            **{name: int(flag[of_source].sum()) for name, flag in flags.items()},
        )
    return found


def _notes(
    kept: pl.DataFrame,
    flags: dict[str, NDArray[np.bool_]],
    counts: dict[str, JudgmentCounts],
    pairs: TrainingPairs,
) -> list[str]:
    notes = []
    columns = (
        ("query_not_logged", "query", pairs.queries, "of queries that do not occur in the log"),
        ("document_not_logged", "feature_id", pairs.documents, "of documents that the log lacks"),
    )
    for name, column, logged, what in columns:
        if flags[name].any():
            example = kept[column][int(flags[name].argmax())]
            part = share(int(flags[name].sum()), len(kept), "judgements")
            notes.append(
                f"judgments: {part} are {what}, such as {example!r}, while the log has "
                f"{logged[0]!r}. If the same ones are written in two ways, align them"
            )
    if flags["without_features"].any():
        part = share(int(flags["without_features"].sum()), len(kept), "judgements")
        notes.append(
            f"judgments: {part} are of documents that were not shown for the query and have no "
            "row in a features table by feature_id, so that nothing is learnt from them"
        )
    for source, count in counts.items():
        if count.without_grade:
            part = share(count.without_grade, count.rows, f"rows of {source!r}")
            notes.append(f"judgments: {part} have no grade and are left out")
        if count.conflicts:
            part = share(count.conflicts, count.judgments, f"documents judged by {source!r}")
            notes.append(f"judgments: {part} have several grades, of which the mean is taken")
    return notes


def from_bytes(
    data: bytes, queries: pl.Series, documents: pl.Series
) -> tuple[Judgments, pl.Series, pl.Series]:
    """Return what `Judgments.to_bytes` wrote, with the queries and documents extended by it."""
    frame = pl.read_parquet(data)
    queries, query = _extended(queries, frame["query"])
    documents, document = _extended(documents, frame["feature_id"])
    sources = tuple(frame["source"].unique().sort())
    features = frame.select(pl.col("^x[0-9]+$"))
    judgments = Judgments(
        query_code=query,
        document_code=document,
        grade=frame["grade"].to_numpy(),
        source=index_among(frame["source"], pl.Series(sources)).astype(np.int32),
        sources=sources,
        X=np.ascontiguousarray(features.to_numpy(), np.float32).reshape(len(frame), -1),
    )
    return judgments, queries, documents
