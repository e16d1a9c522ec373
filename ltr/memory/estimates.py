"""What a memory estimates from its units: calibration, strength, and the sums that both go with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from ..exposure.frequency_bands import BANDS
from .calibration import Calibration, calibrate
from .judged import SCALES, JudgedSums, JudgmentEvidence, judge_evidence, no_judgments
from .strength import (
    MIN_QUERIES,
    STRENGTHS,
    Predictions,
    Strength,
    estimate_strength,
    left_out_predictions,
)
from .sums import QueryDocumentSums, add, decay, pair_keys, sum_units
from .units import NO_TIME, Units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from .judged import Grades
    from .state import Compacted

    Floats = NDArray[np.float64]


MAX_DISPLAYS: Final = 300_000
"""Documents of executions that the strength of the prior is estimated from."""


@dataclass(frozen=True)
class CountingRules:
    """What gives the sums their meaning; two memories merge only if these are equal."""

    half_life: float | None
    gains: tuple[float, ...]  # by grade, the last one for all higher grades
    clip: float

    def gain(self, grade: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the gain of grades."""
        table = np.full(256, self.gains[-1], dtype=np.float32)
        table[: len(self.gains)] = self.gains
        return table[grade]

    def examination(self, units: Units) -> NDArray[np.float32]:
        """Return the examination of units, that of clicks at least `clip`.

        Displays without a click stay as they are: a document that stood where hardly anybody looks
        would otherwise seem to have been looked at and left out.
        """
        clicked = np.flatnonzero(units.grade)
        examined = units.examination.copy()
        examined[clicked] = np.maximum(examined[clicked], np.float32(self.clip))
        return examined

    def sum(self, units: Units, factor: Floats, reference: int) -> QueryDocumentSums:
        """Sum units at a reference time; `factor`: of examination, by position."""
        weight = decay(units.time, reference, self.half_life)
        return sum_units(
            units, self.gain(units.grade), self.examination(units), factor, weight
        ).sums


@dataclass(frozen=True)
class Estimates:
    """Calibration and strength of the prior, bands of queries served, and what grades count as."""

    calibration: Calibration
    strength: Strength
    served: tuple[bool, ...]  # by band
    judgments: JudgmentEvidence = field(default_factory=no_judgments)

    def restricted(self, passed: Sequence[bool]) -> Self:
        """Return estimates that serve only bands that passed, of those served so far."""
        return replace(
            self, served=tuple(a and b for a, b in zip(self.served, passed, strict=True))
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        plain = {
            "calibration": self.calibration.to_dict(),
            "strength": self.strength.to_dict(),
            "served": list(self.served),
        }
        judged = self.judgments
        return {**plain, "judgments": judged.to_dict()} if judged.judges else plain

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `to_dict` described."""
        served = tuple(bool(each) for each in values["served"])
        if len(served) != len(BANDS):
            msg = f"served: {len(served)} bands, expected {len(BANDS)}"
            raise ValueError(msg)
        calibration = Calibration.from_dict(values["calibration"])
        judged = values.get("judgments")
        judgments = JudgmentEvidence.from_dict(judged) if judged else no_judgments()
        return cls(calibration, Strength.from_dict(values["strength"]), served, judgments)


def estimate(
    units: Units,
    rules: CountingRules,
    reference: int,
    judged: Mapping[str, Grades],
    held_out: Units | None = None,
) -> tuple[Estimates, QueryDocumentSums]:
    """Return the estimates by units and judgements, and the units' sums.

    The later half of the executions decides on whether memory predicts; without times it is a half
    by the executions' ids. `held_out`: the same units with the scores of a prior that did not learn
    from them, NaN for those that it did learn from. Only the former are predicted then: a prior
    that has learnt from a click predicts it too well, and would seem to deserve more strength.
    """
    counted = _Counted.of(units, rules, reference)
    tested = counted if held_out is None else _Counted.of(held_out, rules, reference)
    sample = _Displays.of(tested, rules, scored_only=held_out is not None)
    judgments = no_judgments()
    if judged:
        judgments = sample.best_scale(tested.judgments(judged), judged)
    strength = estimate_strength(
        sample.predictions(sample.counted(judgments, judged)),
        *tested.halves(judgments.counted(judged, tested.sums)),
        prior_of(tested.sums, tested.calibration),
        tested.sums.queries.searchsorted(tested.sums.query),
        tested.earlier_impressions(),
    )
    served = tuple(
        strength.predicts
        and band.strength < float(STRENGTHS[-1])
        and (band.gain > 0 or band.queries < MIN_QUERIES)
        for band in strength.bands
    )
    return Estimates(counted.calibration, strength, served, judgments), counted.sums


class _Counted(NamedTuple):
    """Units as the rules count them, with the calibration of their scores and their sums."""

    units: Units
    gain: NDArray[np.float32]  # shape (n,)
    examined: NDArray[np.float32]  # shape (n,)
    weight: Floats | None  # shape (e,)
    calibration: Calibration
    sums: QueryDocumentSums
    later: NDArray[np.bool_]  # shape (e,)
    later_clicks: Floats  # shape (m,)
    later_exposure: Floats  # shape (m,)

    @classmethod
    def of(cls, units: Units, rules: CountingRules, reference: int) -> _Counted:
        gain, examined = rules.gain(units.grade), rules.examination(units)
        half = (units.query & np.uint64(1)).astype(np.uint8)  # ids are hashes
        calibration = calibrate(units.score, units.position, gain, examined, half[units.execution])
        weight, later = decay(units.time, reference, rules.half_life), _later_half(units)
        sums = sum_units(units, gain, examined, calibration.factor, weight, later)
        return cls(units, gain, examined, weight, calibration, sums[0], later, *sums[1:])

    def judgments(self, judged: Mapping[str, Grades]) -> JudgmentEvidence:
        """Return what grades count as."""
        sums = self.sums
        overall = float(sums.clicks.sum() / max(sums.exposure.sum(), np.finfo(np.float64).tiny))
        factor = self.calibration.factor
        return judge_evidence(
            judged, self.units, self.gain, self.examined, factor, self.weight, overall
        )

    def halves(self, judged: JudgedSums) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        """Return C and E of the earlier executions with judgements, and of the later ones."""
        later = self.later_clicks, self.later_exposure
        total = self.sums.clicks, self.sums.exposure
        clicks, exposure = (
            np.maximum(of_all - late, 0.0) + known
            for of_all, late, known in zip(total, later, judged, strict=True)
        )
        return (clicks, exposure), later

    def earlier_impressions(self) -> Floats:
        """Return the weight of the earlier executions of every query; shape (q,)."""
        place = self.sums.queries.searchsorted(self.units.query)
        each = ~self.later if self.weight is None else ~self.later * self.weight
        return np.bincount(place, each, len(self.sums.queries)).astype(np.float64)


class _Displays(NamedTuple):
    """Displays of at most `MAX_DISPLAYS` documents, and their sums by (query, document).

    Of a longer log queries are taken in the order of their ids, which are hashes.
    """

    cell: NDArray[np.int64]  # shape (n,): row of the sums
    gain: Floats  # shape (n,)
    exposure: Floats  # shape (n,)
    predicted: NDArray[np.bool_]  # shape (n,)
    prior: Floats  # shape (m,)
    sums: QueryDocumentSums

    @classmethod
    def of(cls, counted: _Counted, rules: CountingRules, *, scored_only: bool) -> _Displays:
        """Return the displays; `scored_only`: only those with a score are to be predicted."""
        units, calibration = counted.units, counted.calibration
        queries, query = np.unique(units.query, return_inverse=True)
        executions = np.bincount(units.execution, minlength=len(units.id))
        displays = np.cumsum(np.bincount(query, executions, len(queries)))
        taken = (displays <= max(MAX_DISPLAYS, displays[0]))[query]
        used = units if taken.all() else units.take(taken)
        w = np.ones(len(taken)) if counted.weight is None else counted.weight
        w = w[taken]
        gain, examined = rules.gain(used.grade), rules.examination(used)
        sums = sum_units(used, gain, examined, calibration.factor, w).sums
        keys = pair_keys(sums.query, sums.document)
        order = np.argsort(keys)
        of_unit = pair_keys(used.query[used.execution], used.document)
        each = w[used.execution]
        return cls(
            order[keys[order].searchsorted(of_unit)],
            each * gain,
            each * examined * calibration.factor_at(used.position),
            np.isfinite(used.score) if scored_only else np.ones(len(used.score), dtype=bool),
            prior_of(sums, calibration),
            sums,
        )

    def counted(self, judgments: JudgmentEvidence, judged: Mapping[str, Grades]) -> JudgedSums:
        return judgments.counted(judged, self.sums)

    def predictions(self, counted: JudgedSums) -> Predictions:
        sums = self.sums
        query = sums.queries.searchsorted(sums.query)
        displays = (self.cell, self.gain, self.exposure, self.predicted)
        return left_out_predictions(*displays, counted, self.prior, query, sums.impressions)

    def best_scale(
        self, evidence: JudgmentEvidence, judged: Mapping[str, Grades]
    ) -> JudgmentEvidence:
        """Return the evidence with the scale that predicts displays best, at its best strength."""
        scaled = [evidence.scaled(scale) for scale in SCALES]
        found = [self.predictions(self.counted(each, judged)).gains for each in scaled]
        return scaled[int(np.argmax([gains.sum(axis=1).max() for gains in found]))]


def prior_of(sums: QueryDocumentSums, calibration: Calibration) -> Floats:
    """Return p of every (query, document), by the mean of its logged scores."""
    mean = np.full(len(sums.score), np.nan)
    np.divide(sums.score, sums.scored, out=mean, where=sums.scored > 0)
    return calibration(mean)


def closed(
    units: Units, before: Compacted, rules: CountingRules, calibration: Calibration
) -> Compacted:
    """Return compacted sums with those of some units added."""
    reference = max(before.reference, units.latest or before.reference)
    new = rules.sum(units, calibration.factor, reference)
    sums = add([(before.sums, factor(before.reference, reference, rules)), (new, 1.0)])
    return replace(before, sums=sums, reference=reference)


def factor(of: int, reference: int, rules: CountingRules) -> float:
    """Return the weight at a reference time of sums that count in full at another."""
    if rules.half_life is None:
        return 1.0
    times = np.array([of], dtype=np.int64)
    return float(decay(times, reference, rules.half_life)[0])  # type: ignore[index]


def _later_half(units: Units) -> NDArray[np.bool_]:
    if (units.time == NO_TIME).any() or not len(units.time):
        return np.asarray(units.id % 2 == 1)
    middle = np.sort(units.time)[len(units.time) // 2]
    return np.asarray(units.time >= middle)
