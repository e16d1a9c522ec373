"""A state of evidence as bytes: numbers and names with a digest, never a pickle.

The layout: a line that names the format, the length of a JSON header as eight bytes, the header,
the arrays that it lists one after the other (little-endian), and the blake2b-256 of everything
before. Units stand in the order of their keys and segments in alphabetical order, so that states
of the same events have the same bytes, in whatever order the events came. The digest detects
damage, not tampering: load states from writers that you trust.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .._files import write_whole
from ..errors import IntegrityError, UnreadableSourceError
from ._closed import Closed
from ._contexts import DecayedSums
from ._epochs import Epoch, Epochs
from ._state import State
from ._tables import Tables
from ._unit import UNIT
from .identity import FORMAT, Identity
from .rewards import DEFAULT_REWARDS, RewardTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC: Final = f"rankloom-evidence {FORMAT}\n".encode()
_LENGTH: Final = 8
_DIGEST: Final = 32


def dump(state: State, max_users: int | None) -> bytes:
    """Return a state as bytes."""
    arrays, segments = _arrays(state)
    closed = state.closed
    header = {
        "identity": state.identity.as_json(),
        "source": state.source,
        "max_users": max_users,
        "arms": state.arms.names,
        "segments": segments,
        "line": closed.line,
        "units": closed.units,
        "unexposed": closed.unexposed,
        "users_dropped": closed.users_dropped,
        "ledger": dict(sorted(closed.ledger.items())),
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [MAGIC, len(text).to_bytes(_LENGTH, "little"), text]
    parts += [array.tobytes() for array in arrays.values()]
    body = b"".join(parts)
    return body + _digest(body)


def load(data: bytes, name: str = "state") -> tuple[State, int | None]:
    """Return the state that `dump` gave, and its most user contexts.

    Raises
    ------
    IntegrityError
        If the bytes are damaged, cut off, or of another format.
    """
    if not data.startswith(MAGIC):
        found = data[: len(MAGIC)]
        msg = f"{name}: expected a state that begins with {MAGIC!r}, found {found!r}"
        raise IntegrityError(msg)
    body = memoryview(data)[:-_DIGEST]
    if _digest(body) != data[-_DIGEST:]:
        msg = (
            f"{name}: the state does not match its digest: it is damaged or cut off. Take another "
            "copy, or learn the state again from the log"
        )
        raise IntegrityError(msg)
    start = len(MAGIC) + _LENGTH
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = json.loads(bytes(body[start:end]))
        return _state(header, _read_arrays(header["arrays"], body[end:])), header["max_users"]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{name}: the state is not one that this version writes: {error!r}"
        raise IntegrityError(msg) from error


def save(data: bytes, path: str | Path) -> None:
    """Write bytes into a file that is there whole or not at all."""
    write_whole(path, lambda name: Path(name).write_bytes(data))


def read(path: str | Path) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    UnreadableSourceError
        If it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        msg = f"{path}: the state cannot be read: {error.strerror}"
        raise UnreadableSourceError(msg) from error


def _arrays(state: State) -> tuple[dict[str, NDArray[Any]], list[list[str]]]:
    """Return every array in its order, and the segments in theirs."""
    names = state.segments.names
    order = sorted(range(len(names)), key=names.__getitem__)
    code_of = np.append(np.argsort(order), -1).astype(np.int32)
    units = state.units.take(state.units.order())
    records = units.records
    records["segment"] = code_of[records["segment"]]
    arrays = {f"units.{name}": records[name] for name in UNIT.names or ()}
    arrays |= {"scores": units.scores, "contributions": units.contributions}
    for name, table in state.closed.tables._asdict().items():
        arrays |= {f"{name}.{part}": getattr(table, part) for part in ("keys", "times", "values")}
    users = sorted(state.epochs.wishes)
    arrays["epochs.users"] = np.array(users, np.uint64)
    wishes = [state.epochs.wishes[user] for user in users]
    arrays["epochs.wishes"] = np.array(wishes, np.int64).reshape(len(users), 2)
    little = {k: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for k, a in arrays.items()}
    return little, [list(names[i]) for i in order]


def _read_arrays(listed: list[list[Any]], body: memoryview) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for name, dtype, shape in listed:
        kind = np.dtype(dtype)
        if kind.hasobject:
            msg = f"array {name} is of type {dtype}"
            raise ValueError(msg)
        size = math.prod(shape)
        array = np.frombuffer(body, kind, size, at).reshape(shape)
        arrays[name] = array.astype(kind.newbyteorder("="))
        at += size * kind.itemsize
    if at != len(body):
        msg = f"{len(body) - at} bytes are left over"
        raise ValueError(msg)
    return arrays


def _state(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> State:
    identity = Identity.from_json(header["identity"])
    # A type with no reward left is told apart from one that has the default.
    rewards = RewardTable({**dict.fromkeys(DEFAULT_REWARDS, 0.0), **dict(identity.rewards)})
    state = State(identity, rewards, header["arms"], header["source"])
    state.segments.add(tuple(values) for values in header["segments"])
    records = np.zeros(len(arrays["units.execution"]), UNIT)
    for name in UNIT.names or ():
        records[name] = arrays[f"units.{name}"]
    state.units.load(records, arrays["scores"], arrays["contributions"])
    state.closed = Closed(
        _tables(arrays, len(state.arms)),
        line=header["line"],
        units=header["units"],
        unexposed=header["unexposed"],
        users_dropped=header["users_dropped"],
        ledger=header["ledger"],
    )
    pairs = zip(arrays["epochs.users"].tolist(), arrays["epochs.wishes"].tolist(), strict=True)
    state.epochs = Epochs({user: Epoch(*wish) for user, wish in pairs})
    state.sessions.rebuild(state.units, state.revision)
    return state


def _tables(arrays: dict[str, NDArray[Any]], arms: int) -> Tables:
    made = {}
    for name, empty in Tables.empty(arms)._asdict().items():
        keys, times, values = (arrays[f"{name}.{part}"] for part in ("keys", "times", "values"))
        if values.shape != (len(keys), empty.values.shape[1]) or times.shape != keys.shape:
            msg = f"sums of {name} have shape {values.shape}"
            raise ValueError(msg)
        made[name] = DecayedSums(keys, times, values, empty.squared)
    return Tables(**made)


def _digest(body: bytes | memoryview) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()
