"""What each interaction type is worth to the channel that found the document."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ...datasets.record.interaction import LIST_LEVEL_TYPES, InteractionType
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = InteractionType

DEFAULT_REWARDS: Final[dict[str, float]] = {
    T.CLICK: 1.0,
    T.LONG_VIEW: 1.0,
    T.BOOKMARK: 1.5,
    T.SHARE: 1.5,
    T.ADD_TO_CART: 2.0,
    T.POSITIVE_FEEDBACK: 2.0,
    T.PURCHASE: 3.0,
    T.NEGATIVE_FEEDBACK: -2.0,
    T.SKIP: -0.5,
    T.RETURN_TO_RESULTS: -0.5,
}
"""Rewards where none are given; every other type is worth 0."""

DISPLAY_TYPES: Final[frozenset[str]] = frozenset({T.IMPRESSION, T.VIEW})
"""Types that are logged whether or not the user liked what was shown: they are exposures."""

MAX_LEVELS: Final = 255
"""Most different rewards of one sign."""

_BUILT_IN: Final = frozenset(str(name) for name in InteractionType)


class RewardTable:
    """Immutable rewards by interaction type, scaled so that the highest counts one success.

    Parameters
    ----------
    rewards : mapping of str to float, optional
        Type -> reward, over `DEFAULT_REWARDS`; a name that is no built-in type is a new type.

    Attributes
    ----------
    rewards : dict of str to float
        All rewards that are not 0, as given, by name.
    positive, negative : tuple of float
        Distinct scaled rewards by level, level 0 being 0: positive ones and, apart, the size of
        negative ones, capped at 1. One unit is worth at most one success and one failure.
    known : frozenset of str
        Types that are built in or have a reward.

    Raises
    ------
    InvalidInputError
        If a reward is not finite, none is positive, or one is given to a type that concerns the
        whole list.

    Examples
    --------
    >>> table = RewardTable()
    >>> plus, minus = table.levels(["click", "skip"])
    >>> round(table.positive[plus], 4), round(table.negative[minus], 4)
    (0.3333, 0.1667)
    """

    __slots__ = ("_minus", "_plus", "known", "negative", "positive", "rewards")

    def __init__(self, rewards: Mapping[str, float] | None = None) -> None:
        given = {str(name): _checked(name, value) for name, value in (rewards or {}).items()}
        merged = {**{str(k): v for k, v in DEFAULT_REWARDS.items()}, **given}
        self.rewards = {name: merged[name] for name in sorted(merged) if merged[name]}
        self.known = _BUILT_IN.union(self.rewards)
        highest = max(self.rewards.values(), default=0.0)
        if highest <= 0:
            msg = "rewards: expected at least one above 0, which counts one success; got none"
            raise InvalidInputError(msg)
        scaled = {name: min(abs(v) / highest, 1.0) for name, v in self.rewards.items()}
        self.positive = _distinct(scaled[n] for n, v in self.rewards.items() if v > 0)
        self.negative = _distinct(scaled[n] for n, v in self.rewards.items() if v < 0)
        self._plus = {n: self.positive.index(scaled[n]) for n, v in self.rewards.items() if v > 0}
        self._minus = {n: self.negative.index(scaled[n]) for n, v in self.rewards.items() if v < 0}

    @property
    def own_types(self) -> tuple[str, ...]:
        """Types that are not built in."""
        return tuple(name for name in self.rewards if name not in _BUILT_IN)

    def levels(self, types: Iterable[str]) -> tuple[int, int]:
        """Return the highest positive and the highest negative level of a set of types."""
        names = list(types)
        return (
            max((self._plus.get(name, 0) for name in names), default=0),
            max((self._minus.get(name, 0) for name in names), default=0),
        )

    def __repr__(self) -> str:
        return f"RewardTable({self.rewards})"


def is_display(types: Iterable[str]) -> bool:
    """Return whether a set of types is logged for every document that was shown."""
    return not DISPLAY_TYPES.isdisjoint(types)


def is_document_level(types: Iterable[str]) -> bool:
    """Return whether a set of types concerns a document, not only the list."""
    return not LIST_LEVEL_TYPES.issuperset(types)


def _distinct(values: Iterable[float]) -> tuple[float, ...]:
    levels = (0.0, *sorted(set(values)))
    if len(levels) > MAX_LEVELS:
        msg = f"rewards: at most {MAX_LEVELS - 1} different values of one sign, got {len(levels)}"
        raise InvalidInputError(msg)
    return levels


def _checked(name: object, value: object) -> float:
    if not isinstance(name, str) or not name.strip() or len(name) > 100:
        msg = f"rewards: a type's name is text of 1 to 100 characters, got {name!r}"
        raise InvalidInputError(msg)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value):  # type: ignore[arg-type]
        msg = f"rewards[{name!r}]: expected a finite number, got {value!r}"
        raise InvalidInputError(msg)
    if name in LIST_LEVEL_TYPES and value:
        msg = (
            f"rewards[{name!r}]: this type concerns the whole list, not a document, so it "
            f"rewards no channel; got {value!r}. Leave it out"
        )
        raise InvalidInputError(msg)
    return float(value)  # type: ignore[arg-type]
