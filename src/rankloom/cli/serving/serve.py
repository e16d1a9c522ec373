"""`rankloom serve`: the HTTP service, until a signal ends it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from ...service.settings import ListenSettings, ServiceSettings
from ..options import option
from ..output import show
from .setting_sources import PREFIX, known_settings, read_settings, with_flags

TABLES = (ListenSettings, ServiceSettings)

Config = Annotated[
    Path | None, option("--config", "TOML", "File of settings, also named by RANKLOOM_CONFIG.")
]


@with_flags(*TABLES)
def serve(*, config: Config = None, **flags: Any) -> None:
    """Record interactions over HTTP, learn from them, serve weights and rankings.

    Prints one line with the address when it is ready, and logs one line of JSON per request on
    stderr. After SIGTERM it finishes the requests in progress and ends. It speaks plain HTTP: put
    a proxy that terminates TLS in front, because bearer tokens must not cross a network in clear
    text. The interface is described at /openapi.json.

    A flag such as **--open-days** may also be an environment variable (**RANKLOOM_OPEN_DAYS**) or
    a key in a TOML file (**open_days**); a flag wins over a variable, a variable over the file.
    What may hold a password can be read from a file: **--log-file**, **RANKLOOM_LOG_FILE**,
    **log_file**, and likewise for the state.

    **Example**: `rankloom serve --log sqlite:///log.db --state sqlite:///fusion.db --token-file
    tokens`
    """
    from ...service import serve as run
    from .log_lines import log_to_stderr
    from .process_tuning import tune_process, worker_process

    file = config or os.environ.get(f"{PREFIX}CONFIG")
    found = read_settings(TABLES, flags, os.environ, file)
    listening = ListenSettings(
        **{n: found.pop(n) for n in known_settings(ListenSettings) if n in found}
    )
    settings = ServiceSettings(**found)

    def ready(address: str) -> None:
        tune_process()
        show([f"serving on {address}"])

    if settings.otel:
        from ...service.http.tracing import export_by_otlp

        export_by_otlp()
    with log_to_stderr():
        run(
            settings,
            listening.host,
            listening.port,
            unix_socket=listening.unix_socket,
            ready=ready,
            around=worker_process,
        )
