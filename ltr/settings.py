"""The settings of one fit: the ranker's parameters, checked before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import InvalidInputError, did_you_mean
from .boosting.parameters import main_names, merged, seed_from, thread_count
from .debias.pairwise import PAIRWISE_DEFAULTS
from .debias.training_target import DebiasOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .boosting.progress import Progress

MODES = ("auto", "none", "position", "ips", "pairwise", "click_model")

ON_ONE_NODE = frozenset({"position", "pairwise"})
"""Modes that learn a bias along with the trees, which LightGBM does not on Dask."""

WITH_CUSTOM_OBJECTIVES = frozenset({"auto", "pairwise", "click_model"})


@dataclass(frozen=True)
class FitSettings:
    """The parameters of a `Ranker` as a fit uses them; see there."""

    debias: str
    n_estimators: int
    learning_rate: float
    num_leaves: int
    min_data_in_leaf: int
    truncation_level: int
    examination: Any
    clip: float
    prior_exposure: float
    prior_strength: float
    early_stopping_rounds: int | None
    n_jobs: int | None
    progress: Progress
    seed: int  # from `random_state`, or a "seed" among the user's parameters
    user_params: Mapping[str, Any]  # the user's LightGBM parameters, under their main names

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the settings by the parameters of a ranker.

        Raises InvalidInputError if one of them is wrong.
        """
        values = dict(parameters)
        user_params = main_names(values.pop("params"))
        if "early_stopping_round" in user_params:
            values["early_stopping_rounds"] = user_params["early_stopping_round"]
        _check(values, user_params)
        random_state = values.pop("random_state")
        # Once: a generator gives another seed each time.
        seed = seed_from(user_params.get("seed", random_state))
        return cls(**values, seed=seed, user_params=user_params)

    @property
    def debias_options(self) -> DebiasOptions:
        """What a debiasing method needs to know."""
        return DebiasOptions(
            examination=self.examination,
            clip=self.clip,
            prior_exposure=self.prior_exposure,
            prior_strength=self.prior_strength,
            label_gain=self.user_params.get("label_gain"),
            seed=self.seed,
            add_trees="num_iterations" not in self.user_params,
        )

    def lightgbm_params(self, cells: int) -> dict[str, Any]:
        """Return LightGBM's parameters: the ranker's, overridden by the user's.

        `cells`: rows times features of the data.
        """
        defaults: dict[str, Any] = {
            "objective": "lambdarank",
            "num_iterations": self.n_estimators,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "lambdarank_truncation_level": self.truncation_level,
            "num_threads": thread_count(self.n_jobs, cells),
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if self.debias == "pairwise":
            defaults |= PAIRWISE_DEFAULTS
        params = merged(defaults, self.user_params)
        params.pop("early_stopping_round", None)  # the ranker stops by its own criterion
        return params


def check_mode(debias: Any) -> None:
    """Raise where `debias` is none of `MODES`."""
    if debias not in MODES:
        known = ", ".join(MODES)
        msg = f"debias: got {debias!r}, expected one of {known}."
        raise InvalidInputError(msg + did_you_mean(str(debias), MODES))


def _check(values: Mapping[str, Any], user_params: Mapping[str, Any]) -> None:
    mode = values["debias"]
    check_mode(mode)
    if mode in WITH_CUSTOM_OBJECTIVES and "objective" in user_params:
        msg = f"params: 'objective' cannot be given with debias={mode!r}, which has its own"
        raise InvalidInputError(msg)
    for name in ("n_estimators", "num_leaves", "truncation_level"):
        _check_number(name, values[name], whole=True, low=1)
    _check_number("min_data_in_leaf", values["min_data_in_leaf"], whole=True, low=0)
    _check_number("learning_rate", values["learning_rate"], low=0, open_low=True)
    _check_number("clip", values["clip"], low=0, high=1, open_low=True)
    _check_number("prior_exposure", values["prior_exposure"], low=0)
    _check_number("prior_strength", values["prior_strength"], low=0)
    rounds = values["early_stopping_rounds"]
    if rounds is not None:
        _check_number("early_stopping_rounds", rounds, whole=True, low=1)


def _check_number(
    name: str,
    value: Any,
    *,
    low: float,
    high: float = np.inf,
    whole: bool = False,
    open_low: bool = False,
) -> None:
    kinds = int | np.integer if whole else int | float | np.integer | np.floating
    fits = isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high
    if not fits or (open_low and value == low) or not np.isfinite(value):
        kind = "a whole number" if whole else "a number"
        range_ = f"{'above' if open_low else 'at least'} {low}"
        range_ += f" and at most {high}" if np.isfinite(high) else ""
        msg = f"{name}: expected {kind} {range_}, got {value!r}"
        raise InvalidInputError(msg)
