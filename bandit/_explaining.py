"""How an explanation is put together from what one user sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .explanation import ArmExplanation, Explanation
from .posterior import GLOBAL
from .session import session_theta

if TYPE_CHECKING:
    from ._context_keys import Context
    from ._policy import PolicyName
    from ._session_views import View
    from ._standing import Standing
    from .posterior import ArmSums


def explain(
    standing: Standing,
    view: View,
    segment: Context,
    user_id: str | None,
    *,
    session_units: int,
    policy: PolicyName,
    snapshot_id: str,
) -> Explanation:
    """Return why a view gives the weights that it gives."""
    level = standing.level_of(segment, view.user)
    contexts = {"global": GLOBAL, "segment": segment, "user": ("user", user_id or "")}
    return Explanation(
        level=level,
        context=contexts[level],
        posterior=view.posterior.kind,
        arms=_arms(view, segment, standing.evidence_of(segment, view.user)),
        sharpness=view.posterior.gamma,
        leaning=view.posterior.leaning,
        session_units=session_units,
        policy=policy,
        snapshot_id=snapshot_id,
    )


def _arms(view: View, segment: Context, sums: ArmSums) -> tuple[ArmExplanation, ...]:
    posterior = view.posterior
    level = posterior.level(segment)
    beta = level.beta if view.user is None else level.beta.child(*view.user, posterior.leaning)
    theta = beta.mean
    if view.session is not None:
        theta = session_theta(theta, *view.session, posterior.kappa)
    weights = posterior.mean(segment, view.user, view.session)
    return tuple(
        ArmExplanation(
            feature_uri=arm,
            weight=float(weights[i]),
            success_rate=float(theta[i]),
            strength=float(beta.strength[i]),
            exposures=float(sums.N[i]),
            successes=float(sums.S[i]),
            negatives=float(sums.F[i]),
            slope=None if level.linear is None else float(level.linear.mean[i]),
        )
        for i, arm in enumerate(posterior.arms)
    )
