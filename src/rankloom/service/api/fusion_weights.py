"""What a learning retriever says, in the words of the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...bandit.serving.traffic_split import equal_weights
from . import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..learning.retriever import LearningRetriever

_NEVER_ENABLED: Final = "learned fusion was never enabled for this retriever"
_DISABLED: Final = "learned fusion is disabled"
_NOTHING_LEARNT: Final = "no interaction says yet what was shown by one of the channels"
_READING: Final = "the log is not learnt to its end yet"
_HELD_OVER: Final = (
    "the log is not learnt to its end yet: these are the weights of the snapshot before, carried "
    "over to the channels of now"
)


class Asking(NamedTuple):
    """Who requests weights; the mean is for no one in particular."""

    user_id: str | None = None
    session_id: str | None = None
    execution_id: str | None = None
    segment: dict[str, str] | None = None
    query: str | None = None

    @property
    def is_served(self) -> bool:
        """Whether a user or session is served, so that roll-out and noise apply."""
        return (self.user_id or self.session_id or self.execution_id) is not None


def weights_for(
    retriever_id: str, retriever: LearningRetriever | None, asking: Asking
) -> schemas.FusionWeightsResponse:
    """Return the weights of the requester, equal ones where nothing is learnt.

    While the log is learnt to its end they are those of the snapshot before.

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
    """Return what to log of the weights, and why they are not learnt from the whole log."""
    if retriever is None:
        return _equal(()), _NEVER_ENABLED
    arms = retriever.settings.feature_uris
    if not retriever.settings.enabled:
        return _equal(arms), _DISABLED
    # Read first: previous weights are replaced by learnt ones, not the other way round.
    nothing = _READING if retriever.is_reading else _NOTHING_LEARNT
    held_over = retriever.held_over
    if asking.is_served:
        facts = retriever.weights(**asking._asdict()).to_metadata()["fusion"]
    else:
        snapshot_id = retriever.snapshot_id
        policy = "fallback" if snapshot_id is None else "mean"
        facts = _facts(
            retriever.mean(segment=asking.segment, query=asking.query), policy, snapshot_id
        )
    if facts["policy"] == "fallback":
        return facts, nothing
    is_held_over = held_over is not None and facts["snapshot_id"] == held_over
    return facts, _HELD_OVER if is_held_over else None


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
