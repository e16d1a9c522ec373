"""The ranker's own parameters, checked before anything is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..datasets.training_pairs import TrainingPairs
from ..errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    Settings = Mapping[str, Any]

MODES = ("auto", "none", "position", "ips", "pairwise", "click_model")

WITH_OWN_OBJECTIVES = frozenset({"auto", "pairwise", "click_model"})


def check_settings(
    settings: Settings, pairs: Any, validation: Any, users: Mapping[str, Any]
) -> None:
    for name, value in (("pairs", pairs), ("validation", validation)):
        if not isinstance(value, TrainingPairs) and not (name == "validation" and value is None):
            msg = f"{name}: expected TrainingPairs (see load_pairs), got {type(value).__name__}"
            raise InvalidInputError(msg)
    check_mode(settings["debias"])
    mode = settings["debias"]
    if mode in WITH_OWN_OBJECTIVES and "objective" in users:
        msg = f"params: 'objective' cannot be given with debias={mode!r}, which brings its own"
        raise InvalidInputError(msg)
    for name in ("n_estimators", "num_leaves", "min_data_in_leaf", "truncation_level"):
        _check_number(name, settings[name], whole=True, low=0 if name == "min_data_in_leaf" else 1)
    _check_number("learning_rate", settings["learning_rate"], low=0, open_low=True)
    _check_number("clip", settings["clip"], low=0, high=1, open_low=True)
    _check_number("prior_exposure", settings["prior_exposure"], low=0)
    _check_number("prior_strength", settings["prior_strength"], low=0)
    rounds = stopping_rounds(settings, users)
    if rounds is not None:
        _check_number("early_stopping_rounds", rounds, whole=True, low=1)
        if validation is None:
            msg = "early_stopping_rounds: needs fit(pairs, validation=...); give later pairs"
            raise InvalidInputError(msg)


def check_mode(debias: Any) -> None:
    """Raise where `debias` is none of `MODES`."""
    if debias not in MODES:
        known = ", ".join(MODES)
        msg = f"debias: got {debias!r}, expected one of {known}."
        raise InvalidInputError(msg + did_you_mean(str(debias), MODES))


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


def stopping_rounds(settings: Settings, users: Mapping[str, Any]) -> int | None:
    """Return the rounds after which to stop, by the user's LightGBM parameter or ours."""
    rounds: int | None = users.get("early_stopping_round", settings["early_stopping_rounds"])
    return rounds
