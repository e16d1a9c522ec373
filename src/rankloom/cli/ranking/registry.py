"""`rankloom promote`, `rollback` and `versions`: which model of a registry is served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import Json, option
from ..output import counted, say, show, show_json, table

if TYPE_CHECKING:
    from ...ltr import Promotion

Model = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="Folder that `rankloom train` wrote and `rankloom compare` let pass.",
    ),
]
Registry = Annotated[
    Path, typer.Argument(metavar="REGISTRY", help="Folder that models were promoted to.")
]
Target = Annotated[
    Path,
    option("--to", "REGISTRY", "Folder of the versions; made with the first one."),
]
Keep = Annotated[
    int,
    option("--keep", "N", "Versions that stay.", show_default=True, min=2),
]
Force = Annotated[
    str | None,
    option("--force", "REASON", "Promote without a gate; the reason is recorded."),
]
To = Annotated[
    str | None,
    option(
        "--to",
        "VERSION",
        "Name of a version, or its beginning or end.",
        show_default="the one before the current one",
    ),
]


def promote(
    model: Model, *, to: Target, keep: Keep = 5, force: Force = None, json: Json = False
) -> None:
    """Make a model the current one of a registry, if it passed the gate against that.

    The folder of the model has to hold the verdict of `rankloom compare` against REGISTRY/current
    (for the first one against `production`), of this very model. It is copied as a version,
    checked, and made current by replacing one link: a service that runs with `--ranker
    NAME=REGISTRY/current` loads it within seconds, and serves the one before until then.

    **Example**: `rankloom promote model --to registry`
    """
    from ...ltr import ModelRegistry

    done = ModelRegistry(to, keep=keep).promote(model, force=force)
    if json:
        show_json(_document(done))
        return
    if not done.changed:
        say(f"{model}: is the current version {done.version.name} already; nothing was changed")
        return
    show([f"current: {done.version.name}", f"before: {done.previous or 'none'}"])
    if done.removed:
        say(f"removed: {counted(len(done.removed), 'old version')} ({', '.join(done.removed)})")


def rollback(registry: Registry, *, to: To = None, json: Json = False) -> None:
    """Make an older version of a registry the current one again.

    Its files are checked first; the link is replaced in one step, as by `rankloom promote`.

    **Example**: `rankloom rollback registry`
    """
    from ...ltr import ModelRegistry

    done = ModelRegistry(registry).rollback(to)
    if json:
        show_json(_document(done))
        return
    if not done.changed:
        say(f"{done.version.name} is the current version already; nothing was changed")
        return
    show([f"current: {done.version.name}", f"before: {done.previous or 'none'}"])


def versions(registry: Registry, *, json: Json = False) -> None:
    """List the versions of a registry, the latest first, with what let each of them pass.

    **Example**: `rankloom versions registry`
    """
    from ...ltr import ModelRegistry

    opened = ModelRegistry(registry)
    found, current = opened.versions(), opened.current
    name = None if current is None else current.name
    if json:
        show_json(
            {"current": name, "versions": [each.to_dict() for each in found]},
        )
        return
    rows = [
        ["*" if each.name == name else "", each.name, each.promoted, each.passed_by]
        for each in found
    ]
    show(table(["", "version", "promoted", "passed"], rows, left=4))


def _document(done: Promotion) -> dict[str, Any]:
    return {
        "current": done.version.to_dict(),
        "before": done.previous,
        "changed": done.changed,
        "removed": list(done.removed),
    }
