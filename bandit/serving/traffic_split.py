"""Which weights a user gets: learned ones, the old ones, or those of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ..._shared.ids import stable_id
from ...errors import InvalidInputError
from ..base.channels import checked_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PolicyName = Literal["learned", "prior", "production", "control", "explore", "shadow", "fallback"]

_RANGE: Final = 2.0**64


class Assignment(NamedTuple):
    """A policy, and the share of all users who get it."""

    policy: PolicyName
    share: float

    @property
    def needs_sample(self) -> bool:
        """Whether weights are sampled from the posterior for it."""
        return self.policy in {"learned", "shadow"}


_EVERYBODY: Final = Assignment("learned", 1.0)


@dataclass(frozen=True)
class TrafficSplit:
    """Who gets which weights, by a hash: a user keeps the policy as long as its share stays.

    Of all users (else sessions, else executions) `rollout_pct` take part; the others get the
    production weights. Of those who take part, `control_pct` get equal weights and `explore_pct`
    get weights drawn uniformly from all there are (Dirichlet with all parameters 1). Raising
    `rollout_pct` takes out no user who takes part already.

    >>> split = TrafficSplit("default/default", rollout_pct=0.0)
    >>> split.of("user:u1")
    Assignment(policy='production', share=1.0)
    """

    scope: str  # goes into the hash, so that two retrievers do not choose the same users
    rollout_pct: float = 100.0  # per cent
    control_pct: float = 0.0
    explore_pct: float = 0.0
    # Everybody gets the production weights; what would have been served is only reported
    shadow_mode: bool = False

    def __post_init__(self) -> None:
        for name in ("rollout_pct", "control_pct", "explore_pct"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0.0 <= value <= 100.0:
                msg = f"{name}: expected per cent between 0 and 100, got {value!r}"
                raise InvalidInputError(msg)
        if self.control_pct + self.explore_pct > 100.0:
            msg = (
                f"control_pct, explore_pct: got {self.control_pct:g} and {self.explore_pct:g}, "
                "expected at most 100 together. Lower one of them"
            )
            raise InvalidInputError(msg)
        if not isinstance(self.shadow_mode, bool):
            msg = f"shadow_mode: expected True or False, got {self.shadow_mode!r}"
            raise InvalidInputError(msg)

    def of(self, unit: str) -> Assignment:
        """Return the policy of a user, session or execution."""
        if self.shadow_mode:
            return Assignment("shadow", 1.0)
        if self.rollout_pct == 100.0 and self.control_pct == self.explore_pct == 0.0:
            return _EVERYBODY
        rollout = self.rollout_pct / 100.0
        if self._percentile("roll-out", unit) >= self.rollout_pct:
            return Assignment("production", 1.0 - rollout)
        percentile = self._percentile("experiment", unit)
        if percentile < self.control_pct:
            return Assignment("control", rollout * self.control_pct / 100.0)
        experiments = self.control_pct + self.explore_pct
        if percentile < experiments:
            return Assignment("explore", rollout * self.explore_pct / 100.0)
        return Assignment("learned", rollout * (100.0 - experiments) / 100.0)

    def _percentile(self, purpose: str, unit: str) -> float:
        text = f"{purpose}:{len(self.scope)}:{self.scope}{unit}"
        return 100.0 * (stable_id(text) / _RANGE)


def production_weights(
    weights: Mapping[str, float] | None, arms: Sequence[str]
) -> dict[str, float]:
    """Return given weights with the sum 1 in the order of the arms; equal ones for None."""
    if weights is None:
        return equal_weights(arms)
    checked = checked_weights(weights, arms, "feature_uris")
    total = sum(checked.values())
    return {arm: checked[arm] / total for arm in arms}


def equal_weights(arms: Sequence[str]) -> dict[str, float]:
    """Return the same weight for every arm."""
    return {arm: 1.0 / len(arms) for arm in arms}
