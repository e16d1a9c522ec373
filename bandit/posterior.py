"""From posteriors to weights: one interface over both kinds, for users and sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from .beta import BetaPosterior
from .hierarchy import COLD_LEANING
from .linear import LinearPosterior, positive_slopes
from .session import KAPPA, session_theta
from .simplex import Bounds, sharpen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ._sums import Sums
    from .noise import Noise

    Floats = NDArray[np.float64]

GLOBAL: tuple[str, ...] = ()


class Posterior(Protocol):
    """What is believed of the arms of one context: success rates, or slopes of their scores."""

    @property
    def mean(self) -> Floats:
        """Posterior mean; shape (arms,)."""
        ...

    def draw(self, noise: Noise) -> Floats:
        """Return one draw with fixed noise; shape (arms,)."""
        ...


if TYPE_CHECKING:
    KINDS: tuple[type[Posterior], ...] = (BetaPosterior, LinearPosterior)


class ArmSums(NamedTuple):
    """Exposures, successes and negative rewards of one user or session, see `Sums`.

    Attributes
    ----------
    N, S, F : ndarray of float64, shape (arms,)
    """

    N: Floats
    S: Floats
    F: Floats

    @classmethod
    def of(cls, sums: Sums, row: int = 0) -> ArmSums:
        """Return one row of some sums."""
        return cls(sums.N[row], sums.S[row], sums.F[row])


@dataclass(frozen=True)
class Level:
    """The posteriors of the global context or of a segment."""

    beta: BetaPosterior
    linear: LinearPosterior | None = None


@dataclass(frozen=True)
class FusionPosterior:
    """Everything that weights are computed from, for all users and sessions.

    Attributes
    ----------
    arms : tuple of str
    levels : mapping of tuple of str to Level
        ``()`` is global, ``("segment", *values)`` a segment.
    gamma, slope_gamma : float
        Sharpness of success rates and of slopes.
    bounds : Bounds
        Smallest and largest weight.
    leaning : float
        Strength of the prior that a user has from the level above.
    kappa : float
        Strength of the long-term success rate within a session.

    Notes
    -----
    With success rates alone the weights are theta^gamma, theta drawn for the user and moved by the
    session.

    With slopes there are two views of the same clicks, and the weights are their mean: theta^gamma
    and slopes^slope_gamma, each with the sum 1. A regression sees what scores are worth beside
    each other, but only among documents that the fused score let through, and it trusts the
    examination curve; success rates are coarser and mind both less. Their errors differ, so the
    mean ranks worse than equal weights less often than either. What a user or session
    deviates from the level above multiplies it, as (theta / theta_level)^gamma at the means;
    without evidence that factor is exactly 1.

    Examples
    --------
    >>> from rankloom.bandit._sums import Sums
    >>> from rankloom.bandit.estimation import estimate
    >>> one = lambda *values: np.array([values], dtype=float)
    >>> shown = one(300, 300)
    >>> sums = Sums(("bm25", "clip"), ((),), 0, shown, one(90, 30), one(0, 0), shown)
    >>> estimate(sums).mean().round(3)
    array([0.95, 0.05])
    """

    arms: tuple[str, ...]
    levels: Mapping[tuple[str, ...], Level]
    gamma: float
    slope_gamma: float
    bounds: Bounds
    leaning: float = COLD_LEANING
    kappa: float = KAPPA

    @property
    def kind(self) -> Literal["beta", "linear"]:
        """Which posterior the weights come from."""
        return "beta" if self.levels[GLOBAL].linear is None else "linear"

    def level(self, segment: tuple[str, ...] = GLOBAL) -> Level:
        """Return a segment's level, the global one where nothing is known of the segment."""
        return self.levels.get(segment) or self.levels[GLOBAL]

    def mean(
        self,
        segment: tuple[str, ...] = GLOBAL,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
    ) -> Floats:
        """Return the weights at the posterior mean; shape (arms,), sum 1.

        Parameters
        ----------
        segment : tuple of str
            ``("segment", *values)``.
        user : ArmSums, optional
            The user's own, without that of the session.
        session : ArmSums, optional
            Of the session's live units.
        """
        return self._weights(None, segment, user, session)

    def draw(
        self,
        noise: Noise,
        segment: tuple[str, ...] = GLOBAL,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
    ) -> Floats:
        """Return weights drawn with fixed noise; shape (arms,), sum 1; parameters as of `mean`."""
        return self._weights(noise, segment, user, session)

    def _weights(
        self,
        noise: Noise | None,
        segment: tuple[str, ...],
        user: ArmSums | None,
        session: ArmSums | None,
    ) -> Floats:
        level = self.level(segment)
        own = level.beta if user is None else level.beta.child(*user, self.leaning)
        if level.linear is None:
            theta = own.mean if noise is None else own.draw(noise)
            if session is not None:
                theta = session_theta(theta, *session, self.kappa)
            return self.bounds.project(sharpen(theta, self.gamma))
        weights = self._both_views(level.beta, level.linear, noise)
        theta = own.mean if session is None else session_theta(own.mean, *session, self.kappa)
        if theta is not level.beta.mean:
            weights = weights * (theta / level.beta.mean) ** self.gamma
        return self.bounds.project(weights)

    def _both_views(
        self, beta: BetaPosterior, linear: LinearPosterior, noise: Noise | None
    ) -> Floats:
        theta = beta.mean if noise is None else beta.draw(noise)
        slopes = linear.mean if noise is None else linear.draw(noise)
        by_slopes = sharpen(positive_slopes(slopes), self.slope_gamma)
        return np.asarray(0.5 * (by_slopes + sharpen(theta, self.gamma)))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; `from_dict` reads them exactly."""
        return {
            "arms": list(self.arms),
            "gamma": self.gamma,
            "slope_gamma": self.slope_gamma,
            "floor": self.bounds.floor,
            "cap": self.bounds.cap,
            "leaning": self.leaning,
            "kappa": self.kappa,
            "levels": [
                {"context": list(context), **_level_to_dict(level)}
                for context, level in self.levels.items()
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FusionPosterior:
        """Return what `to_dict` wrote."""
        return cls(
            arms=tuple(values["arms"]),
            levels={tuple(level["context"]): _level_of(level) for level in values["levels"]},
            gamma=values["gamma"],
            slope_gamma=values["slope_gamma"],
            bounds=Bounds(values["floor"], values["cap"]),
            leaning=values["leaning"],
            kappa=values["kappa"],
        )


def _level_to_dict(level: Level) -> dict[str, Any]:
    values: dict[str, Any] = {
        "mean": level.beta.mean.tolist(),
        "strength": level.beta.strength.tolist(),
    }
    if level.linear is not None:
        values["slopes"] = level.linear.mean.tolist()
        values["root"] = level.linear.root.tolist()
    return values


def _level_of(values: Mapping[str, Any]) -> Level:
    beta = BetaPosterior(np.array(values["mean"]), np.array(values["strength"]))
    if "slopes" not in values:
        return Level(beta)
    return Level(beta, LinearPosterior(np.array(values["slopes"]), np.array(values["root"])))
