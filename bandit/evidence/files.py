"""A state of evidence as bytes: numbers and names with a digest, never a pickle.

The layout: a line that names the format, the length of a JSON header as eight bytes, the header,
the arrays that it lists one after the other (little-endian), and the blake2b-256 of everything
before. Units are in the order of their keys and segments in alphabetical order, so that states
of the same events have the same bytes, in whatever order the events came. The digest detects
damage, not tampering: load states from writers that you trust.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.atomic_files import write_whole
from ..._shared.digests import with_digest, without_digest
from ...errors import IntegrityError, UnreadableSourceError
from ..base.identity import FORMAT, Identity
from ..units.channel_sets import NO_CHANNEL, code_of, members
from ..units.record import UNIT
from ..units.user_resets import UserReset, UserResets
from .closed_sums import ClosedSums
from .decayed_sums import DecayedSums
from .state import EvidenceState
from .sum_tables import SumTables

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC: Final = f"rankloom-evidence {FORMAT}\n".encode()
_LENGTH: Final = 8
_REMEDY: Final = "take another copy, or learn the state again from the log"


def dump(state: EvidenceState, max_users: int | None) -> bytes:
    """Return a state as bytes."""
    arrays, segments, channel_sets = _arrays(state)
    closed = state.closed
    header = {
        "identity": state.identity.as_json(),
        "source": state.source,
        "max_users": max_users,
        "arms": state.arms.names,
        "segments": segments,
        "line": closed.compacted_before,
        "units": closed.units,
        "unexposed": closed.unexposed,
        "users_dropped": closed.users_dropped,
        "ledger": dict(sorted(closed.ledger.items())),
        **({"channel_sets": channel_sets} if channel_sets else {}),
        # A state without queries has the bytes that earlier versions gave it.
        **({"max_queries": state.max_queries} if state.max_queries else {}),
        **({"queries_dropped": closed.queries_dropped} if closed.queries_dropped else {}),
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [MAGIC, len(text).to_bytes(_LENGTH, "little"), text]
    parts += [array.tobytes() for array in arrays.values()]
    return with_digest(b"".join(parts))


def load(data: bytes, name: str = "state") -> tuple[EvidenceState, int | None]:
    """Return the state that `dump` gave, and its most user contexts.

    Raises
    ------
    IntegrityError
        If the bytes are damaged, cut off, or of another format.
    """
    if not data.startswith(MAGIC):
        found = data[: len(MAGIC)]
        msg = f"{name}: expected a state that begins with {MAGIC!r}, found {found!r}; {_REMEDY}"
        raise IntegrityError(msg)
    body = without_digest(data, name, _REMEDY)
    start = len(MAGIC) + _LENGTH
    end = start + int.from_bytes(body[len(MAGIC) : start], "little")
    try:
        header = json.loads(bytes(body[start:end]))
        return _state(header, _read_arrays(header["arrays"], body[end:])), header["max_users"]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{name}: the state is not one that this version reads: {error!r}; {_REMEDY}"
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


def _arrays(
    state: EvidenceState,
) -> tuple[dict[str, NDArray[Any]], list[list[str]], list[list[int]]]:
    """Return every array in its order, the segments and the sets of channels in theirs."""
    names = state.segments.names
    order = sorted(range(len(names)), key=names.__getitem__)
    segment_codes = np.append(np.argsort(order), -1).astype(np.int32)
    units = state.units.take(state.units.order())
    records = units.records
    records["segment"] = segment_codes[records["segment"]]
    arms, channel_sets = _canonical_arms(records["arm"])
    arrays = {f"units.{name}": records[name] for name in UNIT.names or ()}
    arrays["units.arm"] = arms
    arrays |= {"scores": units.scores, "contributions": units.contributions}
    if not records["query"].any():
        del arrays["units.query"]
    tables = state.closed.tables._asdict()
    if not len(state.closed.tables.queries):
        del tables["queries"]
    for name, table in tables.items():
        arrays |= {f"{name}.{part}": getattr(table, part) for part in ("keys", "times", "values")}
    users = sorted(state.resets.by_user)
    arrays["epochs.users"] = np.array(users, np.uint64)
    resets = [state.resets.by_user[user] for user in users]
    arrays["epochs.wishes"] = np.array(resets, np.int64).reshape(len(users), 2)
    little = {k: np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for k, a in arrays.items()}
    return little, [list(names[i]) for i in order], channel_sets


def _canonical_arms(arms: NDArray[np.int32]) -> tuple[NDArray[np.int16], list[list[int]]]:
    """Return codes of channels, from -2 down those of the sets that are listed, in their order."""
    sets = {code: members(code) for code in np.unique(arms).tolist() if code < NO_CHANNEL}
    listed = sorted(sets.values())
    made = arms.astype(np.int16)
    for code, arms_of_set in sets.items():
        made[arms == code] = NO_CHANNEL - 1 - listed.index(arms_of_set)
    return made, [list(each) for each in listed]


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


def _state(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> EvidenceState:
    identity = Identity.from_json(header["identity"])
    state = EvidenceState(
        identity,
        identity.reward_table(),
        header["arms"],
        header["source"],
        header.get("max_queries", 0),
    )
    state.segments.add(tuple(values) for values in header["segments"])
    records = np.zeros(len(arrays["units.execution"]), UNIT)
    for name in UNIT.names or ():
        if name != "query" or "units.query" in arrays:
            records[name] = arrays[f"units.{name}"]
    for place, arms in enumerate(header.get("channel_sets", [])):
        records["arm"][arrays["units.arm"] == NO_CHANNEL - 1 - place] = code_of(arms)
    state.units.load(records, arrays["scores"], arrays["contributions"])
    state.closed = ClosedSums(
        _tables(arrays, len(state.arms)),
        compacted_before=header["line"],
        units=header["units"],
        unexposed=header["unexposed"],
        users_dropped=header["users_dropped"],
        queries_dropped=header.get("queries_dropped", 0),
        ledger=header["ledger"],
    )
    pairs = zip(arrays["epochs.users"].tolist(), arrays["epochs.wishes"].tolist(), strict=True)
    state.resets = UserResets({user: UserReset(*reset) for user, reset in pairs})
    state.sessions.rebuild(state.units)
    return state


def _tables(arrays: dict[str, NDArray[Any]], arms: int) -> SumTables:
    made: dict[str, DecayedSums] = {}
    for name, empty in SumTables.empty(arms)._asdict().items():
        if name == "queries" and "queries.keys" not in arrays:
            made[name] = empty
            continue
        keys, times, values = (arrays[f"{name}.{part}"] for part in ("keys", "times", "values"))
        if values.shape != (len(keys), empty.values.shape[1]) or times.shape != keys.shape:
            msg = f"sums of {name} have shape {values.shape}"
            raise ValueError(msg)
        made[name] = DecayedSums(keys, times, values, empty.squared)
    return SumTables(**made)
