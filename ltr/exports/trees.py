"""A booster's trees as plain nodes, whatever format they are written in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import lightgbm


class Split(NamedTuple):
    """A node with two children.

    A document goes left if its feature is at most the threshold or, where there are `categories`,
    if its code is one of them.
    """

    feature: int
    threshold: float
    missing_left: bool  # where a missing value goes
    categories: tuple[int, ...] | None
    left: Tree
    right: Tree


class Leaf(NamedTuple):
    """What a tree adds to the score of the documents that end here."""

    value: float


Tree: TypeAlias = Split | Leaf


def trees_of(booster: lightgbm.Booster) -> list[Tree]:
    """Return the trees, whose leaves add up to the raw score.

    Raises
    ------
    InvalidInputError
        If the score is not the sum of the leaves, or 0 counts as missing.
    """
    dump = booster.dump_model()
    if dump["average_output"] or dump["num_tree_per_iteration"] != 1:
        msg = (
            "the model is a random forest or has several classes: its score is no sum over trees; "
            "train with boosting='gbdt' and one output"
        )
        raise InvalidInputError(msg)
    return [_tree(each["tree_structure"]) for each in dump["tree_info"]]


def splits_of(tree: Tree) -> Iterator[Split]:
    """Yield the splits of a tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Split):
            yield node
            waiting += [node.right, node.left]


def float32_at_most(threshold: float) -> np.float32:
    """Return the largest float32 that is no larger: for float32 values the same split.

    Rounded to the nearest one, it would send values in between to the other side.

    Examples
    --------
    >>> float(float32_at_most(0.1)) <= 0.1 < float(np.float32(0.1))
    True
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.float32(threshold)
    # As Python floats: NumPy would compare in float32.
    return rounded if float(rounded) <= threshold else np.nextafter(rounded, np.float32(-np.inf))


def _tree(node: dict[str, Any]) -> Tree:
    # Trees are as deep as LightGBM grew them: with 15 leaves no deeper than 14.
    if "leaf_value" in node and "split_feature" not in node:
        return Leaf(float(node["leaf_value"]))
    children = _tree(node["left_child"]), _tree(node["right_child"])
    if node["decision_type"] == "==":
        codes = tuple(sorted(int(code) for code in str(node["threshold"]).split("||")))
        return Split(node["split_feature"], np.nan, False, codes, *children)
    if node["missing_type"] == "Zero":
        msg = (
            "zero_as_missing: got True, under which 0 and missing values are one; other runtimes "
            "tell them apart. Train without it"
        )
        raise InvalidInputError(msg)
    threshold = float(node["threshold"])
    # Where no value was missing in training, LightGBM takes a missing one for 0.
    missing_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0.0
    return Split(node["split_feature"], threshold, bool(missing_left), None, *children)
