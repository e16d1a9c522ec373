"""Judged query-document pairs from svmlight and LETOR files.

The numbers are read by scikit-learn. Around that, a pass over the lines takes out what it does not
know: query ids that are text, document ids in comments, NULL, and the number of a faulty line.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeAlias, get_args

import numpy as np
import polars as pl

from ...errors import InvalidInputError, UnreadableSourceError, did_you_mean
from ..pairs.load_report import LoadReport
from ..pairs.training_pairs import NO_POSITION, TrainingPairs

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

Huge = Literal["raise", "nan", "clip"]

MAX_CELLS = 2**32
MAX_INDEX = 1_000_000
MAX_FLOAT32 = float(np.finfo(np.float32).max)
NULL = re.compile(rb":null(?=\s|$)", re.IGNORECASE)
NUMBER = re.compile(
    rb"[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE
)
DOCUMENT = re.compile(rb"docid[\s=]+(\S+)", re.IGNORECASE)


class Row(NamedTuple):
    """One line: number from 1, grade, qid, ``index:value ...``, and docid of the comment."""

    line: int
    grade: bytes
    query: str | None
    features: bytes
    document: str | None


@dataclass(frozen=True)
class Judged:
    """The rows of one file in arrays; `features` is a sparse matrix, column j is index j."""

    path: Path
    rows: list[Row]
    features: Any
    grade: NDArray[np.float64]
    group: NDArray[np.int64]
    queries: list[str]

    def refuse_cell(self, cells: NDArray[np.bool_], reason: str) -> None:
        """Raise for the row of the first of the chosen values, if any."""
        for cell in np.flatnonzero(cells)[:1].tolist():
            row = int(np.searchsorted(self.features.indptr, cell, side="right")) - 1
            items = self.rows[row].features.split()
            got = items[cell - int(self.features.indptr[row])]
            _refuse(self.path, self.rows[row], reason, got)


def load_letor(
    path: Paths,
    *,
    query: Paths | None = None,
    features: int | None = None,
    zero_based: bool | None = None,
    huge: Huge = "raise",
) -> TrainingPairs:
    r"""Load judged lists from svmlight or LETOR files, plain or gzipped.

    A line is ``grade [qid:Q] index:value ... [# ... docid = D ...]``. An index that a line leaves
    out is 0, as in svmlight; NULL and NaN are NaN. Without ``qid:`` the sizes of the groups come
    from a file with one number a line: ``rank.train.query`` is found by itself next to
    ``rank.train`` (``rank.train.query.gz`` next to ``rank.train.gz``). Rows keep the order of the
    file. The whole text is held in memory while it is parsed.

    Parameters
    ----------
    path : str, path, or a sequence of them
        Several files are put one after the other.
    query : str, path, or a sequence of them, optional
        Group file of each file, where it lies elsewhere.
    features : int, optional
        Number of features. By default that of the highest index; give it for a test file whose
        last features may be absent.
    zero_based : bool, optional
        Whether indices start at 0; by default they do if index 0 occurs.
    huge : {"raise", "nan", "clip"}
        What becomes of values that float32 cannot hold (above 3.4e38, as Istella's files have for
        absent ones) and of infinities: an error, NaN (missing), or float32's largest with their
        sign.

    Returns
    -------
    TrainingPairs
        An execution is a query, named by its qid or, with a group file, by its number from 0.
        ``y`` is the grade, ``clicked`` is y >= 1. Features are named by the file's numbers,
        documents by their docid, else ``query:row``. Lists were judged, not shown: position is
        -1, score and age are NaN, time is NaT.

    Raises
    ------
    InvalidInputError
        If a line is malformed (named with its file and number), a grade is negative, fractional
        or NaN, the rows of a qid are not neighbours, group sizes do not sum to the rows, or there
        are no rows.
    UnreadableSourceError
        If a file is missing, or named .gz and not gzip.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "judged.txt")
    ...     _ = file.write_text("2 qid:7 1:0.5 2:NULL # docid = a\n0 qid:7 2:3 # docid = b\n")
    ...     pairs = load_letor(file)
    >>> pairs
    TrainingPairs(2 pairs, 1 executions, 2 features, 1 clicked)
    >>> pairs.X.tolist(), pairs.query_id.to_list(), pairs.document_id.to_list()
    ([[0.5, nan], [0.0, 3.0]], ['7'], ['a', 'b'])
    """
    if huge not in get_args(Huge):
        hint = did_you_mean(str(huge), get_args(Huge))
        msg = f"huge: got {huge!r}, expected one of {get_args(Huge)}.{hint}"
        raise InvalidInputError(msg)
    paths = _as_paths("path", path)
    sidecars = [None] * len(paths) if query is None else _as_paths("query", query)
    if len(sidecars) != len(paths):
        msg = f"query: expected one group file for each of {len(paths)} files, got {len(sidecars)}"
        raise InvalidInputError(msg)
    parts: list[Judged] = []
    for file, sidecar in zip(paths, sidecars, strict=True):
        parts.append(_judged(file, sidecar, sum(len(part.group) for part in parts)))
    width, base = _width(parts, features, zero_based=zero_based)
    X = np.concatenate([_matrix(part, width, base, huge) for part in parts])
    return _pairs(parts, X, tuple(str(base + j) for j in range(width)))


def _as_paths(name: str, given: Paths) -> list[Path]:
    several = isinstance(given, Sequence) and not isinstance(given, str)
    paths = [Path(item) for item in given] if several else [Path(given)]  # type: ignore[arg-type, union-attr]
    if not paths:
        msg = f"{name}: expected at least one file, got none"
        raise InvalidInputError(msg)
    return paths


def _read(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" or raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"Cannot read {path}: {reason}"
        raise UnreadableSourceError(msg) from error


def _rows(path: Path) -> list[Row]:
    rows = []
    for line, text in enumerate(_read(path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        body, _, comment = text.partition(b"#")
        grade, *items = body.split(None, 2) or [b""]
        if not grade:
            continue
        query, features = None, b" ".join(items)
        if items and items[0][:4].lower() == b"qid:":
            query, features = _text(items[0][4:]), b"".join(items[1:])
        named = DOCUMENT.search(comment)
        rows.append(Row(line, grade, query, features, named and _text(named[1])))
    if not rows:
        msg = f"{path} holds no rows: expected lines like '2 qid:1 1:0.5 2:3'"
        raise InvalidInputError(msg)
    return rows


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="backslashreplace")


def _judged(path: Path, sidecar: Path | None, numbered: int) -> Judged:
    from sklearn.datasets import load_svmlight_file

    rows = _rows(path)
    text = NULL.sub(b":nan", b"\n".join(b"%b %b" % (row.grade, row.features) for row in rows))
    options: dict[str, Any] = {"dtype": np.float32, "zero_based": True}
    try:
        # scikit-learn reads 1_0 as 10 and passes over a second qid.
        if b"_" in text or b"qid" in text:
            _find_fault(path, rows)
        with np.errstate(over="ignore"):
            matrix, grade = load_svmlight_file(io.BytesIO(text), **options)
    except (ValueError, OverflowError) as error:
        _find_fault(path, rows)
        msg = f"{path}: {error}"
        raise InvalidInputError(msg) from error
    unusable = ~(grade >= 0) | (grade != np.floor(grade)) | (grade > MAX_FLOAT32)
    for row in np.flatnonzero(unusable)[:1].tolist():
        absent = "is absent; leave unjudged documents out"
        reason = absent if np.isnan(grade[row]) else "must be a whole number >= 0"
        _refuse(path, rows[row], f"the grade {reason}", rows[row].grade)
    return Judged(path, rows, matrix, grade, *_groups(path, rows, sidecar, numbered))


def _find_fault(path: Path, rows: list[Row]) -> None:
    """Raise for the first row that is malformed."""
    for row in rows:
        if row.grade.lower() == b"null":
            _refuse(path, row, "the grade is absent; leave unjudged documents out")
        if not NUMBER.fullmatch(row.grade):
            _refuse(path, row, "the grade is no number", row.grade)
        previous = -1
        for item in row.features.split():
            index, colon, value = item.partition(b":")
            if not colon:
                _refuse(path, row, "expected index:value", item)
            if not index.isdigit():
                _refuse(path, row, "the feature index is no whole number", item)
            if int(index) > MAX_INDEX:
                _refuse(path, row, f"expected at most {MAX_INDEX} features", item)
            if int(index) <= previous:
                _refuse(path, row, "feature indices must ascend within a line", item)
            if not (NUMBER.fullmatch(value) or value.lower() == b"null"):
                _refuse(path, row, "the value is no number, NULL or NaN", item)
            previous = int(index)


def _refuse(path: Path, row: Row, reason: str, got: bytes | None = None) -> NoReturn:
    shown = _text(row.grade + b" " + row.features if got is None else got)
    shown = shown if len(shown) <= 40 else shown[:40] + "..."
    msg = f"{path}, line {row.line}: {reason}, got {shown!r}"
    raise InvalidInputError(msg)


def _groups(
    path: Path, rows: list[Row], sidecar: Path | None, numbered: int
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the size and the id of every query, from qids or from the group file."""
    ids = [row.query for row in rows]
    for row in rows:
        if (row.query is None) != (ids[0] is None):
            _refuse(path, row, "a qid on some lines only; give all or none one")
        if row.query == "":
            _refuse(path, row, "the query id after 'qid:' is empty")
    if ids[0] is None:
        sizes = _group_sizes(path, sidecar, len(rows))
        return sizes, [str(numbered + number) for number in range(len(sizes))]
    if sidecar is not None:
        msg = f"query: {path} has qids; leave {sidecar} out"
        raise InvalidInputError(msg)
    starts = [row for row, name in enumerate(ids) if row == 0 or name != ids[row - 1]]
    queries: dict[str, None] = {}
    for start in starts:
        name = str(ids[start])
        if name in queries:
            reason = "the rows of a qid must be neighbours"
            _refuse(path, rows[start], reason, f"qid:{name}".encode())
        queries[name] = None
    return np.diff([*starts, len(ids)]), list(queries)


def _group_sizes(path: Path, sidecar: Path | None, rows: int) -> NDArray[np.int64]:
    file = _sidecar(path) if sidecar is None else sidecar
    tokens = _read(file).split()
    for number, item in enumerate(tokens, 1):
        if not item.isdigit() or int(item) == 0:
            msg = f"{file}, entry {number}: expected a group size of at least 1, got {item!r}"
            raise InvalidInputError(msg)
    sizes = np.array([int(item) for item in tokens], dtype=np.int64)
    if sizes.sum() != rows:
        msg = f"{file}: {len(sizes)} group sizes sum to {sizes.sum()}, but {path} has {rows} rows"
        raise InvalidInputError(msg)
    return sizes


def _sidecar(path: Path) -> Path:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    names = [f"{plain.name}.query", f"{plain.name}.query.gz"]
    if path != plain:
        names.reverse()
    for name in names:
        if (sidecar := path.with_name(name)).exists():
            return sidecar
    msg = (
        f"{path} has neither qids nor a group file: expected {names[0]} next to it; "
        f"name the file with one group size a line as `query`"
    )
    raise InvalidInputError(msg)


def _width(
    parts: list[Judged], features: int | None, *, zero_based: bool | None
) -> tuple[int, int]:
    """Return the number of features and the lowest index."""
    if zero_based is None:
        zero_based = any((part.features.indices == 0).any() for part in parts)
    base, rows = int(not zero_based), sum(len(part.rows) for part in parts)
    for part in parts:
        reason = "the feature index is 0, but indices start at 1; see `zero_based`"
        part.refuse_cell(part.features.indices < base, reason)
    highest = max(int(part.features.indices.max(initial=-1)) for part in parts)
    width = highest + 1 - base if features is None else features
    if width > MAX_INDEX or rows * width > MAX_CELLS or (features or 1) < 1:
        msg = (
            f"features: {rows} rows with {width} features each; expected 1 to {MAX_INDEX} "
            f"features and at most {MAX_CELLS} values. Renumber the features of a sparse file"
        )
        raise InvalidInputError(msg)
    if width < 1:
        names = ", ".join(str(part.path) for part in parts)
        msg = f"features: no line of {names} names any"
        raise InvalidInputError(msg)
    return width, base


def _matrix(part: Judged, width: int, base: int, huge: Huge) -> NDArray[np.float32]:
    from scipy.sparse import csr_array

    given, index = part.features, part.features.indices - base
    reason = "the feature index is beyond the number of features; see `features`"
    part.refuse_cell(index >= width, reason)
    infinite = np.isinf(given.data)
    if huge == "raise":
        reason = 'the value is infinite or too large for float32; pass huge="nan" or huge="clip"'
        part.refuse_cell(infinite, reason)
    limit = np.copysign(MAX_FLOAT32, given.data) if huge == "clip" else np.nan
    data = np.where(infinite, limit, given.data)
    matrix = csr_array((data, index, given.indptr), shape=(len(part.rows), width))
    return np.asarray(matrix.toarray(), dtype=np.float32)


def _pairs(
    parts: list[Judged], X: NDArray[np.float32], feature_names: tuple[str, ...]
) -> TrainingPairs:
    queries = [name for part in parts for name in part.queries]
    if len(set(queries)) != len(queries):
        repeated = next(name for name in queries if queries.count(name) > 1)
        names = ", ".join(str(part.path) for part in parts)
        msg = f"qid {repeated!r} occurs in more than one of {names}"
        raise InvalidInputError(msg)
    group = np.concatenate([part.group for part in parts]).astype(np.int32)
    documents = pl.Series("document_id", _document_ids(parts, queries, group), dtype=pl.String)
    distinct = documents.unique(maintain_order=True)
    codes = documents.replace_strict(distinct, np.arange(len(distinct)), return_dtype=pl.Int32)
    y = np.concatenate([part.grade for part in parts]).astype(np.float32)
    n, e = len(y), len(group)
    return TrainingPairs(
        X=X,
        y=y,
        clicked=y >= 1,
        negative=np.zeros(n, dtype=np.bool_),
        group=group,
        position=np.full(n, NO_POSITION, dtype=np.int32),
        document_score=np.full(n, np.nan),
        age_days=np.full(n, np.nan, dtype=np.float32),
        weight=np.ones(n, dtype=np.float32),
        time=np.full(e, "NaT", dtype="datetime64[us]"),
        execution_id=pl.Series("execution_id", queries),
        query_code=np.arange(e, dtype=np.int32),
        queries=pl.Series("query_id", queries),
        document_code=codes.to_numpy(),
        documents=distinct,
        feature_names=feature_names,
        report=LoadReport(rows_read=n, rows_kept=n, executions=e),
    )


def _document_ids(parts: list[Judged], queries: list[str], group: NDArray[np.int32]) -> list[str]:
    given = [row.document for part in parts for row in part.rows]
    numbered = (f"{q}:{row}" for q, size in zip(queries, group, strict=True) for row in range(size))
    return [name or number for name, number in zip(given, numbered, strict=True)]
