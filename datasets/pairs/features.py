"""The user's own features: a table keyed by document, or by execution and document, joined."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..reading.column_names import missing_columns
from ..reading.table_reader import read_table
from ..record.interaction import InteractionType, canonical_schema
from ..record.mapping import InputMapping
from .array_storage import gathered, release
from .feature_columns import feature_column
from .outcomes import outcome_features
from .text_codes import index_among

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from .array_storage import ArrayStorage
    from .training_pairs import TrainingPairs

KEYS: Final[tuple[str, ...]] = ("execution_id", "feature_id")
_IDS: Final = (*KEYS, "document_id")
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

MIN_COVERAGE: Final = 0.5
"""Share of pairs with a row in the table, below which a note says so."""

_CHUNK: Final = 1 << 18
_NUMBER_LIKE: Final = re.compile(r"(?=.*[,$€£¥%])[-+]?[$€£¥]? ?\d[\d.,' ]* ?[$€£¥%]?")
_DATE_LIKE: Final = re.compile(r"\d{1,2}([/.-])\d{1,2}\1\d{2,4}(?: .*)?")


@dataclass(frozen=True)
class FeatureTable:
    """Features by document, or by execution and document.

    Attributes
    ----------
    frame : DataFrame
        ``execution_id`` (where the table has it), ``feature_id``, then features as Float32.
    categories : dict of str to tuple of str
        Categorical feature -> its categories in the order of their codes.
    left_out : dict of str to str
        Column -> why it is no feature.
    """

    frame: pl.DataFrame
    categories: dict[str, tuple[str, ...]]
    left_out: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The features."""
        return [name for name in self.frame.columns if name not in KEYS]


def read_feature_table(
    source: Any, parameter: str = "features", mapping: InputMapping | None = None
) -> FeatureTable:
    """Read a table of features with its key columns as text.

    Parameters
    ----------
    source : path, glob, table, list of dicts, or a list of paths and globs
        As for `Scan`. See `feature_column` for what becomes of text, truth values and dates.
    parameter : str
        Named in errors.
    mapping : InputMapping, optional
        Names the columns of the keys.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, damaged or of an unknown format.
    InvalidInputError
        If a key is missing, null or repeated, a column holds nested or infinite values, or by its
        name leaks the position or the label.
    """
    table, left_out = read_table(source, parameter, ids=_IDS, mapping=mapping)
    if "feature_id" not in table.columns and "document_id" in table.columns:
        table = table.rename({"document_id": "feature_id"})
    if "feature_id" not in table.columns:
        raise missing_columns(parameter, ["feature_id"], mapping or InputMapping(), table.columns)
    return _feature_table(table, parameter, left_out)


def impression_features(
    source: Any, mapping: InputMapping | None = None, used: Collection[str] = ()
) -> FeatureTable | None:
    """Return the features of an impressions table; None where it has none.

    These are its columns of numbers, truth values and declared categories (Categorical, Enum) that
    are no part of the record and not `used` otherwise. Other text is too likely to be an id or a
    description.
    """
    fields = {*canonical_schema(), "document_id"} - {*_IDS}
    mapped = {mapping.column(name) for name in fields} if mapping else set()
    table, left_out = read_table(
        source, "impressions", ids=_IDS, leave_out={*fields, *mapped, *used}, mapping=mapping
    )
    declared = (pl.Boolean, pl.Categorical, pl.Enum)
    names = []
    for name, dtype in table.schema.items():
        if name in _IDS:
            continue
        if dtype.is_numeric() or isinstance(dtype, declared):
            names.append(name)
        elif dtype != pl.Null:
            left_out[name] = f"impressions: {dtype} is no feature; give it in features="
    keyed = table.select(*(name for name in _IDS if name in table.columns), *names)
    if "feature_id" not in keyed.columns:
        keyed = keyed.rename({"document_id": "feature_id"}, strict=False)
    if not names and not left_out:
        return None
    # Rows without an id are the log reader's to count.
    keyed = keyed.drop_nulls([name for name in KEYS if name in keyed.columns])
    return _feature_table(keyed.unique(maintain_order=True), "impressions", left_out)


def _feature_table(table: pl.DataFrame, parameter: str, left_out: dict[str, str]) -> FeatureTable:
    keys = [name for name in KEYS if name in table.columns]
    _check_names(table, keys, parameter)
    _check_keys(table, keys, parameter)
    features: list[pl.Series] = []
    categories: dict[str, tuple[str, ...]] = {}
    for name in table.columns:
        if name in keys:
            continue
        try:
            column = feature_column(table[name])
        except InvalidInputError as error:
            msg = f"{parameter}: {error}. Encode it as such or leave it out"
            raise InvalidInputError(msg) from error
        if isinstance(column, str):
            left_out = {**left_out, name: f"{parameter}: {column}"}
            continue
        if column.values.is_infinite().any():
            msg = (
                f"{parameter}: column {name!r} holds infinite values; use null where it is unknown"
            )
            raise InvalidInputError(msg)
        features.append(column.values)
        if column.categories is not None:
            _check_words(table[name], column.categories, parameter)
            categories[name] = column.categories
    return FeatureTable(table.select(keys).with_columns(*features), categories, left_out)


def _check_words(values: pl.Series, words: Sequence[str], parameter: str) -> None:
    """Refuse text of which every value looks like a number, or a date, in another notation."""
    if values.dtype != pl.String or not words:
        return
    for pattern, advice in (
        (_NUMBER_LIKE, "numbers need a point as decimal mark and no other mark, such as 1500.5"),
        (_DATE_LIKE, "dates need ISO 8601, such as 2026-01-31"),
    ):
        if all(map(pattern.fullmatch, words)):
            msg = (
                f"{parameter}: column {values.name!r} holds text such as {words[0]!r}; {advice}. "
                "If they are categories, give them as Categorical, or with a letter"
            )
            raise InvalidInputError(msg)


def join_features(
    pairs: TrainingPairs, table: FeatureTable, parameter: str, storage: ArrayStorage
) -> TrainingPairs:
    """Return the pairs with a feature table's columns appended; NaN where a key is absent.

    Parameters
    ----------
    pairs : TrainingPairs
    table : FeatureTable
    parameter : str
        Named in errors and in the report.
    storage : ArrayStorage
        Where the new features go.
    """
    pairs.report.features_left_out.update(table.left_out)
    frame = table.frame
    check_joined(table, parameter, pairs.feature_names)
    if not table.names:
        return pairs
    joined, counts = append_features(pairs, table, storage)
    found = counts.found / len(pairs)
    if found == 0:
        msg = (
            f"{parameter}: none of the {len(frame):,} keys occurs in the log, such as "
            f"{frame.select(pl.col('^.*_id$')).row(0) if len(frame) else '(no rows)'}; "
            f"the log's feature_id look like {pairs.documents[int(pairs.document_code[0])]!r}"
        )
        raise InvalidInputError(msg)
    pairs.report.coverage[parameter] = found
    if found < MIN_COVERAGE:
        absent = pairs.documents[int(pairs.document_code[counts.first_absent])]
        pairs.report.notes.append(
            f"{parameter}: only {found:.1%} of the pairs have a row in the table; the document "
            f"{absent!r} has none, while the table has {frame['feature_id'][0]!r}. If the same ids "
            "are written in two ways, align them"
        )
    return joined


def check_joined(table: FeatureTable, parameter: str, present: Collection[str]) -> None:
    """Raise if a table cannot be joined to pairs that have some features."""
    taken = [name for name in table.names if name in present]
    if taken:
        msg = f"{parameter}: there already is a feature named {taken[0]!r}; rename the column"
        raise InvalidInputError(msg)
    if table.names and not len(table.frame):
        msg = f"{parameter}: the table has no rows, so that it gives no pair a feature"
        raise InvalidInputError(msg)


def append_features(
    pairs: TrainingPairs, table: FeatureTable, storage: ArrayStorage
) -> tuple[TrainingPairs, JoinCounts]:
    """Return the pairs with a table's columns appended, and how many have a row in it."""
    names, frame = table.names, table.frame
    X, counts = _appended(pairs, frame.select(names).to_numpy(), TableRows(pairs, frame), storage)
    joined = replace(
        pairs,
        X=X,
        feature_names=(*pairs.feature_names, *names),
        categories={**pairs.categories, **table.categories},
    )
    return joined, counts


def without_outcomes(pairs: TrainingPairs, storage: ArrayStorage) -> TrainingPairs:
    """Return the pairs without the features that nearly determine the click, which it reports.

    What was changed in mapped arrays since they were mapped is lost.
    """
    outcomes = outcome_features(pairs, gathered)
    for name, share in outcomes.items():
        pairs.report.features_left_out[name] = (
            f"it nearly determines the click (in {share:.1%} of pairs of displays of one document, "
            "by whether they were clicked), so it is an outcome, unknown when documents are ranked"
        )
    return without_features(pairs, outcomes, storage)


def without_features(
    pairs: TrainingPairs, names: Collection[str], storage: ArrayStorage
) -> TrainingPairs:
    """Return the pairs without some features."""
    if not names:
        return pairs
    kept = [i for i, name in enumerate(pairs.feature_names) if name not in names]
    return replace(
        pairs,
        X=_chosen_columns(pairs.X, kept, storage),
        feature_names=tuple(pairs.feature_names[i] for i in kept),
        categories={n: values for n, values in pairs.categories.items() if n not in names},
    )


def _check_names(table: pl.DataFrame, keys: list[str], parameter: str) -> None:
    for name in table.columns:
        if name not in keys and name.lower() in LEAKS:
            msg = (
                f"{parameter}: column {name!r} is the position or the label by its name, and would "
                "leak it into the ranker. Leave it out, or rename it if it is something else"
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


class TableRows:
    """Finds the row of a feature table that belongs to a pair."""

    def __init__(self, pairs: TrainingPairs, table: pl.DataFrame) -> None:
        self._pairs = pairs
        self._by_document = "execution_id" not in table.columns
        if self._by_document:
            self._row = index_among(pairs.documents, table["feature_id"])
            return
        self._n_documents = len(pairs.documents)
        of_row = index_among(table["execution_id"], pairs.execution_id) * self._n_documents
        code = index_among(table["feature_id"], pairs.documents)
        known = np.flatnonzero((of_row >= 0) & (code >= 0))
        keys = of_row[known] + code[known]
        order = np.argsort(keys)
        self._keys, self._row = keys[order], known[order]

    def of(self, start: int, end: int) -> NDArray[np.int64]:
        """Return the row of the pairs from `start` to before `end`, -1 where there is none."""
        pairs = self._pairs
        document = pairs.document_code[start:end]
        if self._by_document:
            return self._row[document]
        if not len(self._keys):
            return np.full(end - start, -1)
        rows = np.arange(start, end)
        execution = np.searchsorted(pairs.offsets, rows, side="right") - 1
        wanted = execution * self._n_documents + document
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, self._row[at], -1)


class JoinCounts(NamedTuple):
    """Pairs that have a row in the table, and the first pair that has none."""

    found: int
    first_absent: int


def _appended(
    pairs: TrainingPairs, values: NDArray[np.float32], table: TableRows, storage: ArrayStorage
) -> tuple[NDArray[np.float32], JoinCounts]:
    """Return X with the pairs' rows of `values` to its right, made in chunks to spare memory."""
    padded = np.vstack([values, np.full((1, values.shape[1]), np.nan, np.float32)])
    width = pairs.X.shape[1] + values.shape[1]
    writer = storage.array(f"X-{width}", np.float32, (len(pairs), width))
    found, first_absent = 0, -1
    for start in range(0, len(pairs), _CHUNK):
        end = min(start + _CHUNK, len(pairs))
        row = table.of(start, end)
        absent = np.flatnonzero(row < 0)
        found += end - start - len(absent)
        if first_absent < 0 and len(absent):
            first_absent = start + int(absent[0])
        writer.write(np.hstack([pairs.X[start:end], padded[row]]))
        release(pairs.X, pairs.document_code)
    return writer.finish(), JoinCounts(found, first_absent)


def _chosen_columns(
    X: NDArray[np.float32], kept: Sequence[int], storage: ArrayStorage
) -> NDArray[np.float32]:
    writer = storage.array(f"X-{len(kept)}-chosen", np.float32, (len(X), len(kept)))
    for start in range(0, len(X), _CHUNK):
        writer.write(X[start : start + _CHUNK, kept])
        release(X)
    return writer.finish()
