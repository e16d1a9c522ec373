"""Requests for weights: of which user and session, of which segment, with whose noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ...errors import InvalidInputError
from ..base.contexts import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from ..base.contexts import Context

Segment = str | Sequence[Any] | Mapping[str, Any]
"""A segment as callers name it: its value, its values in order, or values by field."""

_DRAW_BYTES: Final = 8


class Requester(NamedTuple):
    """The user, session or execution that weights are for; ids as text, None where unknown."""

    user_id: str | None
    session_id: str | None
    unit: str  # who is assigned to a policy: the user, else the session, else the execution
    # Whose fixed noise is used: the session's, else the user's, else the execution's
    noise_key: str
    randomised_by: str  # the same without the id, for the log

    @classmethod
    def of(cls, user_id: Any, session_id: Any, execution_id: Any, draws: Iterator[str]) -> Self:
        """Return whom weights are for; a request without any id gets noise of its own."""
        user, session = identifier("user_id", user_id), identifier("session_id", session_id)
        execution = identifier("execution_id", execution_id)
        if session is not None:
            key, kind = f"session:{session}", "session"
        elif user is not None:
            key, kind = f"user:{user}", "user"
        elif execution is not None:
            key, kind = f"execution:{execution}", "execution"
        else:
            key = kind = next(draws)
        return cls(user, session, key if user is None else f"user:{user}", key, kind)


def identifier(name: str, value: Any) -> str | None:
    """Return an id as text; whole numbers are cast, as in records, and "" is no id.

    >>> identifier("user_id", 7), identifier("user_id", "")
    ('7', None)
    """
    if value is None or type(value) is str:
        return value or None
    if isinstance(value, str):
        return str(value) or None
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    msg = f"{name}: expected text, got {value!r}"
    raise InvalidInputError(msg)


class SingleDraws:
    """Keys for requests without any id, each different; shared by threads, and picklable.

    >>> [next(single_draws(3)) == next(single_draws(3)), next(single_draws(None))[:5]]
    [True, 'draw:']
    """

    def __init__(self, start: str, number: int = 0) -> None:
        self._start = start
        self._number = number
        self._lock = Lock()

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> str:
        """Return the next key."""
        with self._lock:
            number = self._number
            self._number += 1
        return f"draw:{self._start}:{number}"

    def __reduce__(self) -> tuple[type[Self], tuple[str, int]]:
        """Copy the keys that are still to come; a lock cannot be copied."""
        return type(self), (self._start, self._number)


def single_draws(random_state: int | None) -> SingleDraws:
    """Return keys for requests without any id; the same ones for the same seed.

    Raises InvalidInputError if the seed is not a whole number from 0 on.
    """
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if random_state is not None and not (whole and random_state >= 0):
        msg = f"random_state: expected a whole number from 0 on, or None, got {random_state!r}"
        raise InvalidInputError(msg)
    return SingleDraws(np.random.default_rng(random_state).bytes(_DRAW_BYTES).hex())


def segment_context(segment: Segment | None, segment_by: tuple[str, ...]) -> Context:
    """Return the context of a segment, the global one for None.

    Values that are no text are written as JSON, as those of records are.

    Raises InvalidInputError if there are no segments here, or the values are not one for each
    field.

    >>> segment_context("de", ("country",))
    ('segment', 'de')
    >>> segment_context({"device": "phone", "country": "de"}, ("country", "device"))
    ('segment', 'de', 'phone')
    """
    if segment is None:
        return GLOBAL
    values = _values(segment, segment_by)
    if not segment_by or values is None or len(values) != len(segment_by):
        expected = f"one value for each of segment_by={segment_by}" if segment_by else "None"
        hint = "" if segment_by else ", for segment_by is empty. Name its fields"
        msg = f"segment: got {segment!r}, expected {expected}{hint}"
        raise InvalidInputError(msg)
    return ("segment", *(v if isinstance(v, str) else json.dumps(v) for v in values))


def _values(segment: Segment, segment_by: tuple[str, ...]) -> list[Any] | None:
    if isinstance(segment, str):
        return [segment]
    if isinstance(segment, Mapping):
        return [segment[n] for n in segment_by] if set(segment) == set(segment_by) else None
    return list(segment) if isinstance(segment, Sequence) else None
