"""The posterior that a bandit answers from: computed when needed, replaced whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..errors import NoExposuresError
from ._channel_weights import checked_weights
from ._learning import Learning
from ._serving import Serving, single_draws
from ._standing import Standing
from .simplex import Bounds
from .weights import FusionWeights

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from ._context_keys import Context
    from ._policy import Policy
    from ._session_views import View
    from .evidence import Evidence
    from .store import Store

RENEWED_AT: Final = 0.01
"""Share of new units at which `sample` computes the long-term posterior anew."""


class Present(NamedTuple):
    """The posterior that is served, the snapshot of it, and the size of what it is made from."""

    standing: Standing
    weights: FusionWeights
    size: int


class Answering(Learning):
    """The part of `FusionBandit` that keeps posterior and evidence together."""

    def __init__(
        self,
        evidence: Evidence,
        *,
        policy: Policy,
        production: Mapping[str, float] | None,
        namespace: str,
        salt: str | None,
        random_state: int | None,
        options: Mapping[str, Any],
        store: Store | None,
    ) -> None:
        self._policy, self._production, self._options = policy, production, dict(options)
        if production is not None:
            self._production = checked_weights(production, evidence.arms, "feature_uris")
        self.namespace, self.retriever_id = namespace, evidence.identity.retriever_id
        self._draws = single_draws(random_state)
        seeded = policy.scope if random_state is None else f"{policy.scope}/{random_state}"
        self._salt = seeded if salt is None else salt
        self._present: Present | None = None
        self._check_arms(evidence.arms)
        super().__init__(evidence, store)
        self._arms_changed()

    def _present_within(self, share: float) -> Present:
        """Return the posterior, computed anew if more than a share of the evidence is newer.

        Nothing is locked while it is new enough, so a long update in another thread does not hold
        up requests.
        """
        present = self._present
        if present is not None and self._pending <= present.size * share:
            return present
        with self._lock:
            present = self._computed(self.evidence)
            self._serve(present)
            self._pending = 0
            return present

    def _serve(self, present: Present) -> None:
        """Answer from a posterior from now on, unless from a newer one; the lock is held."""
        revision, before = present.standing.revision, self._present
        if before is None or before.standing.revision <= revision:
            self.evidence._state.sessions.serve(revision)  # noqa: SLF001 - our own
            self._present = present

    def _computed(self, evidence: Evidence) -> Present:
        try:
            standing = Standing.of(evidence, **self._options)
        except NoExposuresError as error:
            raise NoExposuresError(self._why_no_exposures()) from error
        account = evidence.account
        weights = FusionWeights(
            standing.posterior,
            policy=self._policy,
            production=self._serving.production,
            salt=self._salt,
            segment_by=evidence.identity.segment_by,
            time=standing.time,
            namespace=self.namespace,
            retriever_id=self.retriever_id,
        )
        return Present(standing, weights, account.open_units + account.users)

    def _seen(
        self,
        share: float,
        context: Context,
        user: str | None,
        session: str | None,
        now: dt.datetime | int | None,
    ) -> tuple[Present, View]:
        """Return the posterior, as `_present_within`, and what is seen of it; takes no lock."""
        while True:
            present = self._present_within(share)
            view = self._view(present, context, user, session, now)
            if view is not None:
                return present, view

    def _view(
        self,
        present: Present,
        context: Context,
        user: str | None,
        session: str | None,
        now: dt.datetime | int | None,
    ) -> View | None:
        return present.standing.view(self.evidence, context, user, session, now)

    def _why_no_exposures(self) -> str:
        account = self.evidence.account
        units = account.open_units + account.closed_units
        left_out = ", ".join(f"{n} {name}" for name, n in self._left_out.items() if n)
        return (
            f"no exposures: of {units} documents of executions, none was shown by a channel of "
            f"{list(self.evidence.arms)} as far as the rows tell, and of "
            f"{account.units_without_exposure} no 'impression' or 'view' row says that it was "
            "shown. Log impressions, with their feature_uri or their channels' scores, or give "
            "update(impressions=...)"
            + (f". Rows left out: {left_out}" if left_out else "")
            + ". Until then serve your own weights, or use shadow_mode=True"
        )

    def _check_arms(self, arms: Sequence[str]) -> None:
        Bounds.of(len(arms), floor=self._options["floor"], cap=self._options["cap"])

    def _arms_changed(self) -> None:
        arms = self.evidence.arms
        if self._production is not None:
            # Production knows nothing of a channel that is new: it serves without it.
            self._production = {arm: self._production.get(arm, 0.0) for arm in arms}
        self._serving = Serving(arms, self._policy, self._production, self._salt)
        # Once: who asks meanwhile gets the one or the other.
        self._present = self._kept()

    def _kept(self) -> Present | None:
        """Return the posterior that is served on though channels may be others now: none here."""
        return None
