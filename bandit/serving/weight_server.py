"""Answers to requests for weights: by which policy, with which noise, and what to log of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..posterior.noise import FixedNoise
from .request import Requester, single_draws
from .served import Served
from .traffic_split import equal_weights, production_weights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from ..posterior.noise import Noise
    from .traffic_split import Assignment, PolicyName, TrafficSplit

    Floats = NDArray[np.float64]


class SampledWeights(NamedTuple):
    """Weights sampled from a posterior, and the snapshot that it belongs to."""

    weights: dict[str, float]
    snapshot_id: str
    policy: PolicyName = "learned"  # "prior" where no exposure is behind the posterior


class WeightServer:
    """Answers each request with the weights of its policy. It never changes.

    `split`: who gets which policy.
    `production`: weights outside the roll-out and in shadow mode; equal ones if None.
    `salt`: of the fixed noise.
    `namespace`, `retriever_id`: whose weights these are.
    `draws`: keys of the noise for requests that name neither session nor user nor execution, see
        `single_draws`; random ones if None.
    `production`: production weights of all arms, with the sum 1.
    """

    def __init__(
        self,
        arms: Sequence[str],
        split: TrafficSplit,
        *,
        production: Mapping[str, float] | None = None,
        salt: str = "",
        namespace: str = "default",
        retriever_id: str | None = "default",
        draws: Iterator[str] | None = None,
    ) -> None:
        self.arms, self.split, self.salt = tuple(arms), split, salt
        self.namespace, self.retriever_id = namespace, retriever_id
        self.production = production_weights(production, self.arms)
        self._is_equal = production is None
        self._draws = single_draws(None) if draws is None else draws
        self._noise = FixedNoise(self.arms, salt)

    def for_arms(self, arms: tuple[str, ...]) -> WeightServer:
        """Return a server for other channels; itself for its own.

        Production weights know nothing of a channel that is new: it gets 0 of them.
        """
        if arms == self.arms:
            return self
        return self._copy(arms, self.split, {arm: self.production.get(arm, 0.0) for arm in arms})

    def with_split(self, split: TrafficSplit) -> WeightServer:
        """Return a server with other shares of policies."""
        return self._copy(self.arms, split, self.production)

    def _copy(
        self, arms: tuple[str, ...], split: TrafficSplit, production: Mapping[str, float]
    ) -> WeightServer:
        return WeightServer(
            arms,
            split,
            production=None if self._is_equal else production,
            salt=self.salt,
            namespace=self.namespace,
            retriever_id=self.retriever_id,
            draws=self._draws,
        )

    def requester(self, user_id: Any, session_id: Any, execution_id: Any) -> Requester:
        """Return whom weights are for."""
        return Requester.of(user_id, session_id, execution_id, self._draws)

    def assign(self, requester: Requester) -> Assignment:
        """Return the policy of a user, session or execution."""
        return self.split.of(requester.unit)

    def serve(
        self,
        requester: Requester,
        assignment: Assignment,
        sampled: SampledWeights | None = None,
    ) -> Served:
        """Return the weights of a policy.

        `assignment`: of the requester. `sampled`: needed for the policy "learned", reported in
        shadow mode.
        """
        policy = assignment.policy
        shadow = None
        if policy == "explore":
            weights = self.named(dirichlet(self.noise(requester.noise_key)))
        elif policy == "control":
            weights = equal_weights(self.arms)
        elif policy != "learned":
            weights = self.production
            shadow = None if sampled is None else sampled.weights
        elif sampled is None:
            msg = "sampled: got None, which the policy 'learned' cannot serve"
            raise ValueError(msg)
        else:
            weights, policy = sampled.weights, sampled.policy
        return Served(
            weights,
            policy=policy,
            propensity=assignment.share,
            snapshot_id=None if sampled is None else sampled.snapshot_id,
            salt=self.salt,
            randomised_by=requester.randomised_by,
            shadow=shadow,
        )

    def named(self, weights: Floats) -> dict[str, float]:
        """Return weights by feature_uri."""
        return dict(zip(self.arms, weights.tolist(), strict=True))

    def noise(self, key: str) -> Noise:
        """Return the fixed noise of a session, user or execution."""
        return self._noise.of(key)


def dirichlet(noise: Noise) -> Floats:
    """Return weights uniform over all that sum to 1: exponential numbers over their sum.

    Devroye, "Non-Uniform Random Variate Generation", 1986, XI.4.
    """
    numbers = noise.exponential[0, 0]
    return np.asarray(numbers / numbers.sum())
