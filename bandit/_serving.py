"""Answers to requests for weights: who asks, under which policy, with which noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ..errors import InvalidInputError, NoExposuresError
from ._policy import equal_weights, production_weights
from ._served import Served
from .noise import FixedNoise
from .posterior import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from ._policy import Policy
    from .noise import Noise

    Floats = NDArray[np.float64]

Segment = str | Sequence[Any] | Mapping[str, Any]
"""A segment as callers name it: its value, its values in order, or values by field."""

_DRAW_BYTES: Final = 8


class Asker(NamedTuple):
    """Who asks for weights.

    Attributes
    ----------
    unit : str
        Who is assigned to a policy: the user, else the session, else the execution.
    noise_key : str
        Whose dice are thrown: the session's, else the user's, else the execution's.
    noise_of : str
        The same without the id, for the log.
    """

    unit: str
    noise_key: str
    noise_of: str

    @classmethod
    def of(
        cls,
        user_id: str | None,
        session_id: str | None,
        execution_id: str | None,
        draws: Iterator[str],
    ) -> Asker:
        """Return who asks; a request that names nobody gets a draw of its own."""
        if session_id is not None:
            noise_key, noise_of = f"session:{session_id}", "session"
        elif user_id is not None:
            noise_key, noise_of = f"user:{user_id}", "user"
        elif execution_id is not None:
            noise_key, noise_of = f"execution:{execution_id}", "execution"
        else:
            noise_key = noise_of = next(draws)
        return cls(noise_key if user_id is None else f"user:{user_id}", noise_key, noise_of)


class Drawn(NamedTuple):
    """Weights drawn from a posterior, and the snapshot that it belongs to."""

    weights: dict[str, float]
    snapshot_id: str


class Serving:
    """Answers who asks with the weights of their policy.

    Parameters
    ----------
    arms : sequence of str
    policy : Policy
    production : mapping of str to float, optional
        Weights outside the roll-out and in shadow mode; equal ones if None.
    salt : str
        Of the fixed noise.
    """

    def __init__(
        self,
        arms: Sequence[str],
        policy: Policy,
        production: Mapping[str, float] | None,
        salt: str,
    ) -> None:
        self.arms = tuple(arms)
        self.policy, self.salt = policy, salt
        self.production = production_weights(production, self.arms)
        self._noise = FixedNoise(self.arms, salt)

    def serve(self, asker: Asker, draw: Callable[[str], Drawn]) -> Served:
        """Return the weights of the asker's policy.

        Parameters
        ----------
        asker : Asker
        draw : callable
            Draws learned weights with the noise of a key; may raise `NoExposuresError`, which is
            passed on where learned weights were to be served.
        """
        policy, share = self.policy.of(asker.unit)
        snapshot_id: str | None = None
        shadow: dict[str, float] | None = None
        if policy == "learned":
            weights, snapshot_id = draw(asker.noise_key)
        elif policy == "explore":
            weights = self.named(dirichlet(self.noise(asker.noise_key)))
        elif policy == "control":
            weights = equal_weights(self.arms)
        else:
            weights = self.production
            if policy == "shadow":
                shadow, snapshot_id = _shadow(asker, draw)
        return Served(
            weights,
            policy=policy,
            propensity=share,
            snapshot_id=snapshot_id,
            salt=self.salt,
            noise_of=asker.noise_of,
            shadow=shadow,
        )

    def named(self, weights: Floats) -> dict[str, float]:
        """Return weights by feature_uri."""
        return dict(zip(self.arms, weights.tolist(), strict=True))

    def noise(self, key: str) -> Noise:
        """Return the fixed noise of a session, user or execution."""
        return self._noise.of(key)


def _shadow(asker: Asker, draw: Callable[[str], Drawn]) -> Drawn | tuple[None, None]:
    try:
        return draw(asker.noise_key)
    except NoExposuresError:
        return None, None


def dirichlet(noise: Noise) -> Floats:
    """Return weights uniform over all that sum to 1: exponential numbers over their sum.

    Devroye, "Non-Uniform Random Variate Generation", 1986, XI.4.
    """
    numbers = noise.exponential[0, 0]
    return np.asarray(numbers / numbers.sum())


def identifier(name: str, value: Any) -> str | None:
    """Return an id as text; whole numbers are cast, as in records, and "" is no id.

    Examples
    --------
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


def single_draws(random_state: int | None) -> Iterator[str]:
    """Return keys for requests that name nobody, each different; safe to share by threads.

    Examples
    --------
    >>> [next(single_draws(3)) == next(single_draws(3)), next(single_draws(None))[:5]]
    [True, 'draw:']
    """
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if random_state is not None and not (whole and random_state >= 0):
        msg = f"random_state: expected a whole number from 0 on, or None, got {random_state!r}"
        raise InvalidInputError(msg)
    start = np.random.default_rng(random_state).bytes(_DRAW_BYTES).hex()
    return map(f"draw:{start}:{{}}".format, count())


def segment_context(segment: Segment | None, segment_by: tuple[str, ...]) -> tuple[str, ...]:
    """Return the context of a segment, the global one for None.

    Values that are no text are written as JSON, as those of records are.

    Raises
    ------
    InvalidInputError
        If there are no segments here, or the values are not one for each field.

    Examples
    --------
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
