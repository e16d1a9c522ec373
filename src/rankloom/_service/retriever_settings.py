"""How each retriever learns, kept in the log's own file so that a restart brings it back."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from .._sqlite import told
from ..bandit._policy import Policy
from ..bandit.estimation import Kind  # noqa: TC001 - msgspec reads annotations at run time
from ..errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS fusion_retrievers (
    namespace TEXT NOT NULL, retriever_id TEXT NOT NULL, settings TEXT NOT NULL,
    PRIMARY KEY (namespace, retriever_id)
) WITHOUT ROWID
"""


class Key(NamedTuple):
    """Whose settings these are."""

    namespace: str
    retriever_id: str


class RetrieverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one retriever learns and serves.

    Attributes
    ----------
    feature_uris : tuple of str
        The channels.
    segment_by : tuple of str
        Fields whose values make a segment.
    posterior : {"auto", "beta", "linear"}
        As of `FusionBandit`.
    half_life : float
        Days after which evidence weighs half.
    rollout_pct, control_pct, explore_pct, shadow_mode
        As of `FusionBandit`.
    enabled : bool
    generation : int
        Grows when the state has to be learnt from the first row of the log again; a state of
        another generation is cleared before anything is learnt into it.
    """

    feature_uris: tuple[str, ...]
    segment_by: tuple[str, ...] = ()
    posterior: Kind = "auto"
    half_life: float = 138.0
    rollout_pct: float = 100.0
    control_pct: float = 0.0
    explore_pct: float = 0.0
    shadow_mode: bool = False
    enabled: bool = True
    generation: int = 0

    def policy(self, key: Key) -> Policy:
        """Return who gets learned weights.

        Raises
        ------
        InvalidInputError
            If a share is no per cent.
        """
        scope = f"{key.namespace}/{key.retriever_id}"
        shares = self.rollout_pct, self.control_pct, self.explore_pct
        return Policy(scope, *shares, self.shadow_mode)

    def learns_as(self, other: RetrieverSettings) -> bool:
        """Return whether a bandit with these settings can go on with those."""
        ours, theirs = ((*_bandit(s), s.generation) for s in (self, other))
        return ours == theirs

    def needs_relearning_after(self, before: RetrieverSettings) -> bool:
        """Return whether what was learnt before means something else under these settings.

        Rows that named a channel before it was declared count for it, so a channel that is added
        sends the follower back to the first row.
        """
        added = set(self.feature_uris) - set(before.feature_uris)
        return bool(added) or (self.segment_by, self.half_life) != (
            before.segment_by,
            before.half_life,
        )


def _bandit(settings: RetrieverSettings) -> tuple[object, ...]:
    s = settings
    return s.feature_uris, s.segment_by, s.posterior, s.half_life


class SettingsTable:
    """The settings of all retrievers, in a table of the log's file; safe to use from threads.

    Parameters
    ----------
    url : str
        Of the log: ``sqlite:///path``.
    timeout : float
        Seconds to wait for other writers.
    """

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self._url, self._timeout = url, timeout
        self._path = url.removeprefix("sqlite:///")
        self._lock = threading.Lock()
        with self._connected() as connection:
            connection.execute(_TABLE)

    def read(self) -> dict[Key, RetrieverSettings]:
        """Return all settings.

        Raises
        ------
        StoreError
            If the file cannot be read.
        IntegrityError
            If it is damaged.
        """
        with self._connected() as connection:
            rows = connection.execute("SELECT * FROM fusion_retrievers").fetchall()
        return {Key(namespace, name): self._decoded(text) for namespace, name, text in rows}

    def write(self, key: Key, settings: RetrieverSettings) -> None:
        """Keep settings; they are on disk when this returns."""
        text = msgspec.json.encode(settings).decode()
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO fusion_retrievers VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
                "settings = excluded.settings",
                (*key, text),
            )

    def _decoded(self, text: str) -> RetrieverSettings:
        try:
            return msgspec.json.decode(text, type=RetrieverSettings)
        except msgspec.DecodeError as error:
            msg = f"{self._url}: settings of a retriever are damaged: {error}. Enable it again"
            raise IntegrityError(msg) from error

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one statement: settings change too seldom to keep it open."""
        mended = "restore a copy of the file"
        refused = "the settings of the retrievers cannot be read or written"
        with self._lock, told(self._url, damaged=mended, refused=refused):
            connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
            with closing(connection):
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
