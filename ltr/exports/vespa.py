"""A ranker as the JSON that Vespa's ``lightgbm("model.json")`` reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from .trees import Leaf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .trees import Tree

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")
_FIRST: Final = re.compile(r"^(?=[0-9])")


def vespa_names(names: Sequence[str]) -> dict[str, str]:
    """Return a name that Vespa's ranking expressions take for each feature.

    Letters, digits and underscores stay; a run of anything else becomes one underscore.

    Raises
    ------
    InvalidInputError
        If two features would get the same name.

    Examples
    --------
    >>> vespa_names(["price", "bm25(title)", "7d.clicks"])
    {'price': 'price', 'bm25(title)': 'bm25_title_', '7d.clicks': '_7d_clicks'}
    """
    found: dict[str, str] = {}
    for name in names:
        made = _FIRST.sub("_", _NOT_IN_NAMES.sub("_", name))
        other = next((known for known, given in found.items() if given == made), None)
        if other is not None:
            msg = f"features {other!r} and {name!r} would both be {made!r} in Vespa; rename one"
            raise InvalidInputError(msg)
        found[name] = made
    return found


def vespa_json(
    trees: Sequence[Tree], names: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Return the parts of LightGBM's JSON dump that Vespa reads.

    Splits by categories name their texts: an attribute of type string is compared with them.
    See https://docs.vespa.ai/en/ranking/lightgbm.html.
    """
    return {
        "name": "tree",
        "version": "v4",
        "num_class": 1,
        "num_tree_per_iteration": 1,
        "objective": "lambdarank",
        "feature_names": list(vespa_names(names).values()),
        "tree_info": [
            {"tree_index": i, "tree_structure": _node(tree, names, categories)}
            for i, tree in enumerate(trees)
        ],
        "pandas_categorical": [list(categories[name]) for name in names if name in categories],
    }


def _node(
    tree: Tree, names: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    if isinstance(tree, Leaf):
        return {"leaf_value": tree.value}
    children = {
        "left_child": _node(tree.left, names, categories),
        "right_child": _node(tree.right, names, categories),
    }
    if tree.categories is None:
        return {
            "split_feature": tree.feature,
            "threshold": tree.threshold,
            "decision_type": "<=",
            "default_left": tree.missing_left,
            **children,
        }
    return {
        "split_feature": tree.feature,
        "threshold": "||".join(map(str, tree.categories)),
        "decision_type": "==",
        "default_left": False,
        **children,
    }
