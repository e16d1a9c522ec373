"""`rankloom serve`: the HTTP service, until a signal ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ...errors import InvalidInputError
from ...service.settings import OPEN_DAYS, PUBLISH_EVERY
from ..options import option
from ..output import show

Host = Annotated[
    str,
    option(
        "--host",
        "H",
        "Address to listen on; put a proxy that terminates TLS in front.",
        show_default=True,
    ),
]
Port = Annotated[
    int,
    option("--port", "P", "Port; 0 picks a free one.", show_default=True, min=0, max=65_535),
]
Log = Annotated[
    str,
    option(
        "--log",
        "URL",
        "Where interactions are stored: sqlite:///file.db or sqlite:////absolute/path.db.",
    ),
]
State = Annotated[
    str,
    option(
        "--state",
        "URL",
        "Where learned fusion is stored: a URL of SQLite, or redis://host:port/db.",
    ),
]
TokenFile = Annotated[
    Path,
    option(
        "--token-file",
        "FILE",
        "Tokens written by `rankloom token new`; changes take effect within a second.",
    ),
]
Rankers = Annotated[
    list[str] | None,
    option(
        "--ranker",
        "NAME=DIR",
        "A trained ranker for /v1/rerank and the name of it there; may be repeated.",
    ),
]
Retention = Annotated[
    float | None,
    option(
        "--retention-days", "N", "Delete interactions older than this.", show_default="keep all"
    ),
]
OpenDays = Annotated[
    float,
    option(
        "--open-days",
        "N",
        "Days, 1 to 36,500, within which late rows change the evidence. Each document of each "
        "list within them takes some 150 bytes of memory; older ones are compacted into sums, and "
        "later rows about them are counted but not learnt.",
        show_default=True,
    ),
]
PublishEvery = Annotated[
    float,
    option(
        "--publish-every",
        "SECONDS",
        "How often learned weights are written to the state, for services that watch it. 0: "
        "only after the start, when channels change, and at the end.",
        show_default=True,
    ),
]
UnixSocket = Annotated[
    Path | None,
    option(
        "--unix-socket",
        "PATH",
        "Listen on a socket of this machine, open to its owner and group, and not on host and "
        "port.",
        show_default="none",
    ),
]
RootPath = Annotated[
    str,
    option(
        "--root-path",
        "PREFIX",
        "Prefix under which a proxy serves it, such as /rank; requests may come with it or not.",
        show_default="none",
    ),
]


def serve(
    *,
    log: Log,
    state: State,
    token_file: TokenFile,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    unix_socket: UnixSocket = None,
    root_path: RootPath = "",
    ranker: Rankers = None,
    retention_days: Retention = None,
    open_days: OpenDays = OPEN_DAYS,
    publish_every: PublishEvery = PUBLISH_EVERY,
) -> None:
    """Record interactions over HTTP, learn from them, serve weights and rankings.

    Prints one line with the address when it is ready, and logs one line of JSON per request on
    stderr. After SIGTERM it finishes the requests in progress and ends. It speaks plain HTTP: put
    a proxy that terminates TLS in front, because bearer tokens must not cross a network in clear
    text. The interface is described at /openapi.json.

    **Example**: `rankloom serve --log sqlite:///log.db --state sqlite:///fusion.db --token-file
    tokens`
    """
    from ...service import ServiceSettings
    from ...service import serve as run
    from .log_lines import log_to_stderr
    from .process_tuning import collect_garbage_less_often, return_freed_memory

    settings = ServiceSettings(
        log=log,
        state=state,
        token_file=token_file,
        rankers=_named(ranker or []),
        retention_days=retention_days,
        open_days=open_days,
        publish_every=publish_every,
        root_path=root_path,
    )

    def ready(address: str) -> None:
        collect_garbage_less_often()
        return_freed_memory()
        show([f"serving on {address}"])

    with log_to_stderr():
        run(settings, host, port, unix_socket=unix_socket, ready=ready)


def _named(given: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in given:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder) or name in named:
            msg = f"--ranker: expected NAME=DIR, each name once, got {text!r}"
            raise InvalidInputError(msg)
        named[name] = folder
    return named
