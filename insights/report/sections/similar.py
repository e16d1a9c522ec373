"""Similar documents: what the same users engage with, and what recommending from it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ....errors import InvalidInputError
from ..blocks import Missing, Notes, Picture, Section, Table, View
from ..charts.rows import Dot, DotChart
from ..wording import NONE, counted, decimal, part, percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ....datasets import TrainingPairs
    from ....retrieval import EngagementMatrix, SimilarItems
    from ..blocks import Block, Facts
    from ..log import ReportLog

K: Final = 20
"""Recommendations that are judged."""

NEIGHBOURS: Final = 3
_MOST_SEEN: Final = 2_000
"""Popular documents that are looked through for those new to a user."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return neighbours of popular documents, and recommendations judged on the later part."""
    from ....retrieval import SimilarItems

    if "user_id" not in log.pairs.context:
        return Missing(
            "No row names a user, so nothing says which documents the same users engage with.",
            "Log user_id with every interaction; a pseudonym is enough.",
        )
    timed = log.pairs.has_times
    matrix = _matrix(log, log.parts[0] if timed else log.pairs)
    model = SimilarItems().fit(matrix)
    found: dict[str, Any] = {
        "users": matrix.shape[0],
        "documents": matrix.shape[1],
        "engaged": int(matrix.engagement.nnz),
        "method": model.method,
        "neighbours": _neighbours(model, log.max_rows),
        "judged": None,
        "not_judged_because": None,
    }
    if not timed:
        why = "the log has no times: log occurred_at, or timestamp, with every interaction"
        return {**found, "not_judged_because": why}
    try:
        return {**found, "judged": _judged(model, _matrix(log, log.parts[1]))}
    except InvalidInputError as error:
        return {**found, "not_judged_because": str(error)}


def _matrix(log: ReportLog, pairs: TrainingPairs) -> EngagementMatrix:
    from ....retrieval import engagement_matrix

    return engagement_matrix(pairs, examination=log.known_curve)


def _neighbours(model: SimilarItems, limit: int) -> list[dict[str, Any]]:
    """Return the nearest documents of those that most users engaged with."""
    interactions = model.interactions_
    users = np.diff(interactions.engagement.tocsc().indptr)
    popular = np.argsort(-users, kind="stable")[:limit]
    rows = []
    for column, document in zip(popular, interactions.documents.of(popular), strict=True):
        near = model.similar(document, NEIGHBOURS)
        rows.append(
            {
                "document": document,
                "users": int(users[column]),
                "similar": near["feature_id"].to_list(),
                "scores": near["score"].to_list(),
            }
        )
    return rows


def _judged(model: SimilarItems, later: EngagementMatrix) -> dict[str, Any]:
    """Return how much of later engagement the model finds, and popularity alone."""
    from ....retrieval.neighbours.evaluation import evaluate_recommendations

    interactions = model.interactions_
    found = {"similar": model.evaluate(later, k=K)}
    found["popular"] = evaluate_recommendations(
        interactions, _most_popular(model), later, k=K, confidence=0.95, binary=False
    )
    return {name: report.to_dict() for name, report in found.items()}


def _most_popular(model: SimilarItems) -> Any:
    engagement = model.interactions_.engagement
    users = np.diff(engagement.tocsc().indptr)
    popular = np.argsort(-users, kind="stable")[:_MOST_SEEN]

    def recommend(rows: NDArray[np.int64], n: int) -> NDArray[np.int32]:
        seen = engagement[rows][:, popular].toarray() > 0
        order = np.argsort(seen, axis=1, kind="stable")[:, :n]
        columns = popular[order].astype(np.int32)
        columns[np.take_along_axis(seen, order, axis=1)] = -1
        return columns

    return recommend


def view(found: Facts) -> View:
    """Return recall and NDCG beside those of popularity, and neighbours as a table."""
    blocks: list[Block] = []
    if found["judged"]:
        blocks.append(_picture(found["judged"]))
    if found["neighbours"]:
        blocks.append(_table(found["neighbours"], found["documents"]))
    if found["not_judged_because"]:
        why = f"recommendations are not judged: {found['not_judged_because']}"
        blocks.append(Notes("Limits", [why]))
    return View(headline(found), blocks)


def headline(found: Facts) -> str:
    """Say how much of later engagement recommendations find, against popularity."""
    sizes = (
        f"{counted(found['users'], 'user')} engaged {counted(found['engaged'], 'time')} with "
        f"{counted(found['documents'], 'document')}, each pair counted once"
    )
    judged = found["judged"]
    if not judged:
        return f"{sizes}."
    similar, popular = (judged[name]["recall"] for name in ("similar", "popular"))
    verdict = "is not established to find more or less than popularity does"
    if similar["low"] > popular["high"]:
        verdict = "finds more than popularity does"
    elif similar["high"] < popular["low"]:
        verdict = "finds less than popularity does"
    return (
        f"{sizes}. Recommending {K} documents from what similar documents' users engaged with "
        f"{verdict}: {_recall(similar)} of later new engagement against {_recall(popular)}."
    )


def _recall(recall: Facts) -> str:
    mean, low, high = (percent(max(recall[name], 0.0)) for name in ("mean", "low", "high"))
    return f"{mean} (95% interval {low} to {high})"


def _picture(judged: Facts) -> Picture:
    names = {"similar": "similar documents", "popular": "popularity"}
    dots = [
        Dot(
            f"{metric} at {K}, {names[who]}",
            report[key]["mean"],
            report[key]["low"],
            report[key]["high"],
            percent(report[key]["mean"]),
        )
        for key, metric in (("recall", "recall"), ("ndcg", "NDCG"))
        for who, report in judged.items()
    ]
    users = judged["similar"]["users"]
    sentence = (
        f"Recommendations learnt from the earlier part, judged by what "
        f"{counted(users, 'user')} newly engaged with later, weighted by examination. Lines are "
        "95% intervals over users."
    )
    return Picture(DotChart(dots, "share of the best possible", shares=True), sentence)


def _table(rows: list[Any], documents: int) -> Table:
    shown = [
        (
            row["document"],
            ", ".join(
                f"{name} ({decimal(score)})"
                for name, score in zip(row["similar"], row["scores"], strict=True)
            )
            or NONE,
            f"{row['users']:,}",
        )
        for row in rows
    ]
    left_out = f"Shown are {part(len(rows), documents)} of the documents." if documents else ""
    headings = ("document", "users who engaged with it also did with (similarity)", "users")
    title = "Popular documents and their nearest ones"
    return Table(title, headings, shown, 2, left_out)


SECTION = Section("similar", "Similar documents", facts, view)
