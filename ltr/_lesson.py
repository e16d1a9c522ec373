"""What one fit learns from: rows, labels, and how they came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from ._blend import Member
    from ._examination import Examination
    from ._training import TrainingData
    from .choice import Choice


@dataclass(frozen=True)
class Lesson:
    """What the model is taught.

    Attributes
    ----------
    data : TrainingData
    params : dict
        LightGBM's, that the data call for.
    examination : Examination or None
    choice : Choice or None
    members : sequence of Member
        Of the blend that the labels come from; empty without one.
    pair_bias : polars.DataFrame or None
    """

    data: TrainingData
    params: dict[str, Any] = field(default_factory=dict)
    examination: Examination | None = None
    choice: Choice | None = None
    members: Sequence[Member] = ()
    pair_bias: pl.DataFrame | None = None
