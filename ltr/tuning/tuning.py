"""The result of `rankloom.ltr.tune`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._shared.atomic_files import write_whole
from ..._shared.plain import plain
from ..._shared.summary import Summary, Table, interval, summary_text
from ..._shared.summary_html import summary_html
from .search_space import with_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import polars as pl

    from ..ranker import Ranker


_COLUMNS = ("best", "defaults", "difference", "interval", "p")


@dataclass(frozen=True)
class Gain:
    """The criterion of the best parameters and of the defaults on the same executions.

    Attributes
    ----------
    best, default : float
    difference : float
        Best minus default.
    interval : tuple of float
        Of the difference, by a bootstrap over queries, paired.
    p : float
        Two-sided.
    executions, queries : int
        That were scored.
    """

    best: float
    default: float
    difference: float
    interval: tuple[float, float]
    p: float
    executions: int
    queries: int

    def _repr_html_(self) -> str:
        title = f"Gain: {self.executions:,} executions of {self.queries:,} queries"
        return summary_html(Summary(title, [Table.of(_COLUMNS, [self.cells])]))

    @property
    def cells(self) -> tuple[Any, ...]:
        """Best, default, difference, interval and p, as a table shows them."""
        limits = interval(self.interval, "+.4f")
        return self.best, self.default, self.difference, limits, self.p


@dataclass(frozen=True, repr=False)
class Tuning:
    """Parameters that a search found, and what they gain.

    Attributes
    ----------
    best_params : dict
        Parameters of `Ranker` by which the best one differs from the one that was given; those of
        LightGBM in ``params``. Empty where no trial was better than the defaults.
    criterion : str
        What is maximised.
    folds_gain : Gain
        On the folds of the search: too high, as the best of all trials was chosen by it.
    holdout_gain : Gain or None
        On the pairs of `holdout`, which the search never read; None without them.
    history : polars.DataFrame
        One row for each trial: ``number``, ``state`` ("complete", "pruned"), ``score`` (of a pruned
        one over the folds until then), ``folds`` that were scored, ``seconds``, and a column for
        each parameter that was searched.
    study_name : str
    confidence : float
        Of the intervals.
    notes : list of str
        How to read the numbers.
    """

    best_params: dict[str, Any]
    criterion: str
    folds_gain: Gain
    holdout_gain: Gain | None
    history: pl.DataFrame
    study_name: str
    confidence: float
    base: Ranker = field(compare=False)
    notes: list[str] = field(default_factory=list)

    def ranker(self) -> Ranker:
        """Return an unfitted ranker with the best parameters, and the given one's otherwise."""
        return with_values(self.base, self.best_params)

    def to_frame(self) -> pl.DataFrame:
        """Return `history`."""
        return self.history

    def to_pandas(self) -> pd.DataFrame:
        """Return `history` for pandas."""
        return self.history.to_pandas()

    def to_dict(self) -> dict[str, Any]:
        """Return the result without its history as plain values, ready for JSON."""
        result: dict[str, Any] = plain(
            {
                "best_params": self.best_params,
                "criterion": self.criterion,
                "folds_gain": self.folds_gain.__dict__,
                "holdout_gain": self.holdout_gain and self.holdout_gain.__dict__,
                "trials": len(self.history),
                "pruned": int((self.history["state"] == "pruned").sum()),
                "study_name": self.study_name,
                "confidence": self.confidence,
                "notes": self.notes,
            }
        )
        return result

    def save_params(self, path: str | Path) -> None:
        """Write `best_params` as JSON, whole or not at all: ``Ranker(**json.load(file))``."""
        text = json.dumps(plain(self.best_params), indent=2) + "\n"
        write_whole(path, lambda name: Path(name).write_text(text, encoding="utf-8"))

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        pruned = int((self.history["state"] == "pruned").sum())
        title = f"Tuning: {len(self.history):,} trials, {pruned:,} pruned, by {self.criterion}"
        gains = {"folds": self.folds_gain, "holdout": self.holdout_gain}
        rows = [
            (name, gain.executions, gain.queries, *gain.cells)
            for name, gain in gains.items()
            if gain is not None
        ]
        columns = ["", "executions", "queries", *_COLUMNS]
        tables = [Table.of(columns, rows, caption=f"{self.confidence:.0%} intervals, by query")]
        if self.best_params:
            tables.append(Table.of_counts(_flat(self.best_params), "best parameters"))
        better = [] if self.best_params else ["no trial was better than the defaults"]
        return Summary(title, tables, [*better, *self.notes])


def _flat(parameters: Mapping[str, Any]) -> dict[str, Any]:
    flat = {**parameters, **parameters.get("params", {})}
    flat.pop("params", None)
    return flat
