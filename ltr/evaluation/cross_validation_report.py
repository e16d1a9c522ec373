"""The result of `rankloom.ltr.cross_validate`, as plain values and as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..._shared.plain import plain
from ..._shared.summary import Summary, Table, interval, summary_text
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray


_COLUMNS = ("fold", "trained", "tested", "queries", "score", "baseline", "difference")


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

    def _repr_html_(self) -> str:
        title = f"FoldResult: {self.executions_tested:,} executions tested"
        row = _row("", self)
        return summary_html(Summary(title, [Table.of([*_COLUMNS[1:], "interval"], [row[1:]])]))


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

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        limits = f"{self.confidence:.0%} interval"
        rows = [_row(str(number), fold) for number, fold in enumerate(self.folds, 1)]
        all_folds = ("all", None, None, None, *_numbers(self))
        against = f", against {self.baseline_name}" if self.baseline_name else ""
        title = (
            f"CrossValidation: {self.criterion} {self.score:.4f} "
            f"({interval(self.score_interval)}){against}"
        )
        table = Table.of([*_COLUMNS, limits], [*rows, all_folds], limit=len(rows) + 1)
        return Summary(title, [table], self.notes)


def _row(name: str, fold: FoldResult) -> tuple[Any, ...]:
    sizes = (fold.executions_trained, fold.executions_tested, fold.queries_tested)
    return (name, *sizes, *_numbers(fold))


def _numbers(result: FoldResult | CrossValidation) -> tuple[Any, ...]:
    limits = interval(result.interval, "+.4f")
    return result.score, result.baseline, result.difference, limits
