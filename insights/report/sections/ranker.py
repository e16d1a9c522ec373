"""A ranker learnt from the earlier part of the log, against production on the later part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....errors import InvalidInputError
from ..blocks import Missing, Notes, Picture, Section, Table, View, cut
from ..charts.rows import Bar, BarChart, Dot, DotChart
from ..log import TEST_FRACTION
from ..wording import NONE, counted, decimal, listed, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ....datasets import TrainingPairs
    from ....ltr import CounterfactualReport
    from ..blocks import Facts
    from ..log import ReportLog

METRIC: Final = "dcg@10"
BANDS: Final = ((0, 0), (1, 4), (5, 19), (20, 99), (100, None))
"""Fewest and most executions of a query in the earlier part, by band."""

MIN_EXECUTIONS: Final = 30
"""Of a frequency band; with less its estimate says nothing."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return the estimated gain of the ranker, in all and by how frequent the query was."""
    if log.features is None:
        return Missing(
            "No features of documents were given, and a ranker learns from them.",
            "Give a table keyed by feature_id, or by execution_id and feature_id: "
            "--features FILE on the command line, features= in Python.",
        )
    if not log.pairs.has_times:
        return Missing(
            "The log has no times, so a ranker cannot be judged on later searches than it learnt "
            "from.",
            "Log occurred_at, or timestamp, with every interaction.",
        )
    earlier, later = log.parts
    ranker = log.ranker
    scores = ranker.predict(later)
    importances = ranker.feature_importances()
    return {
        "metric": METRIC,
        "earlier": earlier.n_executions,
        "later": later.n_executions,
        "overall": _estimate(log, later, scores),
        "bands": list(_bands(log, earlier, later, scores)),
        "importances": importances,
        "fall_back": bool(ranker.choice_ is not None and ranker.choice_.fall_back),
        "choice": None if ranker.choice_ is None else ranker.choice_.to_dict(),
        "max_rows": log.max_rows,
        "notes": list(ranker.notes_),
    }


def _estimate(log: ReportLog, pairs: TrainingPairs, scores: NDArray[np.float32]) -> dict[str, Any]:
    from ....ltr import evaluate_from_logs

    report = evaluate_from_logs(pairs, scores, metric=METRIC, examination=_curve(log), clips=())
    return _plain(report)


def _curve(log: ReportLog) -> Any:
    """Return the curve of the whole log, None where it is not identified."""
    try:
        return log.bias
    except InvalidInputError:
        return None


def _plain(report: CounterfactualReport) -> dict[str, Any]:
    gain = report.gain
    low, high = gain.interval or (None, None)
    return {
        "executions": report.executions,
        "queries": report.queries,
        "clusters": report.clusters,
        "clustered_by": report.clustered_by,
        "candidate": report.candidate["doubly_robust"].value,
        "production": report.baseline["doubly_robust"].value,
        "gain": gain.value,
        "relative": gain.relative,
        "lower": low,
        "upper": high,
        "confidence": report.confidence,
        "no_interval_because": report.statement,
        "notes": list(report.notes),
    }


def _bands(
    log: ReportLog, earlier: TrainingPairs, later: TrainingPairs, scores: NDArray[np.float32]
) -> Iterator[dict[str, Any]]:
    """Yield the estimate of each band of queries by their executions in the earlier part."""
    before = np.bincount(earlier.query_code, minlength=len(earlier.queries))[later.query_code]
    for low, high in BANDS:
        mask = (before >= low) & (before <= (np.inf if high is None else high))
        found: dict[str, Any] = {"from": low, "to": high, "executions": int(mask.sum())}
        if found["executions"] >= MIN_EXECUTIONS:
            rows = np.repeat(mask, later.group)
            try:
                found |= _estimate(log, later.take(mask), scores[rows])
            except InvalidInputError as error:
                found["reason"] = str(error)
        yield found


def view(found: Facts) -> View:
    """Return the gain by band, the most important features and the limits."""
    blocks: list[Any] = []
    estimated = [band for band in found["bands"] if "gain" in band]
    if estimated:
        blocks.append(_picture(found, estimated))
    blocks += [_table(found), *_features(found)]
    notes = [*found["overall"]["notes"], *found["notes"]]
    if notes:
        blocks.append(Notes("Limits of this estimate", notes))
    if found["choice"]:
        blocks.append(Notes("How the ranker was learnt", list(_choice(found["choice"]))))
    return View(headline(found), blocks)


def verdict(lower: float | None, upper: float | None) -> str:
    """Say in words whether a gain is established.

    >>> verdict(0.1, 0.3), verdict(-0.1, 0.5), verdict(-0.3, -0.1)
    ('better', 'not established to differ', 'worse')
    >>> verdict(None, None)
    'without an interval'
    """
    if lower is None or upper is None:
        return "without an interval"
    if lower > 0:
        return "better"
    return "worse" if upper < 0 else "not established to differ"


def headline(found: Facts) -> str:
    """Say what the ranker gains over production, and how sure that is."""
    overall = found["overall"]
    relative = overall["relative"]
    gain = decimal(overall["gain"], sign=True)
    if relative is not None:
        gain += f", {percent(relative, sign=True)}"
    low, high = overall["lower"], overall["upper"]
    split = (
        f"A ranker learnt from the earlier {1 - TEST_FRACTION:.0%} of the searches, judged on the "
        f"{counted(found['later'], 'later one')}"
    )
    said = f"{found['metric'].upper()} {gain}"
    meaning = {
        "better": f"is better than production: {said}",
        "worse": f"is worse than production: {said}",
        "not established to differ": f"is not established to differ from production: {said}",
        "without an interval": f"has an estimate over production of {said}, perhaps by chance",
    }[verdict(low, high)]
    sure = (
        f"no interval: {overall['no_interval_because']}"
        if low is None or high is None
        else _interval(overall)
    )
    tail = " It falls back to production's order." if found["fall_back"] else ""
    return f"{split}, {meaning} ({sure}).{tail}"


def _interval(estimate: Facts) -> str:
    low, high = estimate["lower"], estimate["upper"]
    low_text, high_text = (decimal(each, sign=True) for each in (low, high))
    return f"{estimate['confidence']:.0%} interval {low_text} to {high_text}"


def band_name(band: Facts) -> str:
    """Return a band of queries in words.

    >>> band_name({"from": 0, "to": 0}), band_name({"from": 5, "to": 19})
    ('new queries', '5 to 19 searches before')
    >>> band_name({"from": 100, "to": None})
    '100 or more searches before'
    """
    if band["to"] == 0:
        return "new queries"
    if band["to"] is None:
        return f"{band['from']} or more searches before"
    return f"{band['from']} to {band['to']} searches before"


def _picture(found: Facts, bands: list[Any]) -> Picture:
    dots = [
        Dot(name, each["gain"], each["lower"], each["upper"], decimal(each["gain"], sign=True))
        for name, each in (("all", found["overall"]), *((band_name(band), band) for band in bands))
    ]
    chart = DotChart(dots, f"gain in {found['metric'].upper()} over production", reference=0.0)
    better = [
        band_name(band) for band in bands if verdict(band["lower"], band["upper"]) == "better"
    ]
    sentence = "Gain over production by how often the query was searched in the earlier part."
    if better:
        established = "every band" if len(better) == len(bands) > 1 else ", ".join(better)
        sentence += f" It is established for {established}: the interval lies above 0."
    else:
        sentence += " It is established for no band: no interval lies above 0."
    return Picture(chart, sentence)


def _table(found: Facts) -> Table:
    bands = [
        ("all", found["overall"]),
        *((band_name(band), band) for band in found["bands"] if band["executions"]),
    ]
    rows = [
        (
            name,
            f"{band['executions']:,}",
            *(
                (
                    decimal(band["production"]),
                    decimal(band["candidate"]),
                    NONE if band["lower"] is None else _range(band),
                )
                if "gain" in band
                else (NONE, NONE, "too few searches")
            ),
        )
        for name, band in bands
    ]
    confidence = found["overall"]["confidence"]
    headings = ("queries", "searches", "production", "ranker", f"gain, {confidence:.0%} interval")
    return Table(f"{found['metric'].upper()} by frequency of the query", headings, rows)


def _range(band: Facts) -> str:
    return f"{decimal(band['lower'], sign=True)} to {decimal(band['upper'], sign=True)}"


def _choice(choice: Facts) -> Iterator[str]:
    """Yield how the training target was chosen, and why."""
    members = sorted(choice["members"].items(), key=lambda item: (-item[1], item[0]))
    yield f"blend: {listed([f'{name} {percent(weight)}' for name, weight in members])}"
    yield from choice["reasons"]


def _features(found: Facts) -> list[Picture]:
    gains = {name: gain for name, gain in found["importances"].items() if gain > 0}
    total = sum(gains.values())
    if not total:
        return []
    ordered = sorted(gains.items(), key=lambda pair: (-pair[1], pair[0]))
    shown, left_out = cut(ordered, 10, "feature")
    bars = [Bar(name, gain / total, percent(gain / total)) for name, gain in shown]
    name, share = shown[0][0], shown[0][1] / total
    sentence = (
        f"What the ranker learnt from: each feature's share of the gain of all splits. {name} has "
        f"{percent(share)}. These shares describe the model, not causes. {left_out}"
    )
    return [Picture(BarChart(bars), sentence.strip())]


SECTION = Section("ranker", "A ranker against production", facts, view)
