"""`rankloom export ranker`: a trained model in, a file for another runtime out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ..options import Json, option
from ..output import counted, say, show, show_json

if TYPE_CHECKING:
    from ...ltr.exports.export import ExportFormat

Model = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `rankloom train` wrote.")]
Out = Annotated[Path, option("--out", "FILE", "File to write; one that is there is replaced.")]
Format = Annotated[
    str,
    option(
        "--format",
        "NAME",
        "`onnx`, `treelite`, `vespa`, `elasticsearch-ltr`, `opensearch-ltr` or `lightgbm`.",
    ),
]
Name = Annotated[
    str, option("--name", "NAME", "Name of the model in a search engine's learning-to-rank plugin.")
]


def ranker(
    model: Model,
    *,
    out: Out,
    format: Format = "onnx",  # noqa: A002
    name: Name = "rankloom",
    json: Json = False,
) -> None:
    """Write a trained ranker for another runtime or a search engine.

    `onnx` and `treelite` need `pip install 'rankloom[export]'`.

    **Example**: `rankloom export ranker model --format opensearch-ltr --out model.json`
    """
    from ...ltr import Ranker

    exported = Ranker.load(model).export(cast("ExportFormat", format), out, name=name)
    if json:
        show_json(
            {
                "path": str(out),
                "format": exported.format,
                "feature_names": exported.feature_names,
                "categories": {each: list(v) for each, v in exported.categories.items()},
                "notes": list(exported.notes),
            }
        )
        return
    renamed = [f"{own} is {new}" for own, new in exported.feature_names.items() if own != new]
    for line in (*(f"note: {note}" for note in exported.notes), *renamed):
        show([line])
    say(f"{counted(len(exported.feature_names), 'feature')} -> {out}")
