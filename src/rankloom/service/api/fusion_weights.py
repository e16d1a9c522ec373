"""What a learning retriever says, in the words of the interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...bandit.serving.traffic_split import equal_weights
from . import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..learning.retriever import LearningRetriever

REASONS: Final = {
    "never_enabled": "learned fusion was never enabled for this retriever",
    "disabled": "learned fusion is disabled",
    "nothing_learnt": "no interaction says yet what was shown by one of the channels",
    "warming_up": "fewer lists are learnt than min_lists",
    "another_log": "the state was learnt from another log: enable it with relearn, or restore the "
    "log that it belongs to",
    "reading": "the log is not learnt to its end yet",
    "held_over": "the log is not learnt to its end yet: these are the weights of the snapshot "
    "before, carried over to the channels of now",
    "rolled_back": "rolled back to this snapshot until resume: what is learnt is not served",
    "lost": "the store has lost the snapshot that was rolled back to",
}
"""Why other weights are served than those learnt from the whole log, as metrics name it."""


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
    facts, reason = weighed(retriever, asking)
    if reason is not None and retriever is not None:
        retriever.fallbacks[reason] += 1
    return schemas.FusionWeightsResponse(
        retriever_id=retriever_id,
        user_id=asking.user_id,
        enabled=enabled,
        weights=facts["weights"],
        policy=facts["policy"],
        propensity=facts["propensity"],
        snapshot_id=facts["snapshot_id"],
        metadata={"fusion": facts},
        fallback=None if reason is None else REASONS[reason],
    )


def weighed(
    retriever: LearningRetriever | None, asking: Asking
) -> tuple[Mapping[str, Any], str | None]:
    """Return what to log of the weights, and which of `REASONS` holds, if any."""
    if retriever is None:
        return _equal(()), "never_enabled"
    arms = retriever.settings.feature_uris
    if not retriever.settings.enabled:
        return _equal(arms), "disabled"
    # Read first: previous weights are replaced by learnt ones, not the other way round.
    nothing = _why_nothing(retriever)
    held_over = retriever.held_over
    if asking.is_served:
        facts = retriever.weights(**asking._asdict()).to_metadata()["fusion"]
    else:
        snapshot_id = retriever.snapshot_id
        policy = "fallback" if snapshot_id is None else "mean"
        facts = _facts(
            retriever.mean(segment=asking.segment, query=asking.query), policy, snapshot_id
        )
    rolled_back_to = retriever.settings.rolled_back_to
    if facts["policy"] == "fallback":
        return facts, "lost" if rolled_back_to else nothing
    if held_over is None or facts["snapshot_id"] != held_over:
        return facts, None
    if held_over == rolled_back_to:
        return facts, "rolled_back"
    return facts, "another_log" if retriever.is_of_another_log else "held_over"


def _why_nothing(retriever: LearningRetriever) -> str:
    if retriever.is_of_another_log:
        return "another_log"
    if retriever.is_warming_up:
        return "warming_up"
    return "reading" if retriever.is_reading else "nothing_learnt"


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
