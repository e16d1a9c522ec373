"""A bandit whose requests never compute: the posterior that is served is renewed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from ...bandit.fusion_bandit import FusionBandit
    from ...bandit.serving.fusion_weights import FusionWeights
    from ...bandit.serving.served import Served
    from ...bandit.serving.traffic_split import TrafficSplit


CLOSED_DOCUMENTS: Final = 10
"""Documents of a list, where only sums of them are left."""


class ServingBandit:
    """Serves a bandit's posterior of the last `renew`, whatever came since.

    A session's own evidence moves its weights at once nevertheless; that costs no new posterior.
    Before there is any evidence it raises, instead of serving the prior: the weights of a service
    that has learnt nothing are equal.

    Parameters
    ----------
    bandit : FusionBandit
        From now on it computes no posterior for a request.
    """

    def __init__(self, bandit: FusionBandit) -> None:
        self.bandit, self.learner = bandit, bandit.learner
        bandit.posterior.on_demand = False

    def renew(self) -> bool:
        """Compute the posterior of all evidence up to now; return whether there is one.

        Requests go on meanwhile: only a copy of the evidence is taken under the lock.
        """
        # The name is made from all of the posterior: no request should have to do it.
        return self.bandit.posterior.renew() and self.snapshot_id is not None

    def adopt(self, computed: FusionWeights | None) -> None:
        """Serve the posterior that another process has computed; None: that nothing is known."""
        self.bandit.posterior.adopt(computed)
        _ = self.snapshot_id  # as in `renew`

    @property
    def snapshot_id(self) -> str | None:
        """Name of the posterior that is served."""
        held = self.bandit.posterior.held
        return None if held is None else held.weights(self.bandit.server).snapshot_id

    @property
    def queries(self) -> int:
        """How many queries have weights of their own in the posterior that is served."""
        held = self.bandit.posterior.held
        return 0 if held is None or held.queries is None else len(held.queries.sums)

    def lists(self) -> int:
        """Return about how many lists the evidence is of."""
        with self.learner.locked():
            state = self.bandit.evidence.state
            open_lists = np.unique(state.units.records["execution"]).size
            return int(open_lists) + state.closed.units // CLOSED_DOCUMENTS

    @property
    def is_stale(self) -> bool:
        """Whether there is evidence that the posterior does not hold."""
        return self.bandit.posterior.is_stale

    def set_split(self, split: TrafficSplit) -> None:
        """Serve by other shares from the next request on."""
        server, held = self.bandit.server.with_split(split), self.bandit.posterior.held
        if held is not None:
            _ = held.weights(server).snapshot_id  # as in `renew`
        self.bandit.server = server

    def sample(self, **request: Any) -> Served:
        """Return weights to serve, as `FusionBandit.sample`.

        Raises
        ------
        NoExposuresError
            Before there is a posterior.
        """
        return self.bandit.sample(**request)

    def mean(self, **request: Any) -> dict[str, float]:
        """Return the weights at the posterior mean, as `FusionBandit.mean`; raises as `sample`."""
        return self.bandit.mean(**request)

    def snapshot(self) -> FusionWeights:
        """Return what services load of the posterior that is served; raises as `sample`."""
        return self.bandit.snapshot()
