"""A memory as one file: a header and arrays with a digest, mapped when read, never a pickle.

The layout: a line that names the format, the length of a JSON header as eight bytes, the header,
the arrays that it lists, each at a multiple of 64 bytes (little-endian), and the blake2b-256 of
everything before. The digest detects damage, not tampering.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ..._shared.atomic_files import mapped, write_whole
from ..._shared.digests import with_digest, without_digest
from ...errors import IntegrityError, StoreError, UnreadableSourceError
from .estimates import Estimates
from .examination import ExaminationTable
from .judged import Grades
from .names import Names
from .state import KINDS, Compacted, MemoryState, Source
from .sums import QueryDocumentSums
from .table import MemoryTable
from .units import Units, fold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]

MAGIC: Final = b"rankloom-query-memory 1\n"
_LENGTH: Final = 8
_JUDGED: Final = ("judged_clicks", "judged_exposure")
_ALIGNED: Final = 64
_REMEDY: Final = "take another copy, or build the memory again from the log"


class Stored(NamedTuple):
    """What a file holds."""

    header: dict[str, Any]
    estimates: Estimates
    examination: ExaminationTable
    table: MemoryTable
    names: dict[str, Names] | None
    state: MemoryState | None  # None: saved for serving only


def dump(
    header: dict[str, Any],
    table: MemoryTable,
    names: dict[str, Names] | None,
    state: MemoryState | None,
) -> bytes:
    """Return a memory as bytes; units are in the order of their ids."""
    columns = table._asdict()
    arrays: Arrays = {f"table.{name}": columns[name] for name in columns if name not in _JUDGED}
    if len(table.judged_clicks):
        arrays |= {f"table.{name}": columns[name] for name in _JUDGED}
    for kind, known in ({} if names is None else names).items():
        arrays |= {f"names.{kind}.ids": known.ids, f"names.{kind}.texts": known.to_bytes()}
    content = {**header, "names": names is not None, "state": None}
    if state is not None:
        content["state"] = _state_header(state, arrays)
    return with_digest(_body(content, arrays))


def load(path: str | Path) -> Stored:
    """Return what a file holds, its arrays mapped.

    Raises
    ------
    UnreadableSourceError
        If it cannot be read.
    IntegrityError
        If it is damaged, cut off, or of another format.
    """
    try:
        data = mapped(path)
    except OSError as error:
        msg = f"{str(path)!r}: the memory cannot be read: {error.strerror}"
        raise UnreadableSourceError(msg) from error
    return parse(data, repr(str(path)))


def parse(data: Any, name: str = "memory") -> Stored:
    """Return what bytes hold; see `load`."""
    if data[: len(MAGIC)] != MAGIC:
        found = bytes(data[: len(MAGIC)])
        msg = f"{name}: expected a memory that begins with {MAGIC!r}, found {found!r}; {_REMEDY}"
        raise IntegrityError(msg)
    body = without_digest(data, name, _REMEDY)
    start = len(MAGIC) + _LENGTH
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = json.loads(bytes(body[start:end]))
        return _stored(header, _read(header.pop("arrays"), body, _aligned(end)))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        msg = f"{name}: the memory is not one that this version reads: {error!r}; {_REMEDY}"
        raise IntegrityError(msg) from error


def save(path: str | Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    try:
        write_whole(path, lambda name: Path(name).write_bytes(data))
    except OSError as error:
        msg = f"cannot save the memory in {str(path)!r}: {error}"
        raise StoreError(msg) from error


def _body(content: dict[str, Any], arrays: Arrays) -> bytes:
    little = {k: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for k, a in arrays.items()}
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in little.items()]
    text = json.dumps({**content, "arrays": listed}, separators=(",", ":")).encode()
    parts = [MAGIC, len(text).to_bytes(_LENGTH, "little"), text]
    at = sum(map(len, parts))
    for array in little.values():
        parts += [bytes(_aligned(at) - at), array.tobytes()]
        at = _aligned(at) + array.nbytes
    return b"".join(parts)


def _aligned(at: int) -> int:
    return -(-at // _ALIGNED) * _ALIGNED


def _read(listed: list[list[Any]], body: memoryview, at: int) -> Arrays:
    arrays: Arrays = {}
    for name, dtype, shape in listed:
        kind = np.dtype(dtype)
        if kind.hasobject:
            msg = f"array {name} is of type {dtype}"
            raise ValueError(msg)
        at, size = _aligned(at), math.prod(shape)
        arrays[name] = (
            np.frombuffer(body, kind, size, at).reshape(shape) if size else np.zeros(shape, kind)
        )
        at += size * kind.itemsize
    if at != len(body):
        msg = f"{len(body) - at} bytes are left over"
        raise ValueError(msg)
    return arrays


def _state_header(state: MemoryState, arrays: Arrays) -> dict[str, Any]:
    listed = []
    for number, (name, source) in enumerate(sorted(state.sources.items())):
        units, compacted = fold([source.units]), source.compacted
        for prefix, group in (("units", units), ("sums", compacted.sums)):
            arrays |= {f"{number}.{prefix}.{k}": array for k, array in group._asdict().items()}
        counts = (compacted.before, compacted.reference, compacted.units, compacted.left_out)
        listed.append([name, *counts])
    for number, grades in enumerate(state.judged.values()):
        arrays |= {f"judged.{number}.{k}": array for k, array in grades._asdict().items()}
    deleted = {kind: sorted(map(list, state.deleted[kind].items())) for kind in KINDS}
    judged = {"judged": list(state.judged)} if state.judged else {}
    return {"sources": listed, "deleted": deleted, **judged}


def _stored(header: dict[str, Any], arrays: Arrays) -> Stored:
    names = None
    if header["names"]:
        names = {
            str(kind): Names.from_bytes(arrays[f"names.{kind}.ids"], arrays[f"names.{kind}.texts"])
            for kind in KINDS[:2]
        }
    # Files without judgements have no such columns.
    arrays = {**{f"table.{name}": np.zeros(0, np.float32) for name in _JUDGED}, **arrays}
    table = MemoryTable(*(arrays[f"table.{name}"] for name in MemoryTable._fields))
    if len(table.start) != len(table.query) + 1 or table.start[-1] != len(table.document):
        msg = "the table does not fit together"
        raise ValueError(msg)
    state = None if header["state"] is None else _state(header["state"], arrays)
    estimates = Estimates.from_dict(header["estimates"])
    examination = ExaminationTable.from_dict(header["examination"])
    return Stored(header, estimates, examination, table, names, state)


def _state(listed: dict[str, Any], arrays: Arrays) -> MemoryState:
    sources = {}
    for number, (name, before, reference, units, left_out) in enumerate(listed["sources"]):
        sums = _group(QueryDocumentSums, f"{number}.sums", arrays)
        compacted = Compacted(sums, before, reference, units, left_out)
        sources[name] = Source(_group(Units, f"{number}.units", arrays), compacted)
    deleted = {kind: dict(listed["deleted"][kind]) for kind in KINDS}
    names = listed.get("judged", [])
    judged = {name: _group(Grades, f"judged.{n}", arrays) for n, name in enumerate(names)}
    return MemoryState(sources, judged, deleted)


def _group(kind: Any, prefix: str, arrays: Arrays) -> Any:
    return kind(*(arrays[f"{prefix}.{name}"] for name in kind._fields))
