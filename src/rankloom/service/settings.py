"""The one table of settings: a field is a flag, an environment variable and a key of a TOML file.

`rankloom.cli.serving.setting_sources` makes all three from the fields below, and `rankloom serve
--help` prints them. To add a setting, add a field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping  # noqa: TC003 - annotations are read at run time
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003
from typing import Annotated, Any, Final, NamedTuple, get_type_hints

from .._shared.checks import checked_number
from .._shared.postgres import FORM, is_postgres
from ..errors import InvalidInputError

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+|\*")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){0,8}")

OPEN_DAYS: Final = 35.0
"""Days within which rows change a unit; older units are compacted into sums."""

PUBLISH_EVERY: Final = 60.0
"""Seconds between two snapshots in the store; who watches it looks every 30 by default."""


class Setting(NamedTuple):
    """What is known of a setting beside its name, type and default.

    Attributes
    ----------
    metavar, text, panel : str
        How and where the help describes it.
    low, high : float
        Bounds of a number.
    positive : bool
        Whether the lower bound is outside.
    flag : str, optional
        Where it is not the name with hyphens, as for a value of several.
    unset : str
        What the help says of a default that is None or empty.
    secret : bool
        Whether it may hold a password: then it may be given as a file that holds it, too.
    """

    metavar: str
    text: str
    panel: str
    low: float = 0
    high: float = math.inf
    positive: bool = False
    flag: str | None = None
    unset: str = "none"
    secret: bool = False


_REQUIRED: Final = "Required"
_LISTENING: Final = "Listening"
_LEARNING: Final = "Learning and ranking"
_LIMITS: Final = "Limits and traces"


@dataclass(frozen=True, kw_only=True)
class ListenSettings:
    """Where a service listens; `rankloom serve --help` describes every field.

    Examples
    --------
    >>> ListenSettings().port
    8000
    """

    host: Annotated[
        str,
        Setting("H", "Address; put a proxy that terminates TLS in front.", _LISTENING),
    ] = "127.0.0.1"
    port: Annotated[int, Setting("P", "Port; 0 picks a free one.", _LISTENING, high=65_535)] = 8000
    unix_socket: Annotated[
        str | Path | None,
        Setting(
            "PATH",
            "Socket of this machine, open to its owner and group, instead of host and port.",
            _LISTENING,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What a service is started with; `rankloom serve --help` describes every field.

    Raises
    ------
    InvalidInputError
        Names the field, the value and what was expected.

    Examples
    --------
    >>> settings = ServiceSettings(log="sqlite:///log.db", state="sqlite:///fusion.db",
    ...                            token_file="tokens")
    >>> settings.live_events_per_minute
    600
    """

    log: Annotated[
        str,
        Setting(
            "URL",
            "Where interactions are stored: sqlite:///file.db, sqlite:////absolute/path.db or "
            "postgresql://user@host/database.",
            _REQUIRED,
            secret=True,
        ),
    ]
    state: Annotated[
        str,
        Setting(
            "URL",
            "Where learned fusion is stored: a URL of SQLite or PostgreSQL, or "
            "redis://host:port/db.",
            _REQUIRED,
            secret=True,
        ),
    ]
    token_file: Annotated[
        str | Path,
        Setting(
            "FILE",
            "Tokens written by `rankloom token new`; changes take effect within a second.",
            _REQUIRED,
        ),
    ]
    workers: Annotated[
        int,
        Setting(
            "N",
            "Processes; more than one need log and state in PostgreSQL. One of them learns each "
            "retriever, all serve it.",
            _LISTENING,
            1,
            64,
        ),
    ] = 1
    root_path: Annotated[
        str,
        Setting(
            "PREFIX",
            "Prefix under which a proxy serves it, such as /rank; requests come with it or not.",
            _LISTENING,
        ),
    ] = ""
    cors_origins: Annotated[
        tuple[str, ...],
        Setting(
            "ORIGIN",
            "Origin of pages that may send interactions, such as https://shop.example, with a "
            "token of the role ingest; may be repeated.",
            _LISTENING,
            flag="cors-origin",
        ),
    ] = ()
    rankers: Annotated[
        Mapping[str, str | Path],
        Setting(
            "NAME=DIR",
            "A trained ranker for /v1/rerank and its name there; may be repeated.",
            _LEARNING,
            flag="ranker",
        ),
    ] = field(default_factory=dict)
    rewards: Annotated[
        Mapping[str, float],
        Setting(
            "TYPE=R",
            "Reward of an interaction type in fusion, your own types included, where click is 1 "
            "and purchase 3; for what is enabled from now on; may be repeated.",
            _LEARNING,
            flag="reward",
            unset="built-in types",
        ),
    ] = field(default_factory=dict)
    retention_days: Annotated[
        float | None,
        Setting(
            "N",
            "Delete interactions older than this.",
            _LEARNING,
            high=36_500,
            positive=True,
            unset="keep all",
        ),
    ] = None
    open_days: Annotated[
        float,
        Setting(
            "N",
            "Days within which late rows change the evidence. Each document of each list within "
            "them takes some 150 bytes of memory; older ones are compacted into sums, and later "
            "rows about them are counted but not learnt.",
            _LEARNING,
            1,
            36_500,
        ),
    ] = OPEN_DAYS
    publish_every: Annotated[
        float,
        Setting(
            "SECONDS",
            "How often learned weights are written to the state, for services that watch it. 0: "
            "only after the start, when channels change, and at the end.",
            _LEARNING,
            high=86_400,
        ),
    ] = PUBLISH_EVERY
    otel: Annotated[
        bool,
        Setting(
            "",
            "Write a span for each request, sent by OTLP as OTEL_... variables say; needs the "
            "extra otel.",
            _LIMITS,
        ),
    ] = False
    live_events_per_minute: Annotated[
        int,
        Setting("N", "Live interactions of one user that move weights at once; 429.", _LIMITS, 1),
    ] = 600
    max_connections: Annotated[
        int, Setting("N", "Open connections; more are answered 503.", _LIMITS, 1)
    ] = 512
    max_requests: Annotated[
        int, Setting("N", "Requests in progress; more are answered 503.", _LIMITS, 1)
    ] = 256
    max_bytes_in_flight: Annotated[
        int, Setting("N", "Bytes of bodies in memory; more are answered 503.", _LIMITS, 1)
    ] = 64_000_000
    body_seconds: Annotated[
        float, Setting("S", "Time for a body to arrive, else 408.", _LIMITS, positive=True)
    ] = 20.0
    request_seconds: Annotated[
        float, Setting("S", "Time for an answer, else 503.", _LIMITS, positive=True)
    ] = 30.0
    stop_seconds: Annotated[
        float,
        Setting("S", "Time for requests in progress when it stops.", _LIMITS, positive=True),
    ] = 25.0

    def __post_init__(self) -> None:
        check_bounds(self)
        for name in ("log", "state"):
            if self.workers > 1 and not is_postgres(getattr(self, name)):
                msg = (
                    f"workers: {self.workers} processes need log and state in PostgreSQL, which "
                    f"{name} is not: give {FORM}, or one worker"
                )
                raise InvalidInputError(msg)
        if not is_prefix(self.root_path) or self.root_path.startswith("/v1"):
            msg = (
                "root_path: expected a prefix such as '/rank': '/' and letters, digits, '.', '_', "
                f"'~' or '-', not beginning with '/v1', got {self.root_path!r}"
            )
            raise InvalidInputError(msg)
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                msg = f"cors_origins: expected 'https://host' or '*', got {origin!r}"
                raise InvalidInputError(msg)
        for name in self.rankers:
            if not _NAME.fullmatch(name):
                msg = (
                    f"rankers: expected names of 1 to 64 letters, digits, '.', '_' or '-', "
                    f"got {name!r}"
                )
                raise InvalidInputError(msg)


def check_bounds(settings: Any) -> None:
    """Check every number of a table of settings against its bounds.

    Raises
    ------
    InvalidInputError
        Names the setting, its value and its bounds.
    """
    for name, annotation in get_type_hints(type(settings), include_extras=True).items():
        kind, about, value = (
            annotation.__origin__,
            annotation.__metadata__[0],
            getattr(settings, name),
        )
        if kind in {int, float, float | None} and value is not None:
            whole, between = kind is int, about.positive
            checked_number(name, value, about.low, about.high, whole=whole, between=between)


def is_prefix(text: str) -> bool:
    """Return whether a text may stand before the paths of the service.

    Examples
    --------
    >>> is_prefix("/rank"), is_prefix("rank"), is_prefix("/rank/"), is_prefix('/"')
    (True, False, False, False)
    """
    return _PREFIX.fullmatch(text) is not None
