"""What one fit is trained on: rows, labels, and where the labels come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from ..boosting.dataset import TrainingData
    from ..exposure.examination import Examination
    from .blend import Member
    from .choice import Choice


@dataclass(frozen=True)
class DebiasOptions:
    """The settings of a fit that a debiasing method reads; see `rankloom.ltr.Ranker`."""

    examination: Any
    clip: float
    prior_exposure: float
    prior_strength: float
    label_gain: list[float] | None
    seed: int
    # Whether a model that learns another's scores may have more trees than `n_estimators`
    add_trees: bool = True


@dataclass(frozen=True)
class TrainingTarget:
    """Training data of the final model, and the evidence behind them."""

    data: TrainingData
    # LightGBM parameters that the data require
    params: dict[str, Any] = field(default_factory=dict)
    examination: Examination | None = None
    choice: Choice | None = None
    members: Sequence[Member] = ()  # of the blend that the labels come from; empty without one
    pair_bias: pl.DataFrame | None = None
    # Source of judgements -> what they count as; None where the method does not use them
    judgments: dict[str, Any] | None = None
