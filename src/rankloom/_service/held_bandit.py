"""A bandit whose requests never compute: the posterior that is served is renewed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bandit.fusion_bandit import FusionBandit
from ..errors import NoExposuresError

if TYPE_CHECKING:
    from ..bandit._answering import Present
    from ..bandit._policy import Policy


class HeldBandit(FusionBandit):
    """A `FusionBandit` that serves the posterior of the last `renew`, whatever came since.

    A session's own evidence still moves its weights at once; that costs no new posterior.
    """

    def renew(self) -> bool:
        """Compute the posterior of all evidence up to now; return whether there is one.

        Requests go on meanwhile: only a copy of the evidence is taken under the lock.
        """
        with self._lock:
            evidence, pending = self.evidence.still(), self._pending
            self._pending = 0
        try:
            present = self._computed(evidence)
        except NoExposuresError:
            self._present = None
            return False
        except BaseException:
            with self._lock:
                self._pending += pending
            raise
        _ = present.weights.snapshot_id  # made from all of it: no request should have to
        with self._lock:
            if evidence.arms == self.evidence.arms:
                self._serve(present)
        return True

    @property
    def snapshot_id(self) -> str | None:
        """Name of the posterior that is served."""
        present = self._present
        return None if present is None else present.weights.snapshot_id

    @property
    def is_stale(self) -> bool:
        """Whether there is evidence that the posterior does not hold."""
        return self._present is None or self._pending > 0

    def set_policy(self, policy: Policy) -> None:
        """Serve by other shares from the next request on."""
        with self._lock:
            self._policy = policy
            self._arms_changed()

    def _present_within(self, share: float) -> Present:
        del share
        present = self._present
        if present is None:
            msg = "nothing is learnt yet: no row says what was shown, or the log is still read"
            raise NoExposuresError(msg)
        return present

    def _kept(self) -> Present | None:
        """Keep the posterior where the channels are the same: what was reloaded is no news."""
        held = self._present
        same = held is not None and held.weights.feature_uris == self.evidence.arms
        return held if same else None
