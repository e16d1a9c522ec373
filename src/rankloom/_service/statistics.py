"""Statistics of a retriever that learns: its settings, and the posterior of its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..bandit.base.sums import Sums
    from .retriever_settings import RetrieverSettings


def settings_shown(retriever_id: str, settings: RetrieverSettings) -> schemas.FusionSettings:
    """Return settings in the words of the interface."""
    return schemas.FusionSettings(
        retriever_id=retriever_id,
        enabled=settings.enabled,
        feature_uris=list(settings.feature_uris),
        segment_by=list(settings.segment_by),
        posterior=settings.posterior,
        max_queries=settings.max_queries,
        rollout_pct=settings.rollout_pct,
        shadow_mode=settings.shadow_mode,
        control_pct=settings.control_pct,
        explore_pct=settings.explore_pct,
    )


def channels_shown(sums: Sums, weights: Mapping[str, float]) -> list[schemas.ChannelStatistics]:
    """Return the sums of the global context by channel, with the weights as far as there are."""
    n, q = sums.N[0], sums.Q[0]
    return [
        schemas.ChannelStatistics(
            feature_uri=arm,
            exposures=float(n[i]),
            successes=float(sums.S[0][i]),
            failures=float(sums.F[0][i]),
            effective_n=float(n[i] ** 2 / q[i]) if q[i] > 0.0 else 0.0,
            weight=weights.get(arm),
        )
        for i, arm in enumerate(sums.arms)
    ]
