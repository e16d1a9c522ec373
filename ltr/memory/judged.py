"""Judgements beside a memory's clicks: grades by (query, document) and what they count as.

A grade of one judge counts as so many examinations and clicks as
`rankloom.ltr.exposure.judgment_strength` finds by its agreement with clicks, times a scale: a prior
that learnt from the same grades knows part of them already. Scale and strength of the prior are
those of the highest likelihood of displays that were left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from ..exposure.frequency_bands import band_of
from ..exposure.judgment_strength import GradeEvidence, Observed, grade_evidence, levels_of
from .sums import QueryDocumentSums, no_sums, pair_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from .units import Units

    Floats = NDArray[np.float64]
    Ids = NDArray[np.uint64]

SCALES: Final = (1.0, 0.5, 0.25, 2.0, 0.0)
"""Scales of judgements that are tried; of equally good ones the first."""


class Grades(NamedTuple):
    """The grades of one judge, each (query, document) once, ordered by both."""

    query: Ids  # shape (j,)
    document: Ids  # shape (j,)
    grade: Floats  # shape (j,)


class JudgedSums(NamedTuple):
    """What judgements of (query, document) count as."""

    clicks: Floats  # shape (m,)
    exposure: Floats  # shape (m,)


@dataclass(frozen=True)
class JudgeEvidence:
    """What the grades of one judge count as, and of how many documents they are."""

    found: GradeEvidence
    judged: int
    shown: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        found = self.found
        return {
            "grades": found.grades.tolist(),
            "rates": found.rates.tolist(),
            "strength": found.strength,
            "clicks": found.clicks.tolist(),
            "agreement": found.agreement,
            "reason": found.reason,
            "judged": self.judged,
            "shown": self.shown,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `to_dict` described."""
        grades, rates, clicks = (
            np.array(values[name], dtype=np.float64) for name in ("grades", "rates", "clicks")
        )
        numbers = (values["strength"], clicks, values["agreement"], values["reason"])
        found = GradeEvidence(grades, rates, *numbers)
        return cls(found, int(values["judged"]), int(values["shown"]))


@dataclass(frozen=True)
class JudgmentEvidence:
    """What the grades of all judges count as."""

    judges: Mapping[str, JudgeEvidence]
    scale: float  # of all that they count as

    @property
    def by_source(self) -> dict[str, JudgeEvidence]:
        """The judges' evidence as it counts."""
        counts = {name: each.found for name, each in self.judges.items()}
        return {
            name: replace(self.judges[name], found=found.scaled(self.scale))
            for name, found in counts.items()
        }

    def scaled(self, scale: float) -> JudgmentEvidence:
        """Return the same evidence with another scale."""
        return JudgmentEvidence(self.judges, scale)

    def counted(self, judged: Mapping[str, Grades], sums: QueryDocumentSums) -> JudgedSums:
        """Return what the judgements of the rows of `sums` count as; 0 where there are none."""
        size = len(sums.query)
        clicks, exposure = np.zeros((2, size))
        row_of = _RowsOf(sums)
        for name, grades in judged.items():
            if name not in self.judges or not self.scale:
                continue
            found, row = self.judges[name].found, row_of(grades)
            known = row >= 0
            row = row[known]
            level = np.searchsorted(found.grades, grades.grade[known], side="right") - 1
            impressions = sums.impressions[sums.queries.searchsorted(sums.query[row])]
            stratum = np.where(impressions > 0, 1 + band_of(impressions), 0)
            own = found.clicks_of(np.maximum(level, 0), sums.exposure[row], stratum)
            clicks[row] += self.scale * own
            exposure[row] += self.scale * found.strength
        return JudgedSums(clicks, exposure)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        judges = {name: each.to_dict() for name, each in self.judges.items()}
        return {"scale": self.scale, "judges": judges}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `to_dict` described."""
        judges = {name: JudgeEvidence.from_dict(v) for name, v in values["judges"].items()}
        return cls(judges, float(values["scale"]))


class _RowsOf:
    """Finds the rows of (query, document) in sums."""

    def __init__(self, sums: QueryDocumentSums) -> None:
        keys = pair_keys(sums.query, sums.document)
        self.order = np.argsort(keys)
        self.keys = keys[self.order]

    def __call__(self, of: Grades | tuple[Ids, Ids]) -> NDArray[np.int64]:
        """Return the row of every (query, document), -1 for none."""
        wanted = pair_keys(of[0], of[1])
        if not len(self.keys):
            return np.full(len(wanted), -1)
        place = np.minimum(self.keys.searchsorted(wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.order[place], -1)


def no_judgments() -> JudgmentEvidence:
    """Return the evidence of no judge."""
    return JudgmentEvidence({}, 1.0)


def grades_of(pairs: TrainingPairs, query_ids: Ids, document_ids: Ids) -> dict[str, Grades]:
    """Return the pairs' judgements by judge.

    `query_ids`, `document_ids`: ids of `pairs.queries` and `pairs.documents`.
    """
    judgments = pairs.judgments
    if judgments is None:
        return {}
    query, document = query_ids[judgments.query_code], document_ids[judgments.document_code]
    found = {}
    for number, name in enumerate(judgments.sources):
        own = judgments.source == number
        if own.any():
            found[name] = joined([Grades(query[own], document[own], judgments.grade[own])])
    return found


def joined(parts: Sequence[Grades]) -> Grades:
    """Return the grades of one judge, each (query, document) once: the highest."""
    query, document, grade = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.lexsort((-grade, document, query))
    query, document, grade = query[order], document[order], grade[order]
    first = np.ones(len(query), dtype=bool)
    first[1:] = (query[1:] != query[:-1]) | (document[1:] != document[:-1])
    return Grades(query[first], document[first], grade[first])


def all_joined(*parts: Mapping[str, Grades]) -> dict[str, Grades]:
    """Return the grades of all judges of several sets."""
    names = sorted({name for part in parts for name in part})
    return {name: joined([part[name] for part in parts if name in part]) for name in names}


def unshown_sums(judged: Mapping[str, Grades]) -> QueryDocumentSums:
    """Return sums of 0 of everything that was judged, which add nothing but rows."""
    if not judged:
        return no_sums()
    every = joined(list(judged.values()))
    nothing = [np.zeros(len(every.query))] * 4
    queries = np.unique(every.query)
    return QueryDocumentSums._make(
        [every.query, every.document, *nothing, queries, np.zeros(len(queries))]
    )


def judge_evidence(
    judged: Mapping[str, Grades],
    units: Units,
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
    factor: Floats,
    weight: Floats | None,
    overall: float,
) -> JudgmentEvidence:
    """Estimate what every judge's grades count as, by the units of the documents judged.

    `gain`, `examination`, shape (n,). `factor`: of examination, by position. `weight`: of
    executions. `overall`: P(click | examined).
    """
    judges = {}
    for name, grades in judged.items():
        log = _observed(grades, units, gain, examination, factor, weight)
        level, lowest = levels_of(grades.grade)
        found = grade_evidence(level, lowest, log, overall)
        judges[name] = JudgeEvidence(found, len(grades.grade), int((log.exposure > 0).sum()))
    return JudgmentEvidence(judges, 1.0)


def _observed(
    grades: Grades,
    units: Units,
    gain: NDArray[np.floating],
    examination: NDArray[np.floating],
    factor: Floats,
    weight: Floats | None,
) -> Observed:
    """Return what the units say of the documents that were judged; shape (j,)."""
    keys = pair_keys(grades.query, grades.document)
    order = np.argsort(keys)
    of_unit = pair_keys(units.query[units.execution], units.document)
    place = np.minimum(keys[order].searchsorted(of_unit), len(keys) - 1)
    rows = np.flatnonzero(keys[order][place] == of_unit)
    of, size = order[place[rows]], len(keys)
    w = np.ones(len(rows)) if weight is None else weight[units.execution[rows]]
    gained = w * gain[rows]
    examined = w * examination[rows]
    examined *= factor[np.minimum(units.position[rows], len(factor) - 1)]
    each = (gained, examined, gained**2, examined**2)
    return Observed(*(np.bincount(of, values, size).astype(np.float64) for values in each))
