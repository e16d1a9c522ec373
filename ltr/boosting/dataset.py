"""What one LightGBM model is trained on: arrays, and the same as a LightGBM dataset."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.threads import load_lightgbm
from ...datasets.pairs.lightgbm_rows import lightgbm_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm
    from numpy.typing import NDArray


MAX_LIST = 10_000
"""Rows of a list at most: LightGBM refuses to rank longer ones."""


@dataclass(frozen=True)
class TrainingData:
    """Arrays for one model, and what was left out of them."""

    X: NDArray[np.float32]  # shape (n, n_features)
    y: NDArray[Any]  # shape (n,)
    group: NDArray[Any]  # shape (q,): rows of each list
    weight: NDArray[np.floating] | None = None  # shape (n,)
    position: NDArray[np.int32] | None = None  # shape (n,)
    # Gain of each whole-number label; None for LightGBM's own
    label_gain: list[float] | None = None
    # Reason -> executions (queries under debias="ips") without a pair to learn from
    left_out: dict[str, int] = field(default_factory=dict)
    split_lists: int = 0  # lists that were longer than `MAX_LIST` and are here in parts


def split_long_lists(data: TrainingData) -> TrainingData:
    """Return the data with lists of more than `MAX_LIST` rows split into parts of equal length.

    Rows go to the parts in turn, so that each part is a sample of the whole list.
    """
    parts = -(-data.group // MAX_LIST)
    if not (parts > 1).any():
        return data
    rows = np.arange(len(data.y)) - np.repeat(np.cumsum(data.group) - data.group, data.group)
    part = np.repeat(np.cumsum(parts) - parts, data.group) + rows % np.repeat(parts, data.group)
    order = np.argsort(part, kind="stable")
    return replace(
        data,
        X=data.X[order],
        y=data.y[order],
        group=np.bincount(part, minlength=int(parts.sum())),
        weight=None if data.weight is None else data.weight[order],
        position=None if data.position is None else data.position[order],
        split_lists=int((parts > 1).sum()),
    )


def neutral_names(names: Sequence[str]) -> list[str]:
    """Return the names that boosters are given: LightGBM refuses such as ``mixpeek://x``.

    Each carries a digest of the real one, so that a model and a list of names in another order
    are found not to belong together.

    >>> neutral_names(["price", "mixpeek://text"])
    ['f0_c2af199c', 'f1_388812af']
    """
    return [
        f"f{i}_{blake2b(name.encode(), digest_size=8).hexdigest()[:8]}"
        for i, name in enumerate(names)
    ]


def lightgbm_dataset(
    data: TrainingData,
    names: Sequence[str],
    categorical: Sequence[str],
    params: Mapping[str, Any],
) -> lightgbm.Dataset:
    """Return the arrays as a LightGBM dataset under neutral feature names.

    `names`, `categorical`: real feature names, and which of them are categorical. `params`:
    LightGBM's, under their main names: they decide on the bins.
    """
    load_lightgbm()
    import lightgbm

    neutral = neutral_names(names)
    return lightgbm.Dataset(
        lightgbm_rows(data.X),
        data.y,
        group=data.group,
        weight=data.weight,
        position=data.position,
        feature_name=neutral,
        categorical_feature=[neutral[list(names).index(n)] for n in categorical] or "auto",
        params=dict(params),
    )


def can_split(train_set: lightgbm.Dataset) -> bool:
    """Whether a feature has two bins: without one, LightGBM fails under custom objectives.

    Builds the dataset.
    """
    built = train_set.construct()
    return any(built.feature_num_bin(i) > 1 for i in range(built.num_feature()))
