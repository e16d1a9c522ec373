"""What a fit leaves behind, and that state to a manifest and back."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..datasets.position_bias import PositionBias
from .choice import Choice
from .model_files import Manifest
from .pairwise import bias_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightgbm
    import polars as pl
    from numpy.typing import NDArray

    from ..datasets.training_pairs import TrainingPairs
    from ._blend import Member

_LIBRARIES = ("lightgbm", "numpy", "polars", "scikit-learn")


@dataclass
class Fitted:
    """What a fit leaves behind; every field becomes an attribute of the ranker, with a `_`."""

    booster: lightgbm.Booster
    feature_names_in: NDArray[np.object_]
    n_features_in: int
    categories: dict[str, tuple[str, ...]]
    best_iteration: int
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


def manifest(ranker: Any) -> Manifest:
    """Return what a saved ranker must remember."""
    parameters = dict(ranker.get_params(deep=False))
    if isinstance(parameters["examination"], PositionBias):
        parameters["examination"] = getattr(parameters["examination"], "examination_", None)
    if not isinstance(parameters["random_state"], int | np.integer):
        parameters["random_state"] = ranker.seed_
    pair_bias = ranker.pair_bias_
    return Manifest(
        features=[str(name) for name in ranker.feature_names_in_],
        categories={name: list(values) for name, values in ranker.categories_.items()},
        grades=ranker.grades_,
        parameters=plain(parameters),
        debias=plain(
            {
                "mode": ranker.debias,
                "examination": ranker.examination_,
                "examination_source": ranker.examination_source_,
                "pair_bias": None if pair_bias is None else pair_bias.to_dict(as_series=False),
                "choice": None if ranker.choice_ is None else ranker.choice_.to_dict(),
                "executions_left_out": ranker.executions_left_out_,
                "validation_values": ranker.validation_values_,
            }
        ),
        training_period=ranker.training_period_,
        training_report=ranker.training_report_,
        library_versions=_versions(),
    )


def restored(booster: lightgbm.Booster, saved: Manifest) -> Fitted:
    """Return the fitted state that a manifest and a booster stand for."""
    curve = saved.debias["examination"]
    pair_bias, choice = saved.debias["pair_bias"], saved.debias["choice"]
    return Fitted(
        booster=booster,
        feature_names_in=np.array(saved.features, dtype=object),
        n_features_in=len(saved.features),
        categories={name: tuple(values) for name, values in saved.categories.items()},
        best_iteration=booster.num_trees(),
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


def plain(value: Any) -> Any:
    """Return the value as JSON holds it; a number that is not finite becomes None."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
