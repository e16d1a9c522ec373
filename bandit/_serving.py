"""One posterior, ready to answer: who asks, under which policy, with which noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ..errors import InvalidInputError
from ._served import Served
from .noise import FixedNoise
from .posterior import GLOBAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._policy import Assignment, Policy
    from .noise import Noise
    from .posterior import ArmSums, FusionPosterior

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
        generator: np.random.Generator,
    ) -> Asker:
        """Return who asks; a request that names nobody gets a draw of its own."""
        if session_id is not None:
            noise_key, noise_of = f"session:{session_id}", "session"
        elif user_id is not None:
            noise_key, noise_of = f"user:{user_id}", "user"
        elif execution_id is not None:
            noise_key, noise_of = f"execution:{execution_id}", "execution"
        else:
            noise_key = noise_of = f"draw:{generator.bytes(_DRAW_BYTES).hex()}"
        return cls(noise_key if user_id is None else f"user:{user_id}", noise_key, noise_of)


class Serving:
    """Everything that answers `sample` and `mean` of one snapshot; never changed once made.

    Parameters
    ----------
    arms : sequence of str
    policy : Policy
    production : mapping of str to float
    salt : str
        Of the fixed noise.
    posterior : FusionPosterior, optional
        None where nothing was learnt yet: then only policies that need no posterior can serve.
    snapshot_id : str, optional
    """

    def __init__(
        self,
        arms: Sequence[str],
        policy: Policy,
        production: Mapping[str, float],
        salt: str,
        posterior: FusionPosterior | None = None,
        snapshot_id: str | None = None,
    ) -> None:
        self.arms = tuple(arms)
        self.policy, self.salt = policy, salt
        self.production = dict(production)
        self.posterior, self.snapshot_id = posterior, snapshot_id
        self._noise = FixedNoise(self.arms, salt)

    def draw(
        self,
        posterior: FusionPosterior,
        asker: Asker,
        segment: tuple[str, ...],
        user: ArmSums | None,
        session: ArmSums | None,
    ) -> dict[str, float]:
        """Return weights drawn with the asker's own noise."""
        noise = self._noise.of(asker.noise_key)
        return self.named(posterior.draw(noise, segment, user, session))

    def learned(self, asker: Asker, assignment: Assignment, weights: dict[str, float]) -> Served:
        """Wrap weights that the posterior gave."""
        return self._wrap(asker, assignment, weights)

    def shadowed(
        self, asker: Asker, assignment: Assignment, weights: dict[str, float] | None
    ) -> Served:
        """Serve production weights and report what would have been served."""
        return self._wrap(asker, assignment, self.production, weights)

    def unlearned(self, asker: Asker, assignment: Assignment) -> Served:
        """Serve what needs no posterior: production, control or explore."""
        if assignment.policy == "production":
            weights = self.production
        elif assignment.policy == "control":
            weights = dict.fromkeys(self.arms, 1.0 / len(self.arms))
        else:
            weights = self.named(dirichlet(self._noise.of(asker.noise_key)))
        return self._wrap(asker, assignment, weights)

    def named(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """Return weights by feature_uri."""
        return dict(zip(self.arms, weights.tolist(), strict=True))

    def _wrap(
        self,
        asker: Asker,
        assignment: Assignment,
        weights: Mapping[str, float],
        shadow: dict[str, float] | None = None,
    ) -> Served:
        return Served(
            weights,
            policy=assignment.policy,
            propensity=assignment.share,
            snapshot_id=self.snapshot_id,
            salt=self.salt,
            noise_of=asker.noise_of,
            shadow=shadow,
        )


def dirichlet(noise: Noise) -> NDArray[np.float64]:
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
