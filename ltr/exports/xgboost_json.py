"""A ranker as XGBoost's dump of trees, which learning-to-rank plugins of search engines read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...errors import InvalidInputError
from .trees import Leaf, float32_at_most, splits_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .trees import Tree

MODEL_TYPE: Final = "model/xgboost+json"


def below(threshold: float) -> float:
    """Return t such that x < t where x is at most the threshold, for all float32 x but the largest.

    LightGBM compares by x <= threshold in float64, XGBoost by x < t in float32.

    Examples
    --------
    >>> below(0.5) > 0.5, float(np.float32(0.5)) < below(0.5)
    (True, True)
    """
    with np.errstate(over="ignore"):
        next_one = np.nextafter(float32_at_most(threshold), np.float32(np.inf))
    # JSON has no infinity.
    return float(min(next_one, np.finfo(np.float32).max))


def xgboost_dump(trees: Sequence[Tree], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the trees as `xgboost.Booster.get_dump(dump_format="json")` has them.

    Raises
    ------
    InvalidInputError
        If a split is by categories, which this format has not.
    """
    _refuse_categories(trees, names)
    return [_TreeDump(names).node(tree) for tree in trees]


def plugin_model(trees: Sequence[Tree], names: Sequence[str], model_name: str) -> dict[str, Any]:
    """Return the body that ``POST _ltr/_featureset/NAME/_createmodel`` takes.

    The plugins of Elasticsearch and OpenSearch read the same.
    """
    model = {"type": MODEL_TYPE, "definition": xgboost_dump(trees, names)}
    return {"model": {"name": model_name, "model": model}}


class _TreeDump:
    """Numbers the nodes of one tree as XGBoost does: of siblings the right one comes next."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._used = names, 1

    def node(self, tree: Tree, number: int = 0, depth: int = 0) -> dict[str, Any]:
        """Return a node and all below it."""
        if isinstance(tree, Leaf):
            return {"nodeid": number, "leaf": tree.value}
        yes, no = self._used, self._used + 1
        self._used += 2
        children = [
            self.node(tree.left, yes, depth + 1),
            self.node(tree.right, no, depth + 1),
        ]
        return {
            "nodeid": number,
            "depth": depth,
            "split": self._names[tree.feature],
            "split_condition": below(tree.threshold),
            "yes": yes,
            "no": no,
            "missing": yes if tree.missing_left else no,
            "children": children,
        }


def _refuse_categories(trees: Sequence[Tree], names: Sequence[str]) -> None:
    splits = (split for tree in trees for split in splits_of(tree))
    found = {names[split.feature] for split in splits if split.categories is not None}
    if found:
        msg = (
            "format: this one has no splits by categories, and the model splits by "
            f"{sorted(found)}; export it as 'onnx', 'treelite' or 'vespa', or train without these"
        )
        raise InvalidInputError(msg)
