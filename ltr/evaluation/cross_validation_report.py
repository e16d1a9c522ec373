"""The result of `rankloom.ltr.cross_validate`, as plain values and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..._shared.plain import plain

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


@dataclass(frozen=True)
class FoldResult:
    """One fold of a cross-validation.

    Attributes
    ----------
    executions_trained, executions_tested : int
    queries_tested : int
    score : float
        Of the tested executions.
    baseline : float or None
        The baseline's score there; None where there is no baseline.
    difference : float or None
        Score minus baseline.
    interval : tuple of float, or None
        Of the difference, by a bootstrap over queries, paired.
    examination_source : str or None
        Of the curve that corrects the score: "given", "estimated" (on the training executions) or
        "assumed". None for judged pairs.
    seconds : float
        That the fit took.
    """

    executions_trained: int
    executions_tested: int
    queries_tested: int
    score: float
    baseline: float | None
    difference: float | None
    interval: tuple[float, float] | None
    examination_source: str | None
    seconds: float


@dataclass(frozen=True, repr=False)
class CrossValidation:
    """Held-out scores of a ranker, fold by fold and over all tested executions.

    Attributes
    ----------
    criterion : str
        What the scores are.
    folds : tuple of FoldResult
    score : float
        Over the tested executions of all folds.
    score_interval : tuple of float
        By a bootstrap over queries.
    baseline : float or None
        The baseline's score on the same executions.
    difference : float or None
        Score minus baseline.
    interval : tuple of float, or None
        Of the difference, paired and clustered by query.
    p : float or None
        Two-sided, of the difference.
    baseline_name : str or None
    confidence : float
        Of the intervals.
    scores : ndarray of float64, shape (n,)
        What the rankers gave the tested rows, for example as `held_out=` of `QueryMemory.fit`;
        NaN for rows that no fold tests.
    notes : list of str
        How to read the numbers.
    """

    criterion: str
    folds: tuple[FoldResult, ...]
    score: float
    score_interval: tuple[float, float]
    baseline: float | None
    difference: float | None
    interval: tuple[float, float] | None
    p: float | None
    baseline_name: str | None
    confidence: float
    scores: NDArray[np.float64]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the result without the scores of rows as plain values, ready for JSON."""
        values = {name: value for name, value in self.__dict__.items() if name != "scores"}
        result: dict[str, Any] = plain({**values, "folds": [asdict(fold) for fold in self.folds]})
        return result

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each fold: ``fold``, from 1, and the attributes of `FoldResult`.

        The interval's ends are ``lower`` and ``upper``.
        """
        import polars as pl

        rows = []
        for number, fold in enumerate(self.folds, 1):
            values = asdict(fold)
            lower, upper = values.pop("interval") or (None, None)
            rows.append({"fold": number, **values, "lower": lower, "upper": upper})
        return pl.DataFrame(rows, infer_schema_length=None)

    def __repr__(self) -> str:
        """Say the score and the difference in one line."""
        low, high = self.score_interval
        text = f"{self.criterion} {self.score:.4f} ({low:.4f} to {high:.4f}), {len(self.folds)} "
        if self.difference is not None and self.interval is not None:
            low, high = self.interval
            text += f"folds, {self.difference:+.4f} ({low:+.4f} to {high:+.4f}) against "
            return f"CrossValidation({text}{self.baseline_name})"
        return f"CrossValidation({text}folds)"

    def __str__(self) -> str:
        """Return a table with a line for every fold and one for all, and the notes."""
        against = "" if self.baseline_name is None else f", against {self.baseline_name}"
        heading = f"{'fold':6}{'executions':>10}{'queries':>9}{'score':>9}"
        if self.baseline_name is not None:
            heading += f"{'baseline':>10}  difference ({self.confidence:.0%} interval)"
        lines = [f"held-out {self.criterion} of {len(self.folds)} folds{against}", heading]
        for number, fold in enumerate(self.folds, 1):
            start = f"{number:<6}{fold.executions_tested:>10,}{fold.queries_tested:>9,}"
            lines.append(start + _numbers(fold))
        lines.append(f"{'all':6}{'':19}" + _numbers(self))
        low, high = self.score_interval
        lines.append(f"{self.confidence:.0%} interval of the score: {low:.4f} to {high:.4f}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _numbers(result: FoldResult | CrossValidation) -> str:
    text = f"{result.score:9.4f}"
    if result.interval is None:
        return text
    low, high = result.interval
    return f"{text}{result.baseline:10.4f}  {result.difference:+.4f} ({low:+.4f} to {high:+.4f})"
