"""From posteriors to weights: one interface over both kinds, for users and sessions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np

from ..base.contexts import GLOBAL
from .beta import BetaPosterior
from .hierarchy import COLD_PRIOR_STRENGTH
from .linear import LinearPosterior, positive_slopes
from .query_level import QueryLevel
from .simplex import Bounds, sharpen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..base.sums import ArmSums, QuerySums
    from .noise import Noise

    Floats = NDArray[np.float64]

KAPPA: Final = 50.0
"""Worth of the long-term success rate within a session, in exposures."""


class Posterior(Protocol):
    """The posterior of one context's arms: of their success rates, or of slopes of their scores."""

    @property
    def mean(self) -> Floats:
        """Posterior mean; shape (arms,)."""
        ...

    def draw(self, noise: Noise) -> Floats:
        """Return one draw with fixed noise; shape (arms,)."""
        ...


if TYPE_CHECKING:
    KINDS: tuple[type[Posterior], ...] = (BetaPosterior, LinearPosterior)


@dataclass(frozen=True)
class Level:
    """The posteriors of the global context or of a segment."""

    beta: BetaPosterior
    linear: LinearPosterior | None = None


@dataclass(frozen=True)
class FusionPosterior:
    """Everything that weights are computed from, for all users and sessions.

    With success rates alone the weights are theta^gamma, theta drawn for the user and moved by the
    session.

    With slopes there are two estimates from the same clicks, and the weights are their mean:
    theta^gamma and slopes^slope_gamma, each with the sum 1. A regression estimates what scores are
    worth given each other, but only among documents that the fused score let through, and it
    trusts the examination curve; success rates are coarser and depend less on both. Their errors
    differ, so the mean ranks worse than equal weights less often than either. What a user or
    session deviates from the level above multiplies it, as (theta / theta_level)^gamma at the
    means; without evidence that factor is exactly 1.

    A query moves the weights of its level first (`QueryLevel`); the factor of user and session, who
    deviate from others whatever they search for, comes on top.

    >>> from rankloom.bandit.base.sums import Sums
    >>> from rankloom.bandit.posterior.estimation import estimate
    >>> one = lambda *values: np.array([values], dtype=float)
    >>> shown = one(300, 300)
    >>> sums = Sums(("bm25", "clip"), ((),), 0, shown, one(90, 30), one(0, 0), shown)
    >>> estimate(sums).mean().round(3)
    array([0.95, 0.05])
    """

    arms: tuple[str, ...]
    levels: Mapping[tuple[str, ...], Level]  # ``()`` is global, ``("segment", *values)`` a segment
    gamma: float  # sharpness of success rates and of slopes, 1 without exposures; see `sharpness`
    slope_gamma: float
    bounds: Bounds  # smallest and largest weight
    # Of the prior that a user has from the level above, in exposures
    prior_strength: float = COLD_PRIOR_STRENGTH
    kappa: float = KAPPA  # strength of the long-term success rate within a session, in exposures
    query_level: QueryLevel | None = None  # None where queries have no weights of their own

    @property
    def kind(self) -> Literal["beta", "linear"]:
        """Which posterior the weights come from."""
        return "beta" if self.levels[GLOBAL].linear is None else "linear"

    @property
    def has_evidence(self) -> bool:
        """Whether any exposure is behind it; else it is the prior, equal for all channels."""
        return self.gamma > 1.0 or (self.kind == "linear" and self.slope_gamma > 1.0)

    def level(self, segment: tuple[str, ...] = GLOBAL) -> Level:
        """Return a segment's level, the global one where nothing is known of the segment."""
        return self.levels.get(segment) or self.levels[GLOBAL]

    def mean(
        self,
        segment: tuple[str, ...] = GLOBAL,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
        query: QuerySums | None = None,
    ) -> Floats:
        """Return the weights at the posterior mean; shape (arms,), sum 1.

        `segment`: ``("segment", *values)``. `user`: the user's own, without that of the session.
        `session`: of the session's live units. `query`: of the query, of all its searches.
        """
        return self._weights(None, segment, user, session, query)

    def draw(
        self,
        noise: Noise,
        segment: tuple[str, ...] = GLOBAL,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
        query: QuerySums | None = None,
    ) -> Floats:
        """Return weights drawn with fixed noise; shape (arms,), sum 1; parameters as of `mean`."""
        return self._weights(noise, segment, user, session, query)

    def _weights(
        self,
        noise: Noise | None,
        segment: tuple[str, ...],
        user: ArmSums | None,
        session: ArmSums | None,
        query: QuerySums | None,
    ) -> Floats:
        level = self.level(segment)
        own = level.beta if user is None else level.beta.child(*user, self.prior_strength)
        if level.linear is None:
            theta = own.mean if noise is None else own.draw(noise)
            if session is not None:
                theta = session_theta(theta, *session, self.kappa)
            weights = sharpen(theta, self.gamma)
            if query is not None:
                weights = self._with_query_rates(weights, query, level.beta, noise)
            return self.bounds.project(weights)
        weights = self._both_estimates(level.beta, level.linear, noise)
        if query is not None and self.query_level is not None:
            weights = self.query_level.moved(weights, query, level.linear, noise)
        theta = own.mean if session is None else session_theta(own.mean, *session, self.kappa)
        if theta is not level.beta.mean:
            weights = weights * (theta / level.beta.mean) ** self.gamma
        return self.bounds.project(weights)

    def _both_estimates(
        self, beta: BetaPosterior, linear: LinearPosterior, noise: Noise | None
    ) -> Floats:
        theta = beta.mean if noise is None else beta.draw(noise)
        slopes = linear.mean if noise is None else linear.draw(noise)
        by_slopes = sharpen(positive_slopes(slopes), self.slope_gamma)
        return np.asarray(0.5 * (by_slopes + sharpen(theta, self.gamma)))

    @property
    def query_strength(self) -> float:
        """Strength of the prior that queries have from the level above them, in exposures."""
        level = self.query_level
        if level is None:
            return COLD_PRIOR_STRENGTH
        return level.strength if level.slope_strength is None else level.slope_strength

    def query_means(
        self, level: Level, query: QuerySums | None
    ) -> tuple[BetaPosterior, Floats | None]:
        """Return the success rates and slopes of a query under a level."""
        slopes = None if level.linear is None else level.linear.mean
        if query is None or self.query_level is None:
            return level.beta, slopes
        deviation = None
        if level.linear is not None:
            deviation = self.query_level.deviation(query, level.linear)
        if slopes is not None and deviation is not None:
            slopes = slopes + deviation
        return self.query_level.rates(query, level.beta), slopes

    def _with_query_rates(
        self, weights: Floats, query: QuerySums, beta: BetaPosterior, noise: Noise | None
    ) -> Floats:
        own = beta if self.query_level is None else self.query_level.rates(query, beta)
        if own is beta:
            return weights
        theta, above = (each.mean if noise is None else each.draw(noise) for each in (own, beta))
        return np.asarray(weights * (theta / above) ** (0.5 * self.gamma))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; `from_dict` reads them exactly."""
        return {
            "arms": list(self.arms),
            "gamma": self.gamma,
            "slope_gamma": self.slope_gamma,
            "floor": self.bounds.floor,
            "cap": self.bounds.cap,
            "leaning": self.prior_strength,  # the stored name is that of the first version
            "kappa": self.kappa,
            "levels": [
                {"context": list(context), **_level_to_dict(level, self.query_level)}
                for context, level in self.levels.items()
            ],
            # Without it a snapshot is what earlier versions wrote.
            **({} if self.query_level is None else {"queries": asdict(self.query_level)}),
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
            prior_strength=values["leaning"],
            kappa=values["kappa"],
            query_level=QueryLevel(**values["queries"]) if "queries" in values else None,
        )


def _level_to_dict(level: Level, query_level: QueryLevel | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "mean": level.beta.mean.tolist(),
        "strength": level.beta.strength.tolist(),
    }
    if level.linear is not None:
        values["slopes"] = level.linear.mean.tolist()
        values["root"] = level.linear.root.tolist()
        if query_level is not None:
            values["intercept"] = level.linear.intercept
    return values


def _level_of(values: Mapping[str, Any]) -> Level:
    beta = BetaPosterior(np.array(values["mean"]), np.array(values["strength"]))
    if "slopes" not in values:
        return Level(beta)
    intercept = {name: values[name] for name in ("intercept",) if name in values}
    slopes, root = np.array(values["slopes"]), np.array(values["root"])
    return Level(beta, LinearPosterior(slopes, root, **intercept))


def session_theta(theta: Floats, N: Floats, S: Floats, F: Floats, kappa: float = KAPPA) -> Floats:
    """Return the success rates within a session; shape (arms,).

    `theta`, shape (arms,): long-term success rates of the user, from evidence without this
    session's. `N`, `S`, `F`, shape (arms,): exposures, successes and negative rewards of the
    session, see `Sums`. `kappa`: positive. The larger, the less a session moves.

    theta_s = (kappa theta + S_s) / (kappa + N_s + F_s): the mean of the Beta posterior whose prior
    has the mean theta and the strength kappa. A negative reward counts as one more trial without
    success. An arm without evidence keeps its theta bit for bit.

    >>> theta, none = np.array([0.2, 0.2]), np.zeros(2)
    >>> session_theta(theta, N=np.array([1.0, 0.0]), S=np.array([1.0, 0.0]), F=none, kappa=9.0)
    array([0.28, 0.2 ])
    """
    trials = N + F
    moved = (kappa * theta + S) / (kappa + trials)
    return np.where((trials > 0) | (S > 0), moved, theta)
