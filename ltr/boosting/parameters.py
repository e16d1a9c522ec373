"""LightGBM's parameters: aliases to main names, and the user's values over the ranker's own."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.threads import available_threads, load_lightgbm
from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REFUSED = {
    "categorical_feature": "categorical features come from pairs.categories",
    "num_class": "a ranker gives one score a document",
    "config": "give the parameters themselves",
    "task": "the ranker trains with fit and predicts with predict",
    "data": "the data are the pairs given to fit",
    "valid": "give fit(pairs, validation=...)",
    "input_model": "use Ranker.load",
    "output_model": "use Ranker.save",
}


CELLS_PER_THREAD: Final = 1_000_000
"""Rows times features that are worth a thread: with fewer it waits longer than it works."""


def thread_count(n_jobs: int | None, cells: int | None = None) -> int:
    """Return the number of threads that `n_jobs` stands for; -1: all available ones.

    None stands for as many of them as rows times features, `cells`, keep busy.

    >>> thread_count(3), thread_count(None, cells=5_000)
    (3, 1)
    """
    if n_jobs is None and cells is not None:
        return min(available_threads(), 1 + cells // CELLS_PER_THREAD)
    if n_jobs is None or n_jobs == -1:
        return available_threads()
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs < 1:
        msg = f"n_jobs: expected a whole number >= 1, or None or -1 for all cores, got {n_jobs!r}"
        raise InvalidInputError(msg)
    return int(n_jobs)


def seed_from(random_state: int | np.random.Generator | None) -> int:
    """Return the seed for LightGBM; a generator or None draws one."""
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        kind = type(random_state).__name__
        msg = f"random_state: expected a whole number, a numpy Generator or None, got {kind}"
        raise InvalidInputError(msg)
    if not 0 <= random_state < 2**31:
        msg = f"random_state: expected 0 to 2147483647, got {random_state}"
        raise InvalidInputError(msg)
    return int(random_state)


def main_names(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parameters under LightGBM's main names.

    Raises InvalidInputError if LightGBM knows no such parameter, two aliases of one are given, a
    value is not a plain one, or the ranker sets the parameter itself.

    >>> main_names({"eta": 0.1, "reg_lambda": 2})
    {'learning_rate': 0.1, 'lambda_l2': 2}
    """
    if params is None:
        return {}
    if not isinstance(params, dict):
        msg = f"params: expected a dict of LightGBM parameters, got {type(params).__name__}"
        raise InvalidInputError(msg)
    main = main_name_of()
    result: dict[str, Any] = {}
    for given, value in params.items():
        name = main.get(given)
        if name is None:
            msg = f"params: LightGBM has no parameter {given!r}."
            raise InvalidInputError(msg + did_you_mean(str(given), main))
        if name in _REFUSED:
            msg = f"params: {given!r} cannot be given: {_REFUSED[name]}"
            raise InvalidInputError(msg)
        if name in result:
            msg = f"params: {given!r} names {name!r}, which is given twice; keep one of them"
            raise InvalidInputError(msg)
        result[name] = _typed(name, given, _as_json(given, value))
    return result


def _typed(name: str, given: str, value: Any) -> Any:
    """Return a value that the ranker reads itself with its type; LightGBM takes text for any."""
    if name == "label_gain" and isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if name not in _READ_HERE or not isinstance(value, str):
        return value
    parse, expected = _READ_HERE[name]
    try:
        return parse(value.strip().lower())
    except (KeyError, ValueError) as error:
        msg = f"params: {given!r}: expected {expected}, got {value!r}"
        raise InvalidInputError(msg) from error


def _numbers(text: str) -> list[float]:
    return [float(each) for each in text.split(",")]


_TRUTH = {"true": True, "+": True, "1": True, "false": False, "-": False, "0": False}

_READ_HERE: dict[str, tuple[Callable[[str], Any], str]] = {
    **dict.fromkeys(
        (
            "early_stopping_round",
            "lambdarank_truncation_level",
            "min_data_in_leaf",
            "num_iterations",
            "num_threads",
            "seed",
        ),
        (int, "a whole number"),
    ),
    **dict.fromkeys(("force_col_wise", "lambdarank_norm"), (_TRUTH.__getitem__, "true or false")),
    "label_gain": (_numbers, "numbers such as [0, 1, 3] or '0,1,3'"),
    "sigmoid": (float, "a number"),
}


@cache
def main_name_of() -> dict[str, str]:
    """Return every name of a parameter of LightGBM -> its main name."""
    load_lightgbm()
    from lightgbm.basic import _ConfigAliases

    _ConfigAliases.get("objective")  # the first call reads the table
    table = _ConfigAliases.aliases or {}
    return {alias: name for name, aliases in table.items() for alias in [name, *aliases]}


def _as_json(name: str, value: Any) -> Any:
    """Return the value as JSON holds it, so that the manifest can hold every setting."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = (
            f"params: {name!r} must be a number, text, bool, None or a list or dict of these, "
            f"got {type(value).__name__}: it has to be saved with the model"
        )
        raise InvalidInputError(msg) from error
    return value


def merged(defaults: Mapping[str, Any], user_params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters overridden by the user's (both under main names)."""
    result = {**defaults, **user_params}
    if user_params.get("force_col_wise"):
        result.pop("force_row_wise", None)
    return result
