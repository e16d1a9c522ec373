"""Learned fusion weights of the retrieval channels: now, over time, and how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..blocks import Missing, Notes, Picture, Section, View
from ..charts.lines import Line, LineChart
from ..charts.rows import Dot, DotChart
from ..wording import counted, not_shown, percent

if TYPE_CHECKING:
    from ..blocks import Facts
    from ..log import ReportLog

STEPS: Final = 12
MAX_CHANNELS: Final = 6
"""Channels that are drawn over time, those of the highest weights."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return the weights of the most frequent retriever's channels as the log is learnt."""
    from ....bandit import FusionBandit, learning_curve

    channels = log.fields.channels
    if len(channels) < 2:
        only = f" but {channels[0]}" if channels else ""
        return Missing(
            f"No row names a retrieval channel{only}, so there are no weights to learn.",
            "Log feature_uri, the channel that found the document, with every shown document; or "
            "every channel's score as fused in metadata.features[feature_uri].score.",
        )
    if not log.validation.coverage.get("time"):
        return Missing(
            "The log has no times, and evidence for channels is learnt in the order of time.",
            "Log occurred_at, or timestamp, with every interaction.",
        )
    retriever = next(iter(log.fields.retrievers), None)
    bandit = FusionBandit(channels, retriever_id=retriever)
    curve = learning_curve(log.source, bandit, steps=STEPS, mapping=log.mapping)
    return {
        **curve.to_dict(),
        "retriever": retriever,
        "retrievers": dict(log.fields.retrievers),
        "impressions_given": log.impressions is not None,
    }


def view(found: Facts) -> View:
    """Return the weights as dots with intervals, and as curves over time."""
    last = _last(found)
    if last is None:
        return View(headline(found))
    blocks: list[Any] = [_now(found, last)]
    if sum(weights is not None for weights in found["weights"]) > 1:
        blocks.append(_over_time(found, last))
    notes = list(_notes(found))
    if notes:
        blocks.append(Notes("Limits of this estimate", notes))
    return View(headline(found), blocks)


def _last(found: Facts) -> int | None:
    """Return the last step that has weights."""
    known = [step for step, weights in enumerate(found["weights"]) if weights is not None]
    return known[-1] if known else None


def _ordered(found: Facts, step: int) -> list[tuple[str, float, float, float]]:
    """Return channel, weight and interval, the highest weight first."""
    rows = zip(
        found["feature_uris"],
        *(found[name][step] for name in ("weights", "lower", "upper")),
        strict=True,
    )
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def headline(found: Facts) -> str:
    """Say which channel counts most, and whether that is established."""
    last = _last(found)
    if last is None:
        return "No shown document names its channel, so all channels weigh the same."
    (first, weight, low, high), (second, other, _, upper), *_ = _ordered(found, last)
    text = (
        f"{first} counts most where the channels' results are fused: weight {percent(weight)} "
        f"({found['confidence']:.0%} interval {percent(low)} to {percent(high)})"
    )
    tail = f"{second} has {percent(other)}, and the intervals"
    if low > upper:
        return f"{text}. {tail} do not overlap, so the order is established."
    return f"{text}. {tail} overlap, so the order may change."


def _now(found: Facts, step: int) -> Picture:
    dots = [
        Dot(channel, weight, low, high, f"{percent(weight)} ({percent(low)} to {percent(high)})")
        for channel, weight, low, high in _ordered(found, step)
    ]
    equal = 1 / len(found["feature_uris"])
    searches = counted(found["executions"][step], "search", "searches")
    sentence = (
        f"Weights after {searches}, with {found['confidence']:.0%} intervals of what Thompson "
        f"sampling would serve. The line marks equal weights, {percent(equal)}."
    )
    return Picture(DotChart(dots, "weight", reference=equal, shares=True), sentence)


def _over_time(found: Facts, last: int) -> Picture:
    drawn = [channel for channel, *_ in _ordered(found, last)][:MAX_CHANNELS]
    lines = [_line(found, channel) for channel in drawn]
    settled = found["settled"]
    sentence = "The same weights over time, as the log is learnt; bands are the intervals."
    if settled is not None and settled < last:
        searches = counted(found["executions"][settled], "search", "searches")
        sentence += f" From {searches} on no weight left the last interval."
    else:
        sentence += " The weights were still moving at the end."
    left = len(found["feature_uris"]) - len(drawn)
    if left:
        sentence += f" {not_shown(left, 'channel')}"
    chart = LineChart(found["times"], lines, "", "weight", shares=True)
    return Picture(chart, sentence)


def _line(found: Facts, channel: str) -> Line:
    at = found["feature_uris"].index(channel)
    parts = (
        [None if row is None else row[at] for row in found[name]]
        for name in ("weights", "lower", "upper")
    )
    return Line(channel, *parts)


def _notes(found: Facts) -> Any:
    if len(found["retrievers"]) > 1:
        rows = found["retrievers"][found["retriever"]]
        yield (
            f"The weights are those of the retriever {found['retriever']}, which has the most rows "
            f"({percent(rows / sum(found['retrievers'].values()))}); other retrievers have weights "
            "of their own."
        )
    if found["impressions_given"]:
        yield "The separate table of impressions was not used for the weights."


SECTION = Section("fusion", "Fusion weights", facts, view)
