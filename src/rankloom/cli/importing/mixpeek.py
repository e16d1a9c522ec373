"""`rankloom import mixpeek`: interactions that a service has stored, over its HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import Json, QuarantineFile, option
from ..output import say, show, show_json
from .target import Log, Out, check_target, copy_lines, open_log


def mixpeek(
    url: Annotated[str, typer.Argument(metavar="URL", help="Root of the service: https://HOST.")],
    *,
    log: Log = None,
    out: Out = None,
    namespace: Annotated[
        str | None,
        option(
            "--namespace",
            "N",
            "Namespace to read, and to record into.",
            show_default="the token's; 'default' in the log",
        ),
    ] = None,
    retriever: Annotated[
        str | None,
        option("--retriever", "R", "Only its interactions."),
    ] = None,
    since: Annotated[
        str | None,
        option("--since", "T", "Only what was recorded since (ISO 8601)."),
    ] = None,
    resume: Annotated[
        Path | None,
        option("--resume", "FILE", "Checkpoint file: an interrupted copy continues from there."),
    ] = None,
    token_env: Annotated[
        str, option("--token-env", "NAME", "Variable that holds the token.", show_default=True)
    ] = "MIXPEEK_API_KEY",  # noqa: S107 - the name of a variable, no password
    page_size: Annotated[
        int, option("--page-size", "N", "Records per response, at most 1000.", show_default=True)
    ] = 500,
    requests_per_second: Annotated[
        float, option("--requests-per-second", "N", "Limit on the request rate.", show_default=True)
    ] = 5.0,
    types: Annotated[
        list[str] | None,
        option(
            "--type", "TYPE", "Interaction type in addition to the built-in ones; may be repeated."
        ),
    ] = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Read interactions from `rankloom serve` or Mixpeek over HTTP, oldest first.

    The bearer token comes from the environment (MIXPEEK_API_KEY) and is sent over https only, or
    to this machine. With --resume and --log, a later run reads only what is new.

    **Example**: `rankloom import mixpeek https://HOST --log sqlite:///log.db --resume copy.json`
    """
    from ...datasets import MixpeekSource
    from ...datasets.reading.quarantine import check_format

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
