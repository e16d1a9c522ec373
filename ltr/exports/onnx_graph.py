"""A ranker as an ONNX graph: float32 features in, scores out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...errors import InvalidInputError
from .trees import Leaf, Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx

    from .trees import Tree

OPSET: Final = 21
TREES_OPSET: Final = 5
"""Of ai.onnx.ml: the first one with sets of categories; onnxruntime reads it from 1.20 on."""

IR_VERSION: Final = 10

_AT_MOST, _MEMBER = 0, 6
_SUM = 1


class _Nodes:
    """The attributes of one TreeEnsemble, filled tree by tree."""

    def __init__(self) -> None:
        self.roots: list[int] = []
        self.features: list[int] = []
        self.modes: list[int] = []
        self.splits: list[float] = []
        self.missing_left: list[int] = []
        self.children: tuple[list[int], list[int]] = ([], [])
        self.leaf_children: tuple[list[int], list[int]] = ([], [])
        self.members: list[float] = []
        self.leaves: list[float] = []

    def add_tree(self, tree: Tree) -> None:
        """Append a tree; members of sets have to come in the order of their nodes."""
        if isinstance(tree, Leaf):  # there is no tree without a split
            tree = Split(0, 0.0, False, None, tree, tree)
        self.roots.append(len(self.modes))
        self._add_split(tree)

    def _add_split(self, split: Split) -> int:
        at = len(self.modes)
        is_set = split.categories is not None
        self.features.append(split.feature)
        self.modes.append(_MEMBER if is_set else _AT_MOST)
        self.splits.append(0.0 if is_set else split.threshold)
        self.missing_left.append(int(split.missing_left))
        if split.categories is not None:
            self.members += [*map(float, split.categories), np.nan]
        for side in (*self.children, *self.leaf_children):
            side.append(0)
        given = zip(self.children, self.leaf_children, (split.left, split.right), strict=True)
        for children, leaf_children, child in given:
            leaf_children[at] = int(isinstance(child, Leaf))
            children[at] = self._add_child(child)
        return at

    def _add_child(self, child: Tree) -> int:
        if isinstance(child, Split):
            return self._add_split(child)
        self.leaves.append(child.value)
        return len(self.leaves) - 1

    def attributes(self) -> dict[str, Any]:
        """Return what `onnx.helper.make_node` takes."""
        from onnx import TensorProto, helper

        def tensor(name: str, values: Sequence[float], kind: int = TensorProto.DOUBLE) -> Any:
            return helper.make_tensor(name, kind, [len(values)], values)

        members = {"membership_values": tensor("members", self.members)} if self.members else {}
        return {
            "n_targets": 1,
            "aggregate_function": _SUM,
            "post_transform": 0,
            "tree_roots": self.roots,
            "nodes_featureids": self.features,
            "nodes_modes": tensor("modes", self.modes, TensorProto.UINT8),
            "nodes_splits": tensor("splits", self.splits),
            "nodes_missing_value_tracks_true": self.missing_left,
            "nodes_truenodeids": self.children[0],
            "nodes_falsenodeids": self.children[1],
            "nodes_trueleafs": self.leaf_children[0],
            "nodes_falseleafs": self.leaf_children[1],
            "leaf_targetids": [0] * len(self.leaves),
            "leaf_weights": tensor("leaves", self.leaves),
            **members,
        }


def onnx_model(
    trees: Sequence[Tree], names: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> onnx.ModelProto:
    """Return a graph: ``features`` of shape (n, features) in, ``score`` of shape (n,) out.

    Both are float32; thresholds and sums are float64, as LightGBM's are. A missing value is NaN and
    a category its code. The metadata name the features, and the categories in order of their codes.

    Raises
    ------
    InvalidInputError
        If onnx is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError as error:
        msg = "format: onnx is not installed; `pip install 'rankloom[export]'` adds it"
        raise InvalidInputError(msg) from error

    ensemble = _Nodes()
    for tree in trees:
        ensemble.add_tree(tree)
    nodes = [
        helper.make_node("Cast", ["features"], ["values"], to=TensorProto.DOUBLE),
        helper.make_node(
            "TreeEnsemble", ["values"], ["sums"], domain="ai.onnx.ml", **ensemble.attributes()
        ),
        helper.make_node("Cast", ["sums"], ["rounded"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["rounded", "flat"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "rankloom ranker",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(names)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("flat", TensorProto.INT64, [1], [-1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="rankloom"
    )
    helper.set_model_props(
        model,
        {
            "features": json.dumps(list(names)),
            "categories": json.dumps({name: list(each) for name, each in categories.items()}),
        },
    )
    checker.check_model(model)
    return model
