"""`rankloom import mixpeek`: interactions that a service stores, over its HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .import_target import Log, Out, check_target, copy_lines, open_log
from .options import Json, QuarantineFile
from .output import say, show, show_json


def mixpeek(
    url: Annotated[str, typer.Argument(metavar="URL", help="Root of the service: https://HOST.")],
    *,
    log: Log = None,
    out: Out = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            metavar="N",
            help="Namespace to read, and to record into.",
            show_default="the token's; 'default' in the log",
        ),
    ] = None,
    retriever: Annotated[
        str | None,
        typer.Option("--retriever", metavar="R", help="Only its interactions.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="T",
            help="Only what was recorded since (ISO 8601).",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help="Remembers how far the copy has come; an interrupted one goes on from there.",
            show_default=False,
        ),
    ] = None,
    token_env: Annotated[
        str, typer.Option("--token-env", metavar="NAME", help="Variable that holds the token.")
    ] = "MIXPEEK_API_KEY",  # noqa: S107 - the name of a variable, no password
    page_size: Annotated[
        int, typer.Option("--page-size", metavar="N", help="Records an answer, up to 1000.")
    ] = 500,
    requests_per_second: Annotated[
        float, typer.Option("--requests-per-second", metavar="N", help="At most so many.")
    ] = 5.0,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Interaction type beside the built-in ones; may be repeated.",
            show_default=False,
        ),
    ] = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Read interactions from `rankloom serve` or Mixpeek over HTTP, oldest first.

    The bearer token comes from the environment (MIXPEEK_API_KEY) and is sent over https only, or
    to this machine. With --resume and --log, a later run takes what is new since.

    **Example**: `rankloom import mixpeek https://HOST --log sqlite:///log.db --resume copy.json`
    """
    from ..datasets import MixpeekSource
    from ..datasets._quarantine import check_format

    check_target(log, out)
    if quarantine is not None:
        check_format(quarantine)
    source = MixpeekSource(
        url,
        namespace=namespace,
        token_env=token_env,
        retriever_id=retriever,
        since=since,
        types=types or (),
        page_size=page_size,
        requests_per_second=requests_per_second,
    )
    if out is not None:
        report = source.copy_to_parquet(out, resume=resume)
    else:
        with open_log(str(log), namespace, types or ()) as opened:
            report = source.copy_to_log(opened, resume=resume)
    if quarantine is not None:
        report.quarantine.write(quarantine)
    target = str(out or log)
    if json:
        show_json({"target": target, "interactions": report.to_dict()})
    else:
        show(copy_lines(report))
        say(f"interactions -> {target}")
