"""The state of a fitted ranker, written to a manifest and read back."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.plain import plain
from ..._version import __version__
from ...datasets.position_bias.estimator import PositionBias
from ..debias.choice import Choice
from ..debias.pairwise import bias_table
from .files import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..debias.blend import Member

_LIBRARIES = ("lightgbm", "numpy", "polars", "scikit-learn")


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves; the attributes of a fitted `Ranker` come from here."""

    booster: lightgbm.Booster
    feature_names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    executions_left_out: dict[str, int]
    examination: NDArray[np.float64] | None
    examination_source: str | None
    pair_bias: pl.DataFrame | None
    choice: Choice | None
    members: Sequence[Member]
    validation_values: list[float]
    notes: list[str]
    training_report: dict[str, Any]
    training_period: list[str] | None
    grades: list[int]
    seed: int


def training_period(pairs: TrainingPairs) -> list[str] | None:
    """Return the times (UTC, ISO 8601) of the first and last execution; None without times."""
    if not pairs.has_times:
        return None
    return [f"{np.datetime_as_string(t, unit='us')}Z" for t in (pairs.time.min(), pairs.time.max())]


def to_manifest(fitted: Fitted, parameters: Mapping[str, Any]) -> Manifest:
    """Return what a saved ranker has to hold beyond LightGBM's text.

    `parameters`: the ranker's own, as `Ranker.get_params` returns them.
    """
    parameters = dict(parameters)
    if isinstance(parameters["examination"], PositionBias):
        parameters["examination"] = getattr(parameters["examination"], "examination_", None)
    if not isinstance(parameters["random_state"], int | np.integer):
        parameters["random_state"] = fitted.seed
    pair_bias, choice = fitted.pair_bias, fitted.choice
    return Manifest(
        features=list(fitted.feature_names),
        categories={name: list(values) for name, values in fitted.categories.items()},
        grades=fitted.grades,
        parameters=plain(parameters),
        debias=plain(
            {
                "mode": parameters["debias"],
                "examination": fitted.examination,
                "examination_source": fitted.examination_source,
                "pair_bias": None if pair_bias is None else pair_bias.to_dict(as_series=False),
                "choice": None if choice is None else choice.to_dict(),
                "executions_left_out": fitted.executions_left_out,
                "validation_values": fitted.validation_values,
            }
        ),
        training_period=fitted.training_period,
        training_report=fitted.training_report,
        library_versions=_versions(),
    )


def from_manifest(booster: lightgbm.Booster, saved: Manifest) -> Fitted:
    """Return the state of the ranker that a manifest and a booster describe."""
    curve = saved.debias["examination"]
    pair_bias, choice = saved.debias["pair_bias"], saved.debias["choice"]
    return Fitted(
        booster=booster,
        feature_names=tuple(saved.features),
        categories={name: tuple(values) for name, values in saved.categories.items()},
        executions_left_out=saved.debias["executions_left_out"],
        examination=None if curve is None else np.array(curve, dtype=np.float64),
        examination_source=saved.debias["examination_source"],
        pair_bias=None if pair_bias is None else bias_table(**pair_bias),
        choice=None if choice is None else Choice.from_dict(choice),
        members=(),
        validation_values=saved.debias["validation_values"],
        notes=saved.training_report["notes"],
        training_report=saved.training_report,
        training_period=saved.training_period,
        grades=saved.grades,
        seed=saved.parameters["random_state"],
    )


def _versions() -> dict[str, str]:
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), "rankloom": __version__, **versions}
