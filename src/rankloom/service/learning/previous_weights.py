"""The weights of the last snapshot, served until the log has been learnt to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...bandit.base.contexts import GLOBAL
from ...bandit.serving.fusion_weights import FusionWeights
from ...bandit.serving.request import segment_context
from ...bandit.serving.traffic_split import equal_weights
from ...bandit.serving.weight_server import WeightServer
from ...bandit.sessions.session_sums import PersonalSums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...bandit.base.contexts import Context
    from ...bandit.interactions.live_event import Query
    from ...bandit.serving.request import Segment
    from ...bandit.serving.served import Served
    from ...bandit.serving.traffic_split import TrafficSplit


class PreviousWeights:
    """Answers from a snapshot, for channels and segments that may be others by now.

    Noise, roll-out and experiments are as before; users, sessions and queries are not known
    meanwhile.

    Parameters
    ----------
    snapshot : FusionWeights
    feature_uris : tuple of str
        The channels to weigh; see `carried_over`.
    segment_by : tuple of str
        Where these are not the snapshot's, every segment is served what everybody is.
    split : TrafficSplit

    Attributes
    ----------
    shared : FusionWeights
        The snapshot with these shares, for services that watch the store.

    Examples
    --------
    >>> from rankloom import FusionBandit
    >>> row = {"execution_id": "e", "feature_id": "d", "interaction_type": ["impression"],
    ...        "position": 0, "feature_uri": "text", "timestamp": "2026-01-31T12:00:00Z"}
    >>> bandit = FusionBandit(["text", "image"])
    >>> _ = bandit.update([row])
    >>> snapshot = bandit.snapshot()
    >>> held = PreviousWeights(snapshot, ("text", "image", "video"), (), snapshot.server.split)
    >>> [round(weight, 3) for weight in (*bandit.mean().values(), *held.mean().values())]
    [0.476, 0.524, 0.317, 0.349, 0.333]
    """

    def __init__(
        self,
        snapshot: FusionWeights,
        feature_uris: tuple[str, ...],
        segment_by: tuple[str, ...],
        split: TrafficSplit,
    ) -> None:
        self.snapshot = snapshot
        self._arms, self._segment_by = feature_uris, segment_by
        self.set_split(split)

    @property
    def snapshot_id(self) -> str:
        """Name of the posterior that is served."""
        return self.snapshot.snapshot_id

    def set_split(self, split: TrafficSplit) -> None:
        """Serve by other shares from the next request on."""
        held = self.snapshot
        self._server = WeightServer(self._arms, split, salt=held.server.salt)
        server = held.server.with_split(split)
        self.shared = FusionWeights(
            held.posterior, server, segment_by=held.segment_by, time=held.time, queries=held.queries
        )

    def sample(
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        segment: Segment | None = None,
        execution_id: str | None = None,
        query: Query | None = None,
    ) -> Served:
        """Return the weights to serve, as `FusionWeights.sample`.

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field of ``segment_by``.
        """
        del query
        server, context = self._server, self._context(segment)
        requester = server.requester(user_id, session_id, execution_id)
        assignment, sampled = server.assign(requester), None
        if assignment.needs_sample:
            sampled = self.snapshot.sampled(requester, context, PersonalSums())
            sampled = sampled._replace(weights=carried_over(sampled.weights, self._arms))
        return server.serve(requester, assignment, sampled)

    def mean(
        self, *, segment: Segment | None = None, query: Query | None = None
    ) -> dict[str, float]:
        """Return the weights at the posterior mean; raises as `sample`."""
        del query
        mean = self.snapshot.mean_of(self._context(segment), PersonalSums())
        return carried_over(mean, self._arms)

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
    known = {uri: weights[uri] for uri in feature_uris if uri in weights}
    if len(known) == len(weights) == len(feature_uris):
        return known
    total, equal = sum(known.values()), equal_weights(feature_uris)
    if not total:
        return equal
    scale = len(known) / len(feature_uris) / total
    return {uri: known[uri] * scale if uri in known else equal[uri] for uri in feature_uris}
