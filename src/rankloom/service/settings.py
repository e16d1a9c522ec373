"""What a service is started with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .._shared.checks import checked_number
from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,64}){0,8}")
MAX_DAYS: Final = 36_500
MAX_SECONDS: Final = 86_400

OPEN_DAYS: Final = 35.0
"""Days within which rows change a unit; older units are compacted into sums."""

PUBLISH_EVERY: Final = 60.0
"""Seconds between two snapshots in the store; who watches it looks every 30 by default."""

_POSITIVE: Final = (
    "retention_days",
    "live_events_per_minute",
    "max_connections",
    "max_requests",
    "max_bytes_in_flight",
    "body_seconds",
    "request_seconds",
    "stop_seconds",
)


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What a service is started with.

    Parameters
    ----------
    log : str
        Where interactions are stored: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.
    state : str
        Where learned fusion is stored: a URL of SQLite, or ``redis://host:port/db``.
    token_file : path
        Lines of ``sha256-hex namespace role``, as ``rankloom token new`` writes them.
    rankers : mapping of str to path
        Name -> folder of a saved ranker.
    retention_days : float, optional
        Interactions older than this many days are deleted; None keeps all.
    open_days : float
        Days within which rows change the evidence of a document that was shown, at least 1. Older
        evidence is compacted into sums; rows about it that arrive later are counted, not learnt.
        Memory grows with what was shown within these days.
    publish_every : float
        Seconds between two snapshots of a retriever's weights in ``state``, for services that
        watch it (`FusionWeights.watch`); 0: only when all is learnt after a start, when channels
        change, and at the end.
    live_events_per_minute : int
        Most interactions of one user that reach weights at once, a minute and namespace.
    max_connections : int
        Most open connections; with more of them, requests are answered 503.
    max_requests : int
        Most requests in work; further ones are answered 503.
    max_bytes_in_flight : int
        Most bytes of bodies in memory; what does not fit is answered 503.
    body_seconds : float
        How long a body may take to arrive.
    request_seconds : float
        How long an answer may take once the body is there.
    stop_seconds : float
        How long requests in progress are waited for at the end.
    root_path : str
        Prefix under which a proxy serves it, such as ``/rank``; requests may come with or without
        it.

    Examples
    --------
    >>> settings = ServiceSettings(log="sqlite:///log.db", state="sqlite:///fusion.db",
    ...                            token_file="tokens")
    >>> settings.live_events_per_minute
    600
    """

    log: str
    state: str
    token_file: str | Path
    rankers: Mapping[str, str | Path] = field(default_factory=dict)
    retention_days: float | None = None
    open_days: float = OPEN_DAYS
    publish_every: float = PUBLISH_EVERY
    live_events_per_minute: int = 600
    max_connections: int = 512
    max_requests: int = 256
    max_bytes_in_flight: int = 64_000_000
    body_seconds: float = 20.0
    request_seconds: float = 30.0
    stop_seconds: float = 25.0
    root_path: str = ""

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None:
                checked_number(name, value, 0, between=True)
        if self.retention_days is not None:
            checked_number("retention_days", self.retention_days, 0, MAX_DAYS)
        checked_number("open_days", self.open_days, 1, MAX_DAYS)
        checked_number("publish_every", self.publish_every, 0, MAX_SECONDS)
        if not is_prefix(self.root_path) or self.root_path.startswith("/v1"):
            msg = (
                "root_path: expected a prefix such as '/rank': '/' and letters, digits, '.', '_', "
                f"'~' or '-', not beginning with '/v1', got {self.root_path!r}"
            )
            raise InvalidInputError(msg)
        for name in self.rankers:
            if not _NAME.fullmatch(name):
                msg = (
                    f"rankers: expected names of 1 to 64 letters, digits, '.', '_' or '-', "
                    f"got {name!r}"
                )
                raise InvalidInputError(msg)


def is_prefix(text: str) -> bool:
    """Return whether a text may stand before the paths of the service.

    Examples
    --------
    >>> is_prefix("/rank"), is_prefix("rank"), is_prefix("/rank/"), is_prefix('/"')
    (True, False, False, False)
    """
    return _PREFIX.fullmatch(text) is not None
