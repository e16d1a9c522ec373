"""Judged query-document pairs from svmlight and LETOR files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from ..errors import InvalidInputError, UnreadableSourceError
from . import _letor_kernel as parser
from .reports import LoadReport
from .training_pairs import NO_POSITION, TrainingPairs

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

MAX_CELLS = 2**32
WORDS = (
    np.frombuffer(b"null", dtype=np.uint8),
    np.frombuffer(b"nan", dtype=np.uint8),
    np.frombuffer(b"qid:", dtype=np.uint8),
    np.frombuffer(b"docid", dtype=np.uint8),
)
FAULTS = {
    parser.BAD_GRADE: "the grade is no number",
    parser.GRADE_NOT_WHOLE: "the grade must be a whole number >= 0",
    parser.GRADE_ABSENT: "the grade is absent; leave unjudged documents out",
    parser.EMPTY_QID: "the query id after 'qid:' is empty",
    parser.NO_COLON: "expected index:value",
    parser.BAD_INDEX: "the feature index is no whole number",
    parser.INDEX_TOO_LARGE: "the feature index is beyond the number of features; see `features`",
    parser.INDEX_TOO_SMALL: "the feature index is 0, but indices start at 1; see `zero_based`",
    parser.NOT_ASCENDING: "feature indices must ascend within a line",
    parser.BAD_VALUE: "the value is no number, NULL or NaN",
    parser.VALUE_INFINITE: "the value is too large for float32",
}


@dataclass(frozen=True)
class Text:
    """One file's bytes, with the bounds of its lines."""

    path: Path
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """The rows of one file; `queries` has one id per group."""

    X: NDArray[np.float32]
    grade: NDArray[np.float64]
    group: NDArray[np.int64]
    queries: list[str]
    documents: list[str | None]


def load_letor(
    path: Paths,
    *,
    query: Paths | None = None,
    features: int | None = None,
    zero_based: bool | None = None,
) -> TrainingPairs:
    r"""Load judged lists from svmlight or LETOR files, plain or gzipped.

    A line is ``grade [qid:Q] index:value ... [# ... docid = D ...]``. An index that a line leaves
    out is 0, as svmlight means it; NULL and NaN are NaN. Without ``qid:`` the sizes of the groups
    come from a file with one number a line: ``rank.train.query`` is found by itself next to
    ``rank.train`` (``rank.train.query.gz`` next to ``rank.train.gz``). Rows keep the order of
    the file. The whole text is held in memory while it is parsed.

    Parameters
    ----------
    path : str, path, or a sequence of them
        Several files are put one after the other.
    query : str, path, or a sequence of them, optional
        Group file of each file, where it lies elsewhere.
    features : int, optional
        Number of features. By default what the highest index says; give it for a test file whose
        last features may be absent.
    zero_based : bool, optional
        Whether indices start at 0; by default they do if index 0 occurs.

    Returns
    -------
    TrainingPairs
        An execution is a query, named by its qid or, where a group file stands in, by its number
        from 0. ``y`` is the grade and ``clicked`` says y >= 1. Features are named by the file's
        numbers, documents by their docid, else ``query:row``. Lists were judged, not shown:
        position is -1, score and age are NaN, time is NaT.

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
    paths = _as_paths("path", path)
    sidecars = [None] * len(paths) if query is None else _as_paths("query", query)
    if len(sidecars) != len(paths):
        msg = f"query: expected one group file for each of {len(paths)} files, got {len(sidecars)}"
        raise InvalidInputError(msg)
    texts = [_text(file) for file in paths]
    width, base = _width(texts, features, zero_based=zero_based)
    parts: list[Judged] = []
    for text, sidecar in zip(texts, sidecars, strict=True):
        numbered = sum(len(part.group) for part in parts)
        parts.append(_judged(text, sidecar, width, base, numbered))
    if not width:
        msg = f"features: no line of {', '.join(map(str, paths))} names any"
        raise InvalidInputError(msg)
    names = tuple(str(base + j) for j in range(width))
    return _pairs(parts, names, [text.path for text in texts])


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


def _text(path: Path) -> Text:
    data = np.frombuffer(_read(path).removeprefix(b"\xef\xbb\xbf"), dtype=np.uint8)
    breaks = np.flatnonzero(data == parser.NEWLINE)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(data)]])
    return Text(path, data, starts, ends)


def _width(texts: list[Text], features: int | None, *, zero_based: bool | None) -> tuple[int, int]:
    """Return the number of features and the lowest index."""
    measured = [parser.measure(text.data, text.starts, text.ends) for text in texts]
    for text, (count, _, _) in zip(texts, measured, strict=True):
        if not count:
            msg = f"{text.path} holds no rows: expected lines like '2 qid:1 1:0.5 2:3'"
            raise InvalidInputError(msg)
    rows = sum(count for count, _, _ in measured)
    lowest = min(low for _, low, _ in measured)
    highest = max(high for _, _, high in measured)
    base = int(lowest != 0) if zero_based is None else int(not zero_based)
    width = max(highest + 1 - base, 0) if features is None else features
    if width > parser.MAX_INDEX or rows * width > MAX_CELLS or (features or 1) < 1:
        msg = (
            f"features: {rows} rows with {width} features each; expected 1 to {parser.MAX_INDEX} "
            f"features and at most {MAX_CELLS} values. Renumber the features of a sparse file"
        )
        raise InvalidInputError(msg)
    return width, base


def _judged(text: Text, sidecar: Path | None, width: int, base: int, numbered: int) -> Judged:
    rows = parser.measure(text.data, text.starts, text.ends)[0]
    X = np.zeros((rows, width), dtype=np.float32)
    grade = np.empty(rows)
    spans = np.zeros((rows, 4), dtype=np.int64)
    line = np.empty(rows, dtype=np.int64)
    hard = np.zeros(rows, dtype=np.bool_)
    fault = parser.parse_rows(
        text.data, text.starts, text.ends, base, WORDS, X, grade, spans, line, hard
    )
    if fault[0] != parser.NO_FAULT:
        _refuse(text, fault[1], FAULTS[fault[0]], _cut(text, fault[2], fault[3]))
    for row in np.flatnonzero(hard):
        _read_exactly(text, line[row], base, X[row])
    group, queries = _groups(text, sidecar, spans, line, numbered)
    documents = [_cut(text, a, b) or None for a, b in spans[:, 2:].tolist()]
    return Judged(X, grade, group, queries, documents)


def _refuse(text: Text, line: int, reason: str, got: str) -> None:
    shown = got if len(got) <= 40 else got[:40] + "..."
    msg = f"{text.path}, line {line + 1}: {reason}, got {shown!r}"
    raise InvalidInputError(msg)


def _cut(text: Text, start: int, end: int) -> str:
    return text.data[start:end].tobytes().decode("utf-8", errors="backslashreplace")


def _read_exactly(text: Text, line: int, base: int, row: NDArray[np.float32]) -> None:
    """Read a line again through Python's floats, which round correctly in every case."""
    content = _cut(text, int(text.starts[line]), int(text.ends[line])).split("#")[0]
    for item in content.split()[1:]:
        index, value = item.split(":", 1)
        if index.lower() != "qid" and value.lower() != "null":
            number = float(value)
            if abs(number) >= parser.MAX_FLOAT32:
                _refuse(text, line, FAULTS[parser.VALUE_INFINITE], item)
            row[int(index) - base] = number


def _groups(
    text: Text,
    sidecar: Path | None,
    spans: NDArray[np.int64],
    line: NDArray[np.int64],
    numbered: int,
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the size and the id of every query, from qids or from the group file."""
    named = spans[:, 1] > 0
    if named.any() != named.all():
        odd = int(np.flatnonzero(named != named[0])[0])
        reason = "a qid on some lines only; give all or none one"
        bounds = int(text.starts[line[odd]]), int(text.ends[line[odd]])
        _refuse(text, line[odd], reason, _cut(text, *bounds))
    if not named[0]:
        sizes = _group_sizes(text.path, sidecar, len(named))
        return sizes, [str(numbered + number) for number in range(len(sizes))]
    if sidecar is not None:
        msg = f"query: {text.path} has qids of its own; leave {sidecar} out"
        raise InvalidInputError(msg)
    ids = np.array([_cut(text, a, b) for a, b in spans[:, :2].tolist()], dtype=object)
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    queries: list[str] = ids[starts].tolist()
    seen: set[str] = set()
    for start, name in zip(starts, queries, strict=True):
        if name in seen:
            _refuse(text, line[start], "the rows of a qid must be neighbours", f"qid:{name}")
        seen.add(name)
    return np.diff(np.append(starts, len(ids))), queries


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
        if (found := path.with_name(name)).exists():
            return found
    msg = (
        f"{path} has neither qids nor a group file: expected {names[0]} next to it; "
        f"name the file with one group size a line as `query`"
    )
    raise InvalidInputError(msg)


def _pairs(parts: list[Judged], feature_names: tuple[str, ...], paths: list[Path]) -> TrainingPairs:
    queries = [name for part in parts for name in part.queries]
    if len(set(queries)) != len(queries):
        repeated = next(name for name in queries if queries.count(name) > 1)
        msg = f"qid {repeated!r} occurs in more than one of {', '.join(map(str, paths))}"
        raise InvalidInputError(msg)
    group = np.concatenate([part.group for part in parts]).astype(np.int32)
    documents = pl.Series("document_id", _document_ids(parts, queries, group), dtype=pl.String)
    distinct = documents.unique(maintain_order=True)
    codes = documents.replace_strict(distinct, np.arange(len(distinct)), return_dtype=pl.Int32)
    y = np.concatenate([part.grade for part in parts]).astype(np.float32)
    n, e = len(y), len(group)
    return TrainingPairs(
        X=parts[0].X if len(parts) == 1 else np.concatenate([part.X for part in parts]),
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
    given = [name for part in parts for name in part.documents]
    places = (f"{q}:{row}" for q, size in zip(queries, group, strict=True) for row in range(size))
    return [place if name is None else name for name, place in zip(given, places, strict=True)]
