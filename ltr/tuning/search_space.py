"""Which parameters are searched, between which bounds, and how they become a ranker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from ..ranker import Ranker

    Space = Mapping[str, BaseDistribution]

FIXED: Final = ("clip", "truncation_level")
"""Parameters that the criterion itself depends on."""

_WITH_PRIORS: Final = frozenset({"auto", "click_model", "ips"})


def default_space(debias: str) -> dict[str, BaseDistribution]:
    """Return the parameters that are searched by default, for a mode of `Ranker`.

    Trees: number, size, step, rows of a leaf, L2 and share of features. In modes with labels by
    document also how far these are shrunk (`prior_exposure`, and `prior_strength` where a click
    model has a prior by features).
    """
    from optuna.distributions import FloatDistribution, IntDistribution

    space: dict[str, BaseDistribution] = {
        "n_estimators": IntDistribution(30, 500, log=True),
        "learning_rate": FloatDistribution(0.01, 0.3, log=True),
        "num_leaves": IntDistribution(3, 63, log=True),
        "min_data_in_leaf": IntDistribution(5, 500, log=True),
        "lambda_l2": FloatDistribution(1e-3, 100.0, log=True),
        "feature_fraction": FloatDistribution(0.3, 1.0),
    }
    if debias in _WITH_PRIORS:
        space["prior_exposure"] = FloatDistribution(0.5, 32.0, log=True)
    if debias in _WITH_PRIORS - {"ips"}:
        space["prior_strength"] = FloatDistribution(0.5, 32.0, log=True)
    return space


def checked_space(space: Any, ranker: Ranker) -> dict[str, BaseDistribution]:
    """Return the space given, or the default one; InvalidInputError if it cannot be searched."""
    from optuna.distributions import BaseDistribution

    if space is None:
        return default_space(ranker.debias)
    if not isinstance(space, Mapping) or not space:
        msg = f"space: expected a dict of parameter to optuna distribution, got {space!r}"
        raise InvalidInputError(msg)
    for name, distribution in space.items():
        if not isinstance(distribution, BaseDistribution):
            msg = (
                f"space: {name!r} needs a distribution such as optuna.distributions."
                f"FloatDistribution(0.1, 1.0), got {distribution!r}"
            )
            raise InvalidInputError(msg)
        if name in FIXED:
            msg = f"space: {name!r} cannot be searched, as the criterion depends on it"
            raise InvalidInputError(msg)
    return dict(space)


def described(space: Space) -> dict[str, str]:
    """Return a space as text that is equal for equal spaces."""
    from optuna.distributions import distribution_to_json

    return {
        name: json.dumps(json.loads(distribution_to_json(space[name])), sort_keys=True)
        for name in sorted(space)
    }


def ranker_parameters(ranker: Ranker, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters by which a ranker differs when it gets some values.

    Names that are no parameters of `Ranker` are LightGBM's, and go into its `params`.

    >>> from rankloom.ltr import Ranker
    >>> ranker_parameters(Ranker(params={"max_bin": 63}), {"num_leaves": 7, "lambda_l2": 2.0})
    {'num_leaves': 7, 'params': {'max_bin': 63, 'lambda_l2': 2.0}}
    """
    known = ranker.get_params(deep=False)
    changed = {name: value for name, value in values.items() if name in known}
    others = {name: value for name, value in values.items() if name not in known}
    if others:
        changed["params"] = {**(ranker.params or {}), **others}
    return changed


def with_values(ranker: Ranker, values: Mapping[str, Any]) -> Ranker:
    """Return an unfitted copy of a ranker with some values."""
    from sklearn.base import clone

    copy: Any = clone(ranker)
    changed: Ranker = copy.set_params(**ranker_parameters(ranker, values))
    return changed
