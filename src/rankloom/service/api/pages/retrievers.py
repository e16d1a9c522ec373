"""What is learnt and served, for people who look after it: one page for each retriever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from ...http.roles import Role
from ..endpoint import Call, Endpoint
from ..fusion_weights import REASONS, Asking, weighed
from .charts import Point, interval_bar, scale_of, share_chart
from .html import Content, Html, element, table
from .layout import moment, page, section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....bandit.store.snapshot_history import SnapshotHistory, SnapshotRecord
    from ...http.answers import Answer
    from ...learning.changes import Change, Trail
    from ...learning.policy_rewards import PolicyReward
    from ...learning.retriever import LearningRetriever, RetrieverStatistics
    from ...learning.retrievers import Retrievers

MOST_CHARTS: Final = 12
"""Channels that are drawn, those that weigh most."""

MOST_ROWS: Final = 20
_UI: Final = "/ui"
_DAY: Final = 86_400.0


class _Facts(NamedTuple):
    """What a page shows of a retriever."""

    retriever: LearningRetriever
    statistics: RetrieverStatistics
    history: SnapshotHistory
    trail: Trail
    rewards: list[PolicyReward]

    @classmethod
    def of(cls, retriever: LearningRetriever, registry: Retrievers) -> _Facts:
        """Read them; waits for the disk."""
        trail = registry.trail(*retriever.key)
        rewards = retriever.rewards.read()
        return cls(retriever, retriever.statistics(), retriever.history(), trail, rewards)


async def list_retrievers(call: Call) -> Answer:
    """Return a page with the retrievers of the namespace."""
    found = call.service.retrievers.of(call.caller.namespace)
    rows = [
        (
            element("a", element("bdi", each.key.retriever_id), href=_address(call, each)),
            _state(each),
            f"{each.settings.rollout_pct:g} %",
            len(each.settings.feature_uris),
        )
        for each in found
    ]
    none = element("p", "None is enabled yet: POST .../learned-fusion/enable does so.")
    shown = table(("Retriever", "Serves", "Roll-out", "Channels"), rows) if rows else none
    about = element("p", "Namespace ", element("bdi", call.caller.namespace), class_="aside")
    return page(call.root, "Retrievers", about, shown, nav=_nav(call))


async def show_retriever(call: Call) -> Answer:
    """Return the page of one retriever."""
    registry = call.service.retrievers
    found = registry.get(call.caller.namespace, call.path["retriever_id"])
    if found is None:
        text = "No retriever of this id was enabled in your namespace."
        return page(call.root, "Not found", element("p", text), status=404, nav=_nav(call))
    facts = await call.service.in_thread(_Facts.of, found, registry)
    parts = (_served, _weights, _over_time, _policies, _fallbacks, _log, _snapshots, _changes)
    title = found.key.retriever_id
    return page(call.root, title, [part(facts) for part in parts], nav=_nav(call))


def _nav(call: Call) -> Content:
    out = element(
        "form", element("button", "Log out"), method="post", action=f"{call.root}/ui/logout"
    )
    return [
        element("a", "Retrievers", href=call.root + _UI),
        element("a", "Interface", href=f"{call.root}/docs"),
        out,
    ]


def _address(call: Call, retriever: LearningRetriever) -> str:
    """Return the address of a page; proxies change slashes within a path."""
    query = urlencode({"retriever_id": retriever.key.retriever_id})
    return f"{call.root}{_UI}/retrievers?{query}"


def _state(retriever: LearningRetriever) -> str:
    reason = weighed(retriever, Asking())[1]
    return "what is learnt" if reason is None else REASONS[reason]


def _served(facts: _Facts) -> Content:
    retriever, settings = facts.retriever, facts.retriever.settings
    name, reason = facts.statistics.snapshot_id, weighed(retriever, Asking())[1]
    record = next((each for each in facts.history.records if each.snapshot_id == name), None)
    made = record and (", made ", moment(record.time), " by ", element("bdi", record.author))
    serves = ("Snapshot ", element("code", name), made, ".") if name else "Equal weights."
    shadow = "Shadow mode: everybody gets production's weights." if settings.shadow_mode else None
    share = (
        f"{settings.rollout_pct:g} % of users take part. Of these {settings.control_pct:g} % get "
        f"equal weights (control) and {settings.explore_pct:g} % random ones (explore)."
    )
    state = element("p", REASONS[reason], class_="note") if reason else None
    about = element("p", "Namespace ", element("bdi", retriever.key.namespace), class_="aside")
    return about, section("Served", state, element("p", serves), element("p", shadow or share))


def _weights(facts: _Facts) -> Content:
    newest = facts.history.records[0].weights if facts.history.records else {}
    weights, sums = facts.statistics.weights, facts.statistics.sums
    numbers = zip(sums.arms, sums.N[0], sums.S[0], sums.F[0], strict=True)
    evidence = {uri: (f"{n:,.1f}", f"{s:,.1f}", f"{f:,.1f}") for uri, n, s, f in numbers}
    rows = []
    for uri in _by_weight(weights or dict.fromkeys(evidence, 0.0)):
        mean, known = weights.get(uri), newest.get(uri)
        low, high = (known.low, known.high) if known else (None, None)
        bar = None if mean is None else interval_bar(mean, low, high, (0.0, 1.0))
        interval = "" if known is None else f"{known.low:.3f} to {known.high:.3f}"
        weight = "" if mean is None else f"{mean:.3f}"
        rows.append((element("bdi", uri), weight, interval, bar, *evidence.get(uri, ("",) * 3)))
    headings = ("Channel", "Weight", "Interval", "0 to 1", "Exposures", "Successes", "Failures")
    about = (
        "Weight of everybody at the posterior mean. 90 % of the sampled weights of the newest "
        "published snapshot lie in the interval. Evidence is decayed and discounted by position."
    )
    return section("Weights", table(headings, rows), element("p", about, class_="aside"))


def _over_time(facts: _Facts) -> Content:
    records = sorted((e for e in facts.history.records if e.time), key=lambda each: each.number)
    if not records:
        return section("Weights over time", element("p", "No snapshot has been published yet."))
    newest = {uri: weight.mean for uri, weight in records[-1].weights.items()}
    drawn = _by_weight(newest)[:MOST_CHARTS]
    highest = max(each.weights[u].high for each in records for u in drawn if u in each.weights)
    charts = [_chart(uri, records, highest) for uri in drawn]
    left = len(newest) - len(drawn)
    more = f" {left} channels that weigh less are not drawn." if left else ""
    about = (
        "Vertical: weight in the published snapshots, line at the posterior mean, band around 90 % "
        f"of what is sampled. Horizontal: time, UTC.{more}"
    )
    return section(
        "Weights over time",
        element("div", charts, class_="charts"),
        element("p", about, class_="aside"),
    )


def _chart(uri: str, records: Sequence[SnapshotRecord], highest: float) -> Html:
    known = [
        (each.time, each.weights[uri]) for each in records if each.time and uri in each.weights
    ]
    points = [Point(time.timestamp() / _DAY, *weight) for time, weight in known]
    last = known[-1][1]
    label = f"{uri}: {last.mean:.0%}, 90 % of it from {last.low:.0%} to {last.high:.0%}"
    caption = element("figcaption", element("bdi", uri), f" {last.mean:.0%}")
    return element("figure", caption, share_chart(points, highest, label))


def _policies(facts: _Facts) -> Content:
    if not facts.rewards:
        text = (
            "No list names its policy yet: merge `metadata` of the weights' answer into the "
            "interactions that follow."
        )
        return section("Reward by policy", element("p", text))
    values = [v for e in facts.rewards for v in (e.reward, e.low, e.high) if v is not None]
    ends = scale_of(values)
    rows = [
        (
            each.policy,
            f"{each.lists:,}",
            f"{each.reward:.4f}",
            "" if each.low is None else f"{each.low:.4f} to {each.high:.4f}",
            interval_bar(each.reward, each.low, each.high, ends),
        )
        for each in facts.rewards
    ]
    headings = ("Policy", "Lists", "Reward", "Interval", f"{ends[0]:g} to {ends[1]:g}")
    about = (
        "Mean reward of the newest lists, with its 95 % interval by user; the highest reward of a "
        "type of interaction counts 1. control: equal weights. explore: random ones. production: "
        "outside the roll-out. prior: learned, before there was evidence."
    )
    return section("Reward by policy", table(headings, rows), element("p", about, class_="aside"))


def _fallbacks(facts: _Facts) -> Content:
    counts = facts.retriever.fallbacks.most_common()
    rows = [(REASONS[reason], f"{count:,}") for reason, count in counts]
    none = element("p", "None since this process started.")
    shown = table(("Reason", "Answers"), rows) if rows else none
    about = "Answers of this process with other weights than those learnt from the whole log."
    return section("Fallbacks", shown, element("p", about, class_="aside"))


def _log(facts: _Facts) -> Content:
    found, retriever = facts.statistics, facts.retriever
    rows: list[tuple[Content, Content]] = [
        ("Rows not learnt yet, at most", f"{found.lag:,}"),
        ("Documents of lists, open", f"{found.open_units:,}"),
        ("Documents of lists, closed", f"{found.closed_units:,}"),
        ("Users with sums of their own", f"{found.users:,}"),
        ("Queries with weights of their own", f"{found.queries:,}"),
        *((f"Rows left out: {name}", f"{count:,}") for name, count in found.left_out.items()),
        ("Failures to publish, of this process", f"{retriever.publish_failures:,}"),
        ("This process learns", "yes" if retriever.is_learner else "no"),
    ]
    return section("Learning", table(("What", "Now"), rows))


def _snapshots(facts: _Facts) -> Content:
    records, dropped = facts.history
    rows = [
        (element("code", each.snapshot_id), moment(each.time), element("bdi", each.author))
        for each in records[:MOST_ROWS]
    ]
    about = f"{len(records):,} are kept, {dropped:,} are not any more."
    return section(
        "Snapshots",
        table(("Snapshot", "Made", "By"), rows) if rows else None,
        element("p", about, class_="aside"),
    )


def _changes(facts: _Facts) -> Content:
    rows = [
        (
            moment(each.time),
            element("bdi", each.author),
            each.action,
            [_difference(name, each) for name in each.after],
        )
        for each in facts.trail.changes[:MOST_ROWS]
    ]
    kept, dropped = len(facts.trail.changes), facts.trail.dropped
    about = f"{kept:,} are kept, {dropped:,} are not any more."
    return section(
        "Changes",
        table(("Time", "By", "What", "Before and after"), rows),
        element("p", about, class_="aside"),
    )


def _difference(name: str, change: Change) -> Html:
    old, new = (
        msgspec.json.encode(part.get(name)).decode() for part in (change.before, change.after)
    )
    before = f"{old} \N{RIGHTWARDS ARROW} " if name in change.before and old != new else ""
    return element("div", f"{name}: ", element("code", before, new))


def _by_weight(weights: dict[str, float]) -> list[str]:
    return sorted(weights, key=lambda uri: (-weights[uri], uri))


ENDPOINTS: Final = (
    Endpoint("GET", _UI, list_retrievers, "Retrievers", role=Role.READ, by_cookie=True),
    Endpoint(
        "GET",
        f"{_UI}/retrievers/{{retriever_id}}",
        show_retriever,
        "A retriever",
        role=Role.READ,
        by_cookie=True,
    ),
)
