"""What a learning retriever says, in the words of the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..bandit._policy import equal_weights
from . import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .retrievers import LearningRetriever

_NEVER_ENABLED: Final = "learned fusion was never enabled for this retriever"
_DISABLED: Final = "learned fusion is disabled"
_NOTHING_LEARNT: Final = "no interaction says yet what was shown by one of the channels"


class Asking(NamedTuple):
    """Who asks for weights; the mean is for nobody."""

    user_id: str | None = None
    session_id: str | None = None
    execution_id: str | None = None
    segment: dict[str, str] | None = None

    @property
    def is_served(self) -> bool:
        """Whether somebody is served, so that roll-out and dice count."""
        return (self.user_id or self.session_id or self.execution_id) is not None

    @property
    def is_quick(self) -> bool:
        """Whether the weights are drawn in memory, without the lock that learning holds.

        The mean, and a session's own evidence, are read under that lock.
        """
        return self.is_served and self.session_id is None


def weights_for(
    retriever_id: str, retriever: LearningRetriever | None, asking: Asking
) -> schemas.FusionWeightsResponse:
    """Return the weights of whoever asks, equal ones where nothing is learnt.

    Raises
    ------
    InvalidInputError
        If the segment has not one value for each field.
    """
    enabled = retriever is not None and retriever.settings.enabled
    facts, reason = _weighed(retriever, asking)
    return schemas.FusionWeightsResponse(
        retriever_id=retriever_id,
        user_id=asking.user_id,
        enabled=enabled,
        weights=facts["weights"],
        policy=facts["policy"],
        propensity=facts["propensity"],
        snapshot_id=facts["snapshot_id"],
        metadata={"fusion": facts},
        fallback=reason,
    )


def _weighed(
    retriever: LearningRetriever | None, asking: Asking
) -> tuple[Mapping[str, Any], str | None]:
    """Return what is to be logged of the weights, and why they are equal ones if they are."""
    if retriever is None:
        return _equal(()), _NEVER_ENABLED
    arms = retriever.settings.feature_uris
    if not retriever.settings.enabled:
        return _equal(arms), _DISABLED
    if asking.is_served:
        served = retriever.weights(**asking._asdict())
        reason = _NOTHING_LEARNT if served.policy == "fallback" else None
        return served.to_metadata()["fusion"], reason
    snapshot_id = retriever.snapshot_id
    weights = retriever.mean(segment=asking.segment)
    if snapshot_id is None:
        return _facts(weights, "fallback"), _NOTHING_LEARNT
    return _facts(weights, "mean", snapshot_id), None


def _equal(arms: tuple[str, ...]) -> dict[str, Any]:
    return _facts(equal_weights(arms), "fallback")


def _facts(
    weights: Mapping[str, float], policy: str, snapshot_id: str | None = None
) -> dict[str, Any]:
    """Return what is to be logged of weights that everybody gets."""
    return {
        "weights": dict(weights),
        "policy": policy,
        "propensity": 1.0,
        "snapshot_id": snapshot_id,
    }
