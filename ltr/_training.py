"""From pairs to a booster: which rows teach, under which labels, with which parameters.

What is left out of training is decided here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInputError, NoExposuresError
from .relevance import ips_relevance, level_gains, soft_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm
    from numpy.typing import NDArray

    from ..datasets.training_pairs import TrainingPairs

HIGHEST_GRADE = 30

EXPECTED_SCORE = "(expected score)"
"""Last column of `Ranker.contributions`, beside the features."""

NO_POSITIVE = "no positive grade"
EQUAL_GRADES = "equal grades throughout"


@dataclass(frozen=True)
class TrainingData:
    """Arrays for one lambdarank, and what was left out of them.

    Attributes
    ----------
    left_out : dict of str to int
        Reason -> executions (queries under debias="ips") without a pair to learn from.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    group: NDArray[Any]
    weight: NDArray[np.floating] | None = None
    position: NDArray[np.int32] | None = None
    label_gain: list[float] | None = None
    left_out: dict[str, int] = field(default_factory=dict)


def neutral_names(names: Sequence[str]) -> list[str]:
    """Return the names that boosters are given: LightGBM refuses such as ``mixpeek://x``.

    Each carries a digest of the real one, so that a model and a list of names in another order
    are found not to belong together.

    Examples
    --------
    >>> neutral_names(["price", "mixpeek://text"])
    ['f0_c2af199c', 'f1_388812af']
    """
    return [
        f"f{i}_{blake2b(name.encode(), digest_size=8).hexdigest()[:8]}"
        for i, name in enumerate(names)
    ]


def check_pairs(pairs: TrainingPairs) -> None:
    """Raise where no ranker can be learnt from the pairs, saying why."""
    if pairs.group.min(initial=1) < 1 or int(pairs.group.sum()) != len(pairs):
        msg = f"pairs.group: sizes must be at least 1 and sum to {len(pairs)} rows"
        raise InvalidInputError(msg)
    if len(pairs) == 0 or pairs.n_executions < 2:
        msg = (
            f"pairs: {len(pairs)} rows in {pairs.n_executions} executions; "
            "training needs at least two executions"
        )
        raise InvalidInputError(msg)
    if pairs.X.shape[1] == 0:
        msg = "pairs: there is no feature; give load_pairs a features table or builtin_features"
        raise InvalidInputError(msg)
    if not pairs.weight.any():
        msg = "pairs.weight: every weight is 0, so no execution counts; give a longer half_life"
        raise InvalidInputError(msg)
    _check_names(pairs.feature_names)
    _check_grades(pairs)
    if _all_rows_equal(pairs.X):
        msg = (
            "pairs: every row has the same feature values, so no document can be told from "
            "another; give features that differ between documents"
        )
        raise InvalidInputError(msg)


def _check_names(names: Sequence[str]) -> None:
    repeated = [name for name, count in Counter([*names, EXPECTED_SCORE]).items() if count > 1]
    if repeated:
        msg = f"pairs.feature_names: {repeated[0]!r} occurs more than once; rename one"
        raise InvalidInputError(msg)
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        msg = f"pairs.feature_names: a name is no valid text ({error}); rename it"
        raise InvalidInputError(msg) from error


def _check_grades(pairs: TrainingPairs) -> None:
    low, high = float(pairs.y.min()), float(pairs.y.max())
    if not (low >= 0 and high <= HIGHEST_GRADE and (np.floor(pairs.y) == pairs.y).all()):
        msg = (
            f"pairs.y: grades must be whole numbers from 0 to {HIGHEST_GRADE}, got {low} to {high}"
        )
        raise InvalidInputError(msg)
    if high == 0:
        msg = (
            "pairs: no row has a positive grade (no click at all), so there is nothing to learn "
            "from; check the grades table and that the log holds clicks"
        )
        raise InvalidInputError(msg)
    if bool(pairs.clicked.all()) and pairs.has_positions:
        msg = (
            "pairs: every shown document was clicked, so nothing says what was shown and passed "
            "over; log impressions, or give load_pairs an impressions table"
        )
        raise NoExposuresError(msg)


def _all_rows_equal(X: NDArray[np.float32], block: int = 4096) -> bool:
    first = X[0]
    missing = np.isnan(first)
    for start in range(0, len(X), block):
        rows = X[start : start + block]
        if not ((rows == first) | (np.isnan(rows) & missing)).all():
            return False
    return True


def session_data(pairs: TrainingPairs, *, position: bool) -> TrainingData:
    """Return the executions as they are, without those shown ones that hold no pair to learn from.

    Judged lists all stay, as in LightGBM's own use: there they are few, and their rows count in
    the histograms. Logged executions without a click are many and only cost time.
    """
    starts = pairs.offsets[:-1]
    high = np.maximum.reduceat(pairs.y, starts)
    low = np.minimum.reduceat(pairs.y, starts)
    alike = high == low
    left_out = {
        NO_POSITIVE: int((high == 0).sum()),
        EQUAL_GRADES: int((alike & (high > 0)).sum()),
    }
    if alike.all():
        msg = "pairs: no execution holds two documents of different grades, so there is no pair"
        raise InvalidInputError(msg)
    keeps_all = not (alike.any() and pairs.has_positions)
    kept = pairs if keeps_all else pairs.take(~alike)
    return TrainingData(
        X=kept.X,
        y=kept.y,
        group=kept.group,
        weight=None if (kept.weight == 1).all() else kept.weight,
        position=kept.position if position else None,
        left_out={} if keeps_all else {r: count for r, count in left_out.items() if count},
    )


def ips_data(
    pairs: TrainingPairs,
    examination: NDArray[np.floating],
    *,
    clip: float,
    prior_exposure: float,
    label_gain: Sequence[float] | None,
) -> TrainingData:
    """Return one row for every (query, document), its soft label from gains over examination."""
    found = ips_relevance(
        pairs, examination, clip=clip, prior_exposure=prior_exposure, label_gain=label_gain
    )
    return document_data(pairs.X[found.row], found.relevance, found.group)


def document_data(
    X: NDArray[np.float32], relevance: NDArray[np.float64], group: NDArray[np.int64]
) -> TrainingData:
    """Return documents with soft labels, without the queries whose documents are all alike."""
    labels = soft_labels(relevance)
    starts = np.cumsum(group) - group
    differs = np.maximum.reduceat(labels, starts) > np.minimum.reduceat(labels, starts)
    if not differs.any():
        msg = "pairs: no query has two documents of different relevance, so there is no pair"
        raise InvalidInputError(msg)
    rows = np.repeat(differs, group)
    alike = int((~differs).sum())
    return TrainingData(
        X=np.ascontiguousarray(X[rows]),
        y=labels[rows],
        group=group[differs],
        label_gain=level_gains(),
        left_out={EQUAL_GRADES: alike} if alike else {},
    )


def can_split(train_set: lightgbm.Dataset, params: Mapping[str, Any]) -> bool:
    """Whether a feature has two bins: without one, LightGBM fails under objectives of our own.

    Builds the dataset, with these parameters.
    """
    built = train_set._update_params(dict(params)).construct()  # noqa: SLF001 - as its train does
    return any(built.feature_num_bin(i) > 1 for i in range(built.num_feature()))


def dataset(
    data: TrainingData, names: Sequence[str], categorical: Sequence[str]
) -> lightgbm.Dataset:
    """Return the arrays as a LightGBM dataset under neutral feature names."""
    import lightgbm

    neutral = neutral_names(names)
    return lightgbm.Dataset(
        data.X,
        data.y,
        group=data.group,
        weight=data.weight,
        position=data.position,
        feature_name=neutral,
        categorical_feature=[neutral[list(names).index(n)] for n in categorical] or "auto",
    )
