"""What Prometheus reads of the retrievers of a namespace: a bounded number of series."""

from __future__ import annotations

import datetime as dt
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ...errors import RankloomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...bandit.store.snapshot_history import SnapshotRecord
    from ..learning.retriever import LearningRetriever

MOST_RETRIEVERS: Final = 50
MOST_CHANNELS: Final = 20
"""Channels of one retriever, those that weigh most."""

FOLDING_SECONDS: Final = 2.0
"""Time that one answer takes to fold rewards; what is not reached then, later answers have."""

_PREFIX: Final = "rankloom_fusion_"
_GAUGES: Final = {
    "weight": ("Weight of everybody at the posterior mean, as published last.", "channel"),
    "weight_low": ("90 % of the weights that are sampled lie above, up to weight_high.", "channel"),
    "weight_high": ("See weight_low.", "channel"),
    "policy_reward": ("Mean reward of the newest lists of a policy.", "policy"),
    "policy_reward_low": ("Lower end of its 95 % interval.", "policy"),
    "policy_reward_high": ("Upper end of its 95 % interval.", "policy"),
    "policy_lists": ("Newest lists of a policy, of which policy_reward is the mean.", "policy"),
    "snapshot_age_seconds": ("Time since the snapshot that is published was made.", None),
    "lag_rows": ("Rows of the log that are not learnt yet.", None),
    "learner": ("Whether this process learns for the others, too.", None),
    "rolled_back": ("Whether an earlier snapshot is served whatever is learnt.", None),
    "rollout_percent": ("Per cent of users who take part.", None),
}
_COUNTERS: Final = {
    "fallbacks": ("Answers with other weights than those learnt from the whole log.", "reason"),
    "publish_failures": ("Snapshots that could not be put into the state.", None),
}


def fusion_metrics(retrievers: Sequence[LearningRetriever]) -> bytes:
    """Return the series of some retrievers in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collected(retrievers))
    return generate_latest(registry)


class _Collected:
    """Series by name, filled retriever by retriever."""

    def __init__(self, retrievers: Sequence[LearningRetriever]) -> None:
        self._retrievers = retrievers

    def describe(self) -> list[Any]:
        """Return nothing: names are not checked against others before they are collected."""
        return []

    def collect(self) -> Iterable[Any]:
        """Yield what is known now."""
        families: dict[str, Any] = {
            name: made(_PREFIX + name, text, labels=_labels(label))
            for made, known in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS))
            for name, (text, label) in known.items()
        }
        until = monotonic() + FOLDING_SECONDS
        for retriever in self._retrievers[:MOST_RETRIEVERS]:
            for name, value, *label in _series(retriever, until):
                families[name].add_metric([*retriever.key, *label], value)
        yield from families.values()
        left = GaugeMetricFamily(_PREFIX + "left_out", "Not shown here.", labels=["what"])
        left.add_metric(["retrievers"], max(len(self._retrievers) - MOST_RETRIEVERS, 0))
        channels = (len(each.settings.feature_uris) - MOST_CHANNELS for each in self._retrievers)
        left.add_metric(["channels"], sum(max(each, 0) for each in channels))
        yield left


def _labels(label: str | None) -> list[str]:
    return ["namespace", "retriever", *([] if label is None else [label])]


def _series(retriever: LearningRetriever, until: float) -> Iterable[tuple[Any, ...]]:
    """Yield name, value and, where there is one, the label of everything of a retriever."""
    yield "rolled_back", float(retriever.is_rolled_back)
    yield "rollout_percent", retriever.settings.rollout_pct
    yield "learner", float(retriever.is_learner)
    yield "publish_failures", retriever.publish_failures
    for reason, count in sorted(retriever.fallbacks.items()):
        yield "fallbacks", count, reason
    try:
        yield "lag_rows", retriever.lag
        yield from _of_weights(retriever.published())
        for each in retriever.rewards.read() if monotonic() < until else ():
            yield "policy_lists", each.lists, each.policy
            yield "policy_reward", each.reward, each.policy
            if each.low is not None and each.high is not None:
                yield "policy_reward_low", each.low, each.policy
                yield "policy_reward_high", each.high, each.policy
    except RankloomError:
        return  # the log or the state is in trouble: what is in memory is shown nevertheless


def _of_weights(record: SnapshotRecord | None) -> Iterable[tuple[Any, ...]]:
    if record is None or record.time is None:
        return
    by_weight = sorted(record.weights.items(), key=lambda pair: (-pair[1].mean, pair[0]))
    for channel, weight in by_weight[:MOST_CHANNELS]:
        yield "weight", weight.mean, channel
        yield "weight_low", weight.low, channel
        yield "weight_high", weight.high, channel
    yield "snapshot_age_seconds", (dt.datetime.now(dt.UTC) - record.time).total_seconds()
