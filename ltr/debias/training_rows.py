"""From pairs to training data: whether a model can be learnt, and which rows it is trained on.

What is left out of training is decided here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...datasets.pairs.array_storage import gathered, release
from ...datasets.pairs.row_blocks import row_blocks
from ...errors import InvalidInputError, NoExposuresError
from ..boosting.dataset import TrainingData, split_long_lists
from ..exposure.query_documents import group_sizes
from .relevance import level_gains, soft_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..exposure.feature_variants import FeatureVariants

MAX_GRADE = 30

MAX_VARIANTS = 16
"""Feature values of one (query, document) that a ranker is trained on at most."""

EXPECTED_SCORE = "(expected score)"
"""Last column of `Ranker.contributions`, after the features."""

NO_POSITIVE = "no positive grade"
EQUAL_GRADES = "equal grades throughout"


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
            "pairs: every row has the same feature values, so no ranker can distinguish documents; "
            "give features that differ between documents"
        )
        raise InvalidInputError(msg)
    release(pairs.X, pairs.y, pairs.clicked, pairs.position, pairs.weight)


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
    low, high, whole = np.inf, -np.inf, True
    for block in row_blocks(pairs):
        y = pairs.y[block.rows]
        low, high = np.minimum(low, float(y.min())), np.maximum(high, float(y.max()))
        whole &= bool((np.floor(y) == y).all())
    if not (low >= 0 and high <= MAX_GRADE and whole):
        msg = f"pairs.y: grades must be whole numbers from 0 to {MAX_GRADE}, got {low} to {high}"
        raise InvalidInputError(msg)
    if high == 0:
        msg = (
            "pairs: no row has a positive grade (no click at all), so there is nothing to learn "
            "from; check the grades table and that the log holds clicks"
        )
        raise InvalidInputError(msg)
    if bool(pairs.clicked.all()) and pairs.has_positions:
        msg = (
            "pairs: every shown document was clicked, so the log does not say what was shown and "
            "not clicked; log impressions, or give load_pairs an impressions table"
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
    """Return the executions as they are, but for logged ones without a pair to learn from.

    Judged lists are all used, as by LightGBM itself: they are few, and their rows count in the
    histograms. Logged executions without a click are many and only cost time.
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
    uses_all = not (alike.any() and pairs.has_positions)
    used = pairs if uses_all else pairs.take(~alike, gathered)
    data = TrainingData(
        X=used.X,
        y=used.y,
        group=used.group,
        weight=None if (used.weight == 1).all() else used.weight,
        position=used.position if position else None,
        left_out={} if uses_all else {r: count for r, count in left_out.items() if count},
    )
    return split_long_lists(data)


@dataclass(frozen=True)
class VariantLists:
    """Lists of variants to train on, each with every document of one query at most once."""

    variant: NDArray[np.int64]  # shape (r,)
    list_number: NDArray[np.int64]  # shape (r,): ascending

    @property
    def group(self) -> NDArray[np.int64]:
        """Rows of each list."""
        return group_sizes(self.list_number)

    def of(self, chosen: NDArray[np.bool_]) -> VariantLists:
        """Return the lists without other variants than the chosen; `chosen` has shape (v,)."""
        rows = chosen[self.variant]
        return VariantLists(self.variant[rows], self.list_number[rows])


def variant_lists(variants: FeatureVariants, seed: int) -> VariantLists:
    """Return lists that show every document of a query with one of its variants at a time.

    A query has as many lists as its documents have variants in the mean, up to `MAX_VARIANTS`; the
    variants of a document take turns, in random order. A single list of all variants would not do:
    lambdarank looks at the pairs with the first documents by score, and these would all be variants
    of a few. With one variant each there is one list, of the documents in their order.
    """
    order = np.arange(len(variants))
    if variants.varying:
        shuffled = np.random.default_rng(seed).permutation(len(variants))
        order = shuffled[np.argsort(variants.document[shuffled], kind="stable")]
    first = np.searchsorted(variants.document, np.arange(len(variants.documents)))
    count = np.diff(np.append(first, len(variants)))
    query = variants.documents.query
    mean = -(-np.bincount(query, weights=count) // np.maximum(np.bincount(query), 1))
    repeats = np.minimum(mean, MAX_VARIANTS).astype(np.int64)[query]
    turn = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    variant = order[np.repeat(first, repeats) + turn % np.repeat(count, repeats)]
    number = np.repeat(query * MAX_VARIANTS, repeats) + turn
    by_list = np.argsort(number, kind="stable")
    return VariantLists(variant[by_list], number[by_list])


def _with_mean_one(weight: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(weight / weight.mean(), dtype=np.float32)


def document_data(
    X: NDArray[np.float32],
    relevance: NDArray[np.float64],
    group: NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
) -> TrainingData:
    """Return documents with soft labels, without the queries whose documents are all alike.

    `weight`, shape (rows,): equal within a list; only ratios count.
    """
    labels = soft_labels(relevance)
    starts = np.cumsum(group) - group
    differs = np.maximum.reduceat(labels, starts) > np.minimum.reduceat(labels, starts)
    if not differs.any():
        msg = "pairs: no query has two documents of different relevance, so there is no pair"
        raise InvalidInputError(msg)
    rows = np.repeat(differs, group)
    alike = int((~differs).sum())
    data = TrainingData(
        X=np.ascontiguousarray(X[rows]),
        y=labels[rows],
        group=group[differs],
        weight=None if weight is None else _with_mean_one(weight[rows]),
        label_gain=level_gains(),
        left_out={EQUAL_GRADES: alike} if alike else {},
    )
    return split_long_lists(data)
