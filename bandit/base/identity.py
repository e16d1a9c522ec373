"""The settings that two states of evidence must share for their sums to be added."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ...errors import InvalidInputError, StateMismatchError
from .rewards import DEFAULT_REWARDS, RewardTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FORMAT: Final = 1
"""Version of what a state holds and how it is folded."""

Credit = Literal["shared", "named"]
_DAY: Final = 86_400_000_000


@dataclass(frozen=True)
class Identity:
    """Settings under which evidence was folded; states that differ in one cannot be combined.

    Adding an arm is no difference, so arms are not among them.

    Attributes
    ----------
    half_life : float
        Days after which evidence weighs half.
    rewards : tuple of (str, float)
        Reward of every type that has one, by name.
    examination : tuple of float, or None
        Examination by position, its last value beyond; None: 1 / (position + 1).
    credit : {"shared", "named"}
        Which channels get the credit of a unit.
    segment_by : tuple of str
        Fields whose values make the segment.
    retriever_id : str or None
        The retriever whose interactions were folded; None: all.
    format : int

    Examples
    --------
    >>> from rankloom.bandit.base.rewards import RewardTable
    >>> ours = Identity.of(RewardTable(), half_life=138.0)
    >>> ours.examine(np.array([0, 1, 3])).tolist()
    [1.0, 0.5, 0.25]
    """

    half_life: float
    rewards: tuple[tuple[str, float], ...]
    examination: tuple[float, ...] | None = None
    credit: Credit = "shared"
    segment_by: tuple[str, ...] = ()
    retriever_id: str | None = None
    format: int = FORMAT

    @classmethod
    def of(
        cls,
        rewards: RewardTable,
        *,
        half_life: float,
        examination: Sequence[float] | NDArray[np.float64] | None = None,
        credit: Credit = "shared",
        segment_by: Sequence[str] = (),
        retriever_id: str | None = None,
    ) -> Identity:
        """Check the settings and freeze them.

        Raises
        ------
        InvalidInputError
            Names the parameter, the value and what was expected.
        """
        if credit not in {"shared", "named"}:
            msg = f"credit: expected 'shared' or 'named', got {credit!r}"
            raise InvalidInputError(msg)
        if isinstance(segment_by, str) or not all(isinstance(n, str) and n for n in segment_by):
            msg = f"segment_by: expected a sequence of field names, got {segment_by!r}"
            raise InvalidInputError(msg)
        return cls(
            half_life=_checked_half_life(half_life),
            rewards=tuple(rewards.rewards.items()),
            examination=None if examination is None else _checked_curve(examination),
            credit=credit,
            segment_by=tuple(segment_by),
            retriever_id=retriever_id,
        )

    @property
    def half_life_us(self) -> float:
        """The half-life in microseconds."""
        return self.half_life * _DAY

    def examine(self, positions: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the examination of 0-based positions."""
        if self.examination is None:
            return np.asarray(1.0 / (positions + 1.0), np.float64)
        curve = np.array(self.examination)
        return np.asarray(curve[np.minimum(positions, len(curve) - 1)], np.float64)

    def check(self, other: Identity) -> None:
        """Raise `StateMismatchError`, naming the first difference, unless both are the same."""
        for each in fields(self):
            ours, theirs = getattr(self, each.name), getattr(other, each.name)
            if ours != theirs:
                msg = (
                    f"{each.name}: this evidence was folded with {_shortened(ours)}, the other "
                    f"with {_shortened(theirs)}; sums of the two mean different things. Learn the "
                    "state again from the log with the settings that you want"
                )
                raise StateMismatchError(msg)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that identify these settings, for the key of a store."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def reward_table(self) -> RewardTable:
        """Return the rewards that these settings name."""
        return RewardTable(self._all_rewards())

    def settings(self) -> dict[str, Any]:
        """Return keyword arguments of `Evidence` or `FusionBandit` that give the same identity.

        Examples
        --------
        >>> from rankloom.bandit import Evidence
        >>> evidence = Evidence(["bm25"], half_life=30.0, rewards={"click": 2.0, "skip": 0.0})
        >>> same = Evidence(["clip"], **evidence.identity.settings())
        >>> same.identity == evidence.identity
        True
        """
        settings = {each.name: getattr(self, each.name) for each in fields(self)}
        del settings["format"]
        return {**settings, "rewards": self._all_rewards()}

    def _all_rewards(self) -> dict[str, float]:
        # `rewards` leaves out what is worth 0; without these zeros the defaults would be back.
        return {**{str(name): 0.0 for name in DEFAULT_REWARDS}, **dict(self.rewards)}

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Identity:
        """Return the settings that `as_json` gave."""
        curve = value["examination"]
        return cls(
            half_life=float(value["half_life"]),
            rewards=tuple((str(name), float(reward)) for name, reward in value["rewards"]),
            examination=None if curve is None else tuple(float(e) for e in curve),
            credit=value["credit"],
            segment_by=tuple(value["segment_by"]),
            retriever_id=value["retriever_id"],
            format=int(value["format"]),
        )


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."


def _checked_half_life(value: Any) -> float:
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool) or not (value > 0 and math.isfinite(value)):
        msg = f"half_life: expected a positive number of days, got {value!r}"
        raise InvalidInputError(msg)
    return float(value)


def _checked_curve(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    try:
        curve = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"examination: expected numbers by position, got {values!r}"
        raise InvalidInputError(msg) from error
    if curve.ndim != 1 or not len(curve) or not ((curve > 0) & (curve <= 1)).all():
        msg = (
            "examination: expected one number above 0 and at most 1 per position, from position "
            f"0 on, got {_shortened(values)}"
        )
        raise InvalidInputError(msg)
    if curve[0] != 1:
        msg = (
            f"examination: position 0 is examined with 1 by convention, got {curve[0]}. Divide "
            "the curve by its first value"
        )
        raise InvalidInputError(msg)
    return tuple(curve.tolist())
