"""The weights of the last snapshot, served until the log has been learnt to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bandit._policy import equal_weights
from ..bandit._serving import (
    Asker,
    Drawn,
    Serving,
    identifier,
    segment_context,
    single_draws,
)
from ..bandit.posterior import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..bandit._context_keys import Context
    from ..bandit._policy import Policy
    from ..bandit._served import Served
    from ..bandit._serving import Segment
    from ..bandit.weights import FusionWeights


class HeldOver:
    """Answers from a snapshot, for channels and segments that may be others by now.

    Dice, roll-out and experiments are as ever; of users and sessions nothing is known meanwhile.

    Parameters
    ----------
    snapshot : FusionWeights
    feature_uris : tuple of str
        The channels to weigh; see `carried_over`.
    segment_by : tuple of str
        Where these are not the snapshot's, every segment is served what everybody is.
    policy : Policy

    Examples
    --------
    >>> from rankloom import FusionBandit
    >>> row = {"execution_id": "e", "feature_id": "d", "interaction_type": ["impression"],
    ...        "position": 0, "feature_uri": "text", "timestamp": "2026-01-31T12:00:00Z"}
    >>> bandit = FusionBandit(["text", "image"])
    >>> _ = bandit.update([row])
    >>> snapshot = bandit.snapshot()
    >>> held = HeldOver(snapshot, ("text", "image", "video"), (), snapshot.serving.policy)
    >>> [round(weight, 3) for weight in (*bandit.mean().values(), *held.mean().values())]
    [0.476, 0.524, 0.317, 0.349, 0.333]
    """

    def __init__(
        self,
        snapshot: FusionWeights,
        feature_uris: tuple[str, ...],
        segment_by: tuple[str, ...],
        policy: Policy,
    ) -> None:
        self.snapshot = snapshot
        self._arms, self._segment_by = feature_uris, segment_by
        self._draws = single_draws(None)
        self.set_policy(policy)

    @property
    def snapshot_id(self) -> str:
        """Name of the posterior that is served."""
        return self.snapshot.snapshot_id

    def set_policy(self, policy: Policy) -> None:
        """Serve by other shares from the next request on."""
        self._serving = Serving(self._arms, policy, None, self.snapshot.serving.salt)

    def sample(
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        segment: Segment | None = None,
        execution_id: str | None = None,
    ) -> Served:
        """Return the weights to serve, as `FusionWeights.sample`.

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field of ``segment_by``.
        """
        asker = Asker.of(
            identifier("user_id", user_id),
            identifier("session_id", session_id),
            identifier("execution_id", execution_id),
            self._draws,
        )
        context = self._context(segment)

        def draw(key: str) -> Drawn:
            drawn = self.snapshot.posterior.draw(self.snapshot.serving.noise(key), context)
            weights = carried_over(self.snapshot.serving.named(drawn), self._arms)
            return Drawn(weights, self.snapshot_id)

        return self._serving.serve(asker, draw)

    def mean(self, *, segment: Segment | None = None) -> dict[str, float]:
        """Return the weights at the posterior mean; raises as `sample`."""
        mean = self.snapshot.posterior.mean(self._context(segment))
        return carried_over(self.snapshot.serving.named(mean), self._arms)

    def _context(self, segment: Segment | None) -> Context:
        context = segment_context(segment, self._segment_by)
        return context if self._segment_by == self.snapshot.segment_by else GLOBAL


def carried_over(weights: Mapping[str, float], feature_uris: Sequence[str]) -> dict[str, float]:
    """Return the weights of some channels for the channels there are now.

    Of K channels each new one gets 1/K, for nothing is known of it. Those that had a weight share
    the rest in their old proportions, and those that are gone leave theirs to them.

    Examples
    --------
    >>> carried_over({"text": 0.8, "image": 0.2}, ["text", "image", "video", "audio"])
    {'text': 0.4, 'image': 0.1, 'video': 0.25, 'audio': 0.25}
    >>> carried_over({"text": 0.5, "image": 0.25, "video": 0.25}, ["video", "image"])
    {'video': 0.5, 'image': 0.5}
    """
    kept = {uri: weights[uri] for uri in feature_uris if uri in weights}
    if len(kept) == len(weights) == len(feature_uris):
        return kept
    total, equal = sum(kept.values()), equal_weights(feature_uris)
    if not total:
        return equal
    scale = len(kept) / len(feature_uris) / total
    return {uri: kept[uri] * scale if uri in kept else equal[uri] for uri in feature_uris}
