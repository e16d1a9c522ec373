"""The result of `rankloom.ltr.tune`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._shared.atomic_files import write_whole
from ..._shared.plain import plain
from .search_space import with_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from ..ranker import Ranker


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

    def __str__(self) -> str:
        """Return the gain with its interval, in one line."""
        low, high = self.interval
        return (
            f"{self.best:.4f} against {self.default:.4f} of the defaults: {self.difference:+.4f} "
            f"({low:+.4f} to {high:+.4f}), {self.executions:,} executions of {self.queries:,} "
            "queries"
        )


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
        """Say the gain and the number of trials in one line."""
        gain = self.holdout_gain or self.folds_gain
        where = "folds" if self.holdout_gain is None else "holdout"
        low, high = gain.interval
        return (
            f"Tuning({len(self.history)} trials, {self.criterion} {gain.best:.4f} on the {where}, "
            f"{gain.difference:+.4f} ({low:+.4f} to {high:+.4f}) against the defaults)"
        )

    def __str__(self) -> str:
        """Return the gains, the parameters and the notes, a line for each."""
        pruned = int((self.history["state"] == "pruned").sum())
        lines = [
            f"{len(self.history)} trials, {pruned} of them pruned, by {self.criterion}",
            f"folds:   {self.folds_gain}",
            *([f"holdout: {self.holdout_gain}"] if self.holdout_gain else []),
            *(_parameter_lines(self.best_params) or ["the defaults were best"]),
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _parameter_lines(parameters: Mapping[str, Any]) -> list[str]:
    flat = {**parameters, **parameters.get("params", {})}
    flat.pop("params", None)
    return [
        f"  {name} = {value:.4g}" if isinstance(value, float) else f"  {name} = {value}"
        for name, value in flat.items()
    ]
