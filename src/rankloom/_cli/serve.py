"""`rankloom serve`: the HTTP service, until it is told to stop."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from .._service.settings import OPEN_DAYS, PUBLISH_EVERY
from ..errors import InvalidInputError
from .output import show

_MMAP_THRESHOLD: Final = -3
"""Parameter of glibc's mallopt: from which size on blocks are the system's own."""

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
        help="Days, 1 to 36,500, for which late rows still change what is learnt. Memory grows by "
        "some 150 bytes for each document of each list within them; what is older is closed into "
        "sums, and late rows of it are counted, not learnt.",
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

    def ready(address: str) -> None:
        _collect_little()
        _give_memory_back()
        show([f"serving on {address}"])

    with log_to_stderr():
        run(settings, host, port, ready=ready)


def _collect_little() -> None:
    """Search for garbage less, and not among what was there before the first request.

    Requests make few cycles; a search after every 700 objects takes a tenth of the service's time.
    Only where the process is the service's own.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _give_memory_back() -> None:
    """Let the arrays of a renewal go back to the system when they are free, where that is glibc's.

    It would keep blocks of up to 32 MB for the next ones, in each thread's own part of the memory.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 18)


def _named(given: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in given:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder) or name in named:
            msg = f"--ranker: expected NAME=DIR, each name once, got {text!r}"
            raise InvalidInputError(msg)
        named[name] = folder
    return named
