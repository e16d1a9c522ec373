"""`rankloom serve`: the HTTP service, until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._service.settings import OPEN_DAYS, PUBLISH_EVERY
from ..errors import InvalidInputError
from .output import show

Host = Annotated[
    str,
    typer.Option("--host", metavar="H", help="Address to listen on; a proxy in front speaks TLS."),
]
Port = Annotated[
    int,
    typer.Option("--port", metavar="P", min=0, max=65_535, help="Port; 0 picks a free one."),
]
Log = Annotated[
    str,
    typer.Option(
        "--log",
        metavar="URL",
        help="Where interactions are kept: sqlite:///file.db or sqlite:////absolute/path.db.",
        show_default=False,
    ),
]
State = Annotated[
    str,
    typer.Option(
        "--state",
        metavar="URL",
        help="Where learned fusion is kept: a URL of SQLite, or redis://host:port/db.",
        show_default=False,
    ),
]
TokenFile = Annotated[
    Path,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Tokens, as `rankloom token new` writes them; changes count within a second.",
        show_default=False,
    ),
]
Rankers = Annotated[
    list[str] | None,
    typer.Option(
        "--ranker",
        metavar="NAME=DIR",
        help="A trained ranker that /v1/rerank may name; give it once for each.",
        show_default=False,
    ),
]
Retention = Annotated[
    float | None,
    typer.Option(
        "--retention-days",
        metavar="N",
        help="Delete interactions older than this.",
        show_default="keep all",
    ),
]
OpenDays = Annotated[
    float,
    typer.Option(
        "--open-days",
        metavar="N",
        help="Days for which late rows still change what is learnt. Memory grows by some 450 bytes "
        "for each document of each list within them; what is older is closed into sums, and late "
        "rows of it are counted, not learnt.",
    ),
]
PublishEvery = Annotated[
    float,
    typer.Option(
        "--publish-every",
        metavar="SECONDS",
        help="Put learned weights into the state so often, for services that watch it. 0: only "
        "after the start, when channels change, and at the end.",
    ),
]


def serve(
    *,
    log: Log,
    state: State,
    token_file: TokenFile,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    ranker: Rankers = None,
    retention_days: Retention = None,
    open_days: OpenDays = OPEN_DAYS,
    publish_every: PublishEvery = PUBLISH_EVERY,
) -> None:
    """Record interactions by HTTP, learn from them, serve weights and rankings.

    Prints one line with the address when it is ready, and logs one line of JSON a request on
    stderr. SIGTERM lets what is in work finish. It speaks plain HTTP: put a proxy that speaks TLS
    in front, for bearer tokens must not cross a network in clear text. The interface is described
    at /openapi.json.

    **Example**: `rankloom serve --log sqlite:///log.db --state sqlite:///fusion.db --token-file
    tokens`
    """
    from ..service import ServiceSettings
    from ..service import serve as run
    from ._service_log import log_to_stderr

    settings = ServiceSettings(
        log=log,
        state=state,
        token_file=token_file,
        rankers=_named(ranker or []),
        retention_days=retention_days,
        open_days=open_days,
        publish_every=publish_every,
    )
    with log_to_stderr():
        run(settings, host, port, ready=lambda address: show([f"serving on {address}"]))


def _named(given: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in given:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder) or name in named:
            msg = f"--ranker: expected NAME=DIR, each name once, got {text!r}"
            raise InvalidInputError(msg)
        named[name] = folder
    return named
