"""Judgements as examinations and clicks of the documents that were judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exposure.frequency_bands import BANDS, band_of
from ..exposure.judgment_strength import GradeEvidence, Observed, grade_evidence, levels_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ...datasets.pairs.row_blocks import RowBlock, RowValues
    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..exposure.feature_variants import FeatureVariants

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

NOT_USED = "judgments are not used"
JUDGED = "judgments of"
"""How the notes and reasons begin that say what became of judgements."""


@dataclass(frozen=True)
class JudgedEvidence:
    """What judgements add to clicks and examination of the variants of a log's documents."""

    clicks: Floats  # shape (v,)
    exposure: Floats  # shape (v,)
    report: dict[str, Any] = field(default_factory=dict)  # source -> what it counts as, and where

    @classmethod
    def none(cls, variants: int) -> JudgedEvidence:
        """Return the evidence of no judgements."""
        return cls(np.zeros(variants), np.zeros(variants))

    def only(self, kept: NDArray[np.bool_]) -> JudgedEvidence:
        """Return what belongs to the kept variants; `kept` has shape (v,)."""
        return JudgedEvidence(self.clicks[kept], self.exposure[kept], self.report)

    @property
    def reasons(self) -> list[str]:
        """One sentence for every source."""
        return [sentence(source, found) for source, found in self.report.items()]


def judged_evidence(
    pairs: TrainingPairs,
    variants: FeatureVariants,
    document: Integers,
    examination: RowValues,
) -> JudgedEvidence:
    """Return what the judgements of the pairs count as, by each source's agreement with clicks.

    `document`, shape (j,): document of every judgement; -1 where it is not used.
    `examination`: of every row of the pairs.
    """
    judgments = pairs.judgments
    if judgments is None:
        return JudgedEvidence.none(len(variants))
    size = len(variants.documents)
    log = _observed(pairs, variants, examination)
    overall = float(log.clicks.sum() / max(log.exposure.sum(), np.finfo(np.float64).tiny))
    added_clicks, added_exposure, report = np.zeros(size), np.zeros(size), {}
    band = _bands(pairs, variants)
    for number, source in enumerate(judgments.sources):
        chosen = (judgments.source == number) & (document >= 0)
        if not chosen.any():
            continue
        of = document[chosen]
        level, grades = levels_of(judgments.grade[chosen])
        found = grade_evidence(level, grades, log.take(of), overall)
        added_clicks[of] += found.clicks_of(level, log.exposure[of], 1 + band[of])
        added_exposure[of] += found.strength
        report[source] = _report(found, of, coverage(pairs, variants, of))
    each = np.bincount(variants.document, minlength=size)[variants.document]
    return JudgedEvidence(
        clicks=added_clicks[variants.document] / each,
        exposure=added_exposure[variants.document] / each,
        report=report,
    )


def _observed(pairs: TrainingPairs, variants: FeatureVariants, examination: RowValues) -> Observed:
    """Return what the log says of every document; shape (m,)."""

    def total(values: Callable[[RowBlock, Floats], Floats]) -> Floats:
        return variants.documents.total_of(
            pairs, lambda block: values(block, pairs.weight[block.rows].astype(np.float64))
        )

    return Observed(
        clicks=total(lambda block, weight: pairs.clicked[block.rows] * weight),
        exposure=total(lambda block, weight: examination(block) * weight),
        click_squares=total(lambda block, weight: pairs.clicked[block.rows] * weight**2),
        exposure_squares=total(lambda block, weight: (examination(block) * weight) ** 2),
    )


def _report(
    found: GradeEvidence, judged: Integers, covered: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "strength": found.strength,
        "agreement": found.agreement,
        "click_rate_by_grade": dict(
            zip(map(str, found.grades.tolist()), found.rates.tolist(), strict=True)
        ),
        "reason": found.reason,
        "judged": len(judged),
        "coverage": covered,
    }


def coverage(
    pairs: TrainingPairs, variants: FeatureVariants, judged: Integers
) -> list[dict[str, Any]]:
    """Return by frequency band of the queries how many documents there are, and are judged.

    `judged`: numbers of documents of the variants. Bands without a document are left out.
    """
    query, band = variants.documents.query, _bands(pairs, variants)
    is_judged = np.zeros(len(query), dtype=bool)
    is_judged[judged] = True
    return [
        {
            "impressions_from": int(low),
            "queries": len(np.unique(query[band == number])),
            "documents": int((band == number).sum()),
            "judged": int(is_judged[band == number].sum()),
        }
        for number, low in zip((-1, *range(len(BANDS))), (0, *BANDS), strict=True)
        if (band == number).any()
    ]


def _bands(pairs: TrainingPairs, variants: FeatureVariants) -> Integers:
    """Return the frequency band of every document's query, -1 where it was never shown."""
    query = variants.documents.query
    impressions = np.bincount(pairs.query_code, minlength=int(query.max()) + 1)[query]
    return np.where(impressions > 0, band_of(impressions.astype(np.float64)), -1)


def sentence(source: str, found: dict[str, Any]) -> str:
    """Say what the judgements of one source count as, why, and of which queries they are."""
    covered = ", ".join(
        f"{each['judged']:,} of {each['documents']:,} documents of queries shown "
        f"{each['impressions_from']}+ times"
        for each in found["coverage"]
        if each["judged"]
    )
    agreement = found["agreement"]
    why = f"{agreement:.0%} of relevance explained" if agreement else found["reason"]
    return (
        f"{JUDGED} {source!r} count as {found['strength']:.1f} examinations each ({why}); "
        f"judged: {covered}"
    )
