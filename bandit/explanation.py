"""Why weights are what they are, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ._policy import PolicyName


@dataclass(frozen=True)
class ArmExplanation:
    """What is known of one channel, at the lowest level that has evidence of its own.

    Attributes
    ----------
    feature_uri : str
    weight : float
        At the posterior mean.
    success_rate : float
        Posterior mean, the session's part included.
    strength : float
        Exposures that the belief is worth, the levels above included.
    exposures, successes, negatives : float
        Decayed sums of the level: N, S and F of `Sums`.
    slope : float or None
        What a score of this channel is worth beside the others; None without scores as fused.
    """

    feature_uri: str
    weight: float
    success_rate: float
    strength: float
    exposures: float
    successes: float
    negatives: float
    slope: float | None


@dataclass(frozen=True)
class Explanation:
    """Why these weights; print it.

    Attributes
    ----------
    level : {"global", "segment", "user"}
        The lowest level that has evidence of its own.
    context : tuple of str
        Of that level; ``()`` is global.
    posterior : {"beta", "linear"}
    arms : tuple of ArmExplanation
    sharpness : float
        Exponent gamma of the success rates.
    leaning : float
        Exposures that the level above is worth to a user.
    session_units : int
        Documents of the session that move the weights beyond the long-term ones.
    policy : str
        What `sample` would serve.
    snapshot_id : str
    """

    level: Literal["global", "segment", "user"]
    context: tuple[str, ...]
    posterior: Literal["beta", "linear"]
    arms: tuple[ArmExplanation, ...]
    sharpness: float
    leaning: float
    session_units: int
    policy: PolicyName
    snapshot_id: str

    def __str__(self) -> str:
        return "\n".join([*self._head(), *self._table()])

    def _head(self) -> list[str]:
        where = " ".join(self.context) or "global"
        exposures = sum(arm.exposures for arm in self.arms)
        lines = [
            f"weights of snapshot {self.snapshot_id}, {self.posterior} posterior",
            f"level: {where}, with {exposures:,.1f} exposures of its own"
            if self.context
            else f"level: global, with {exposures:,.1f} exposures",
            f"sharpness: success rates to the power of {self.sharpness:.2f}",
        ]
        if self.level == "user":
            lines.append(f"leaning: the level above is worth {self.leaning:.0f} exposures")
        if self.session_units:
            lines.append(f"session: {self.session_units} documents of the last hour move it")
        if self.policy != "learned":
            lines.append(f"served instead: the weights of policy {self.policy!r}")
        return lines

    def _table(self) -> list[str]:
        width = max(len("feature_uri"), *(len(arm.feature_uri) for arm in self.arms))
        slope = self.posterior == "linear"
        head = f"{'feature_uri':<{width}}  weight  success rate  strength  exposures  successes"
        lines = [f"{head}  negatives" + ("   slope" if slope else "")]
        for arm in sorted(self.arms, key=lambda arm: -arm.weight):
            line = (
                f"{arm.feature_uri:<{width}}  {arm.weight:6.3f}  {arm.success_rate:12.4f}  "
                f"{arm.strength:8.1f}  {arm.exposures:9.1f}  {arm.successes:9.1f}  "
                f"{arm.negatives:9.1f}"
            )
            lines.append(line + ("" if arm.slope is None else f"  {arm.slope:6.3f}"))
        return lines
