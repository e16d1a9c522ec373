"""Parameters of a ranker from --param, --params and the flags that set one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError, UnreadableSourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FLAGS: Final = {"debias": "--debias", "seed": "--seed", "num_threads": "--threads"}
_MEANT: Final = {"random_state": "seed", "n_jobs": "num_threads"}
_NOT_GIVEN: Final = frozenset({"params", "progress"})


def ranker_parameters(
    params: str | None, param: Sequence[str] | None, flags: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of `Ranker`.

    `params`: a JSON file as `rankloom tune` writes it, or a JSON text that begins with a brace;
    parameters of LightGBM may stand in an object ``params`` within. `param`: ``NAME=VALUE``, which
    win over it. `flags`: values of "debias", "seed" and "num_threads", None where not given; they
    win over `params`.

    Raises InvalidInputError if a name is neither a parameter of the ranker nor of LightGBM, or is
    given twice.

    >>> text = '{"num_leaves": 7, "params": {"max_bin": 63}}'
    >>> ranker_parameters(text, ["lambda_l2=2"], {"seed": 3})
    {'num_leaves': 7, 'params': {'max_bin': 63, 'lambda_l2': 2}, 'random_state': 3}
    """
    names = _known_names()
    of_file = _checked(_object(params), names, "--params")
    of_texts = _checked(_named_values(param or ()), names, "--param")
    given = {name: value for name, value in flags.items() if value is not None}
    for name in of_texts:
        if names[name] in given:
            msg = f"--param {name}: is given by {_FLAGS[names[name]]}, too; keep one of them"
            raise InvalidInputError(msg)
    stronger = {*given, *(names[name] for name in of_texts)}
    merged = {name: value for name, value in of_file.items() if names[name] not in stronger}
    merged |= of_texts
    own = {name: value for name, value in merged.items() if name in _own_names()}
    lightgbm = {name: value for name, value in merged.items() if name not in own}
    renamed = {meant: name for name, meant in _MEANT.items()}
    own |= {"params": lightgbm} if lightgbm else {}
    return own | {renamed.get(name, name): value for name, value in given.items()}


def _own_names() -> list[str]:
    from ...ltr import Ranker

    return [name for name in Ranker().get_params(deep=False) if name not in _NOT_GIVEN]


def _known_names() -> dict[str, str]:
    """Return every name that may be given -> the name of what it sets."""
    from ...ltr.boosting.parameters import main_name_of

    own = {name: _MEANT.get(name, name) for name in _own_names()}
    return main_name_of() | own


def _checked(values: dict[str, Any], names: Mapping[str, str], flag: str) -> dict[str, Any]:
    set_by: dict[str, str] = {}
    for name in values:
        if name not in names:
            msg = (
                f"{flag}: neither Ranker nor LightGBM has a parameter {name!r}."
                f"{did_you_mean(name, names)}"
            )
            raise InvalidInputError(msg)
        if names[name] in set_by:
            msg = f"{flag}: {name} and {set_by[names[name]]} set the same; keep one of them"
            raise InvalidInputError(msg)
        set_by[names[name]] = name
    return values


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    is_file = not text.lstrip().startswith("{")
    try:
        content = json.loads(Path(text).read_text("utf-8") if is_file else text)
    except OSError as error:
        msg = f"--params: {text!r} cannot be read: {error}"
        raise UnreadableSourceError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"--params: {text!r} is no JSON object of parameter names to values: {error}"
        raise InvalidInputError(msg) from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        msg = f"--params: {text!r}: expected a JSON object of parameter names to values, got {kind}"
        raise InvalidInputError(msg)
    return _flat(content, text)


def _flat(content: dict[str, Any], text: str) -> dict[str, Any]:
    """Return parameters with those of LightGBM among them, which may stand in a table of theirs."""
    own = {name: value for name, value in content.items() if name != "params"}
    inner = content.get("params") or {}
    twice = sorted(own.keys() & inner) if isinstance(inner, dict) else ["params"]
    if twice:
        msg = f"--params: {text!r}: expected an object in params, and each name once: {twice}"
        raise InvalidInputError(msg)
    return own | inner


def _named_values(texts: Sequence[str]) -> dict[str, Any]:
    """Return ``["num_leaves=7", "metric=ndcg"]`` as a dict; values are read as JSON, else text."""
    found: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not (name and separator and value.strip()) or name in found:
            msg = f"--param: expected NAME=VALUE, each name once, got {text!r}"
            raise InvalidInputError(msg)
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value.strip()
    return found
