"""A ranker written for another runtime, with what its user has to know there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from ..._shared.atomic_files import write_whole
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, did_you_mean
from .trees import trees_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ranker import Ranker

ExportFormat = Literal[
    "onnx", "treelite", "vespa", "elasticsearch-ltr", "opensearch-ltr", "lightgbm"
]
"""What `Ranker.export` writes."""

_PLUGIN_NOTE: Final = (
    "the plugin takes a feature without a value for 0, unless its feature set says otherwise: "
    "missing values rank as 0 does"
)
_FALL_BACK_NOTE: Final = (
    "this ranker serves document_score where it is given (see choice_); the exported model has the "
    "learnt scores only"
)
_MEMORY_NOTE: Final = "the memory of queries is not in the exported model"


@dataclass(frozen=True)
class Exported:
    """What `Ranker.export` wrote.

    Attributes
    ----------
    path : Path
    format : str
    feature_names : dict of str to str
        Names of the features in the exported model by their own; its inputs are in this order.
    categories : dict of str to tuple of str
        Categorical features, and their categories in the order of their codes.
    notes : tuple of str
        Where the exported model differs from the ranker.
    """

    path: Path
    format: str
    feature_names: dict[str, str]
    categories: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        renamed = {name: new for name, new in self.feature_names.items() if name != new}
        rows = [(new, name) for name, new in renamed.items()]
        return Summary(
            f"Exported: {self.format}, {len(self.feature_names)} features, {self.path}",
            [Table.of(["in the model", "feature"], rows)],
            self.notes,
        )


def export_ranker(
    ranker: Ranker, export_format: ExportFormat, path: str | Path, *, name: str = "rankloom"
) -> Exported:
    """Write a fitted ranker for another runtime, as `Ranker.export` says."""
    path, names = Path(path), [str(each) for each in ranker.feature_names_in_]
    exported = {each: each for each in names}
    notes = []
    write: Callable[[str], object]
    match export_format:
        case "onnx":
            write = _onnx(ranker, names)
        case "treelite":
            write = _treelite(ranker)
            exported = {each: str(i) for i, each in enumerate(names)}
        case "vespa":
            from .vespa import vespa_json, vespa_names

            exported = vespa_names(names)
            write = _json(vespa_json(trees_of(ranker.booster_), names, ranker.categories_))
        case "elasticsearch-ltr" | "opensearch-ltr":
            from .xgboost_json import plugin_model

            write = _json(plugin_model(trees_of(ranker.booster_), names, name))
            notes.append(_PLUGIN_NOTE)
        case "lightgbm":
            write = _text(ranker.booster_.model_to_string())
            exported = dict(zip(names, ranker.booster_.feature_name(), strict=True))
        case _:
            known = get_args(ExportFormat)
            msg = (
                f"format: expected one of {', '.join(known)}; got {export_format!r}."
                f"{did_you_mean(str(export_format), known)}"
            )
            raise InvalidInputError(msg)
    if ranker.choice_ is not None and ranker.choice_.fall_back:
        notes.append(_FALL_BACK_NOTE)
    if ranker.memory_ is not None:
        notes.append(_MEMORY_NOTE)
    write_whole(path, write)
    return Exported(path, export_format, exported, dict(ranker.categories_), tuple(notes))


def _onnx(ranker: Ranker, names: list[str]) -> Callable[[str], object]:
    from .onnx_graph import onnx_model

    model = onnx_model(trees_of(ranker.booster_), names, ranker.categories_)
    return lambda path: Path(path).write_bytes(model.SerializeToString())


def _treelite(ranker: Ranker) -> Callable[[str], object]:
    try:
        import treelite
    except ImportError as error:
        msg = "format: treelite is not installed; `pip install 'rankloom[export]'` adds it"
        raise InvalidInputError(msg) from error
    trees_of(ranker.booster_)  # refuses what is no sum of trees
    model = treelite.frontend.from_lightgbm(ranker.booster_)
    serialize: Callable[[str], object] = model.serialize
    return serialize


def _json(document: dict[str, Any]) -> Callable[[str], object]:
    return _text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def _text(text: str) -> Callable[[str], object]:
    return lambda path: Path(path).write_text(text, encoding="utf-8")
