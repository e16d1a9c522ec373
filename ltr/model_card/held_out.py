"""A ranker judged on executions that were held out: in all, and by slices of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.plain import plain
from ...datasets.position_bias.estimator import PositionBias
from ...errors import InvalidInputError, NotIdentifiableError, did_you_mean
from ..evaluation.gate import executions_in_training_period
from ..evaluation.judged import DEBIASED_DCG, evaluate
from ..model.fitted import training_period

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..evaluation.judged import Report
    from ..ranker import Ranker

    Mask = NDArray[np.bool_]

FREQUENCY: Final = "query frequency"
MAX_VALUES: Final = 10
"""Values of a column that are shown, those of the most executions."""
MAX_QUERIES: Final = 5
_PLAIN_METRIC: Final = "ndcg@10"


def held_out_evidence(
    ranker: Ranker, pairs: TrainingPairs, slices: Sequence[str], *, stopped_by: bool
) -> dict[str, Any]:
    """Return metrics against production with intervals, of all executions and of each slice.

    `slices`: columns of the pairs' context. `stopped_by`: whether the same executions decided how
    many trees there are. Raises InvalidInputError if a column is not there, or no row has a
    positive grade.
    """
    for name in slices:
        if name not in pairs.context:
            msg = (
                f"slices: the pairs have no context {name!r}.{did_you_mean(name, pairs.context)} "
                f"Give load_pairs(context=[{name!r}])"
            )
            raise InvalidInputError(msg)
    pairs, curve = _with_curve(ranker, pairs)
    scores = ranker.predict(pairs)
    report = ranker.evaluate(pairs)
    metric = DEBIASED_DCG if DEBIASED_DCG in report.metrics else next(iter(report.metrics))
    found = [
        {"column": column, "value": value, **_slice(pairs, scores, mask, ranker.clip)}
        for column, value, mask in _masks(pairs, slices)
    ]
    return {
        "period": training_period(pairs),
        "executions": pairs.n_executions,
        "in_training_period": executions_in_training_period(ranker, pairs),
        "stopped_by": stopped_by,
        "curve": curve,
        "report": plain(report.to_dict()),
        "metric": metric,
        "slices": found,
        "values_left_out": {name: n for name in slices if (n := _values(pairs, name)[1])},
        "frequent": _frequent(pairs),
    }


def _with_curve(ranker: Ranker, pairs: TrainingPairs) -> tuple[TrainingPairs, str]:
    """Return pairs with an examination where one is known, and where it comes from."""
    if not pairs.has_positions:
        return pairs, "positions are unknown, so no metric is corrected for examination"
    if pairs.examination is not None:
        return pairs, "the examination that was applied to the held-out executions"
    copy = replace(pairs)
    if ranker.examination_ is not None and ranker.examination_source_ != "assumed":
        bias = PositionBias.from_curve(_without_gaps(ranker.examination_))
        return bias.apply(copy), "the examination curve of the training"
    try:
        return PositionBias().fit(copy).apply(copy), "a curve estimated on the held-out executions"
    except NotIdentifiableError as error:
        return pairs, f"no metric is corrected for examination: {error}"


def _without_gaps(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a curve relative to its first position; absent positions take the one before."""
    known = np.maximum.accumulate(np.where(np.isnan(curve), -1, np.arange(len(curve))))
    filled: NDArray[np.float64] = np.where(known < 0, 1.0, curve[known])
    filled /= filled[0]
    return filled


def _masks(pairs: TrainingPairs, slices: Sequence[str]) -> Iterator[tuple[str, str, Mask]]:
    """Yield column, value and executions of each slice."""
    head = _head(pairs)
    yield FREQUENCY, "head", head
    yield FREQUENCY, "tail", ~head
    for column in slices:
        texts = pairs.context[column].fill_null("(none)")
        for value in _values(pairs, column)[0]:
            yield column, value, (texts == value).to_numpy()


def _values(pairs: TrainingPairs, column: str) -> tuple[list[str], int]:
    """Return the values with the most executions, and how many more there are."""
    counts = pairs.context[column].fill_null("(none)").alias("value").value_counts()
    ordered = counts.sort(["count", "value"], descending=[True, False])["value"].to_list()
    return ordered[:MAX_VALUES], max(0, len(ordered) - MAX_VALUES)


def _head(pairs: TrainingPairs) -> Mask:
    """Return the executions of the most frequent queries that together have half of them."""
    counts = np.bincount(pairs.query_code)
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    frequent = np.zeros(len(counts), bool)
    frequent[order] = before < pairs.n_executions / 2
    return frequent[pairs.query_code]


def _slice(
    pairs: TrainingPairs, scores: NDArray[np.float32], mask: Mask, clip: float
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "executions": int(mask.sum()),
        "queries": len(np.unique(pairs.query_code[mask])),
        "comparison": None,
    }
    rows = np.repeat(mask, pairs.group)
    if not rows.any() or pairs.y[rows].max() <= 0:
        return facts
    report = evaluate(pairs.take(mask), scores[rows], metrics=[_PLAIN_METRIC], clip=clip)
    return facts | {"comparison": _comparison(report)}


def _comparison(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = plain(report.to_dict())["metrics"]
    return dict(found.get(DEBIASED_DCG) or next(iter(found.values())))


def _frequent(pairs: TrainingPairs) -> list[list[Any]]:
    """Return the most frequent queries and their executions."""
    counts = np.bincount(pairs.query_code)
    order = np.argsort(-counts, kind="stable")[:MAX_QUERIES]
    return [[str(pairs.queries[int(code)]), int(counts[code])] for code in order if counts[code]]
