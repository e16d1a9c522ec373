"""How each retriever learns, stored beside the log so that a restart reads it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from ...bandit.posterior.estimation import Kind  # noqa: TC001 - msgspec reads annotations at run time
from ...bandit.serving.traffic_split import TrafficSplit
from ...errors import IntegrityError, InvalidInputError
from . import changes

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ...bandit.serving.fusion_weights import FusionWeights
    from ...datasets.log.interaction_log import InteractionLog

MOST_RETRIEVERS: Final = 1_000
"""Most retrievers of one namespace: each is followed, and held in memory."""

MIN_LISTS: Final = 10
"""Lists that are learnt before learned weights are served. benchmarks/fusion/warm_up.py: of the
first ten, weights drawn at once cost 0.015 to 0.018 NDCG; behind ten, none cost more than 0.006."""

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
    max_queries : int
        Most queries that get weights of their own.
    half_life : float
        Days after which evidence weighs half.
    rewards : dict of str to float
        Type -> reward, over the defaults, as of `FusionBandit`.
    floor, cap : float, optional
        Smallest and largest weight, as of `FusionBandit`.
    min_lists : int
        Lists that are learnt before learned weights are served.
    rollout_pct, control_pct, explore_pct, shadow_mode
        As of `FusionBandit`.
    enabled : bool
    rolled_back_to : str or None
        Name of the snapshot that is served whatever is learnt; None serves what is learnt.
    generation : int
        Grows when the state has to be learnt from the first row of the log again; a state of
        another generation is cleared before anything is learnt into it.
    """

    feature_uris: tuple[str, ...]
    segment_by: tuple[str, ...] = ()
    posterior: Kind = "auto"
    max_queries: int = 0
    half_life: float = 138.0
    rewards: dict[str, float] = {}
    floor: float | None = None
    cap: float | None = None
    min_lists: int = 0
    rollout_pct: float = 100.0
    control_pct: float = 0.0
    explore_pct: float = 0.0
    shadow_mode: bool = False
    enabled: bool = True
    rolled_back_to: str | None = None
    generation: int = 0

    def split(self, key: Key) -> TrafficSplit:
        """Return who gets learned weights.

        Raises
        ------
        InvalidInputError
            If a share is no per cent.
        """
        scope = f"{key.namespace}/{key.retriever_id}"
        shares = self.rollout_pct, self.control_pct, self.explore_pct
        return TrafficSplit(scope, *shares, self.shadow_mode)

    def learns_as(self, other: RetrieverSettings) -> bool:
        """Return whether a bandit with these settings can go on with those."""
        ours, theirs = ((*_bandit(s), s.generation) for s in (self, other))
        return ours == theirs

    def weighs_as(self, weights: FusionWeights) -> bool:
        """Return whether a snapshot is of the same channels and segments."""
        same = set(weights.feature_uris) == set(self.feature_uris)
        return same and weights.segment_by == self.segment_by

    def needs_relearning_after(self, before: RetrieverSettings) -> bool:
        """Return whether what was learnt before means something else under these settings.

        Rows that named a channel before it was declared count for it, so a channel that is added
        sends the follower back to the first row. So does the first query.
        """
        added = set(self.feature_uris) - set(before.feature_uris)
        first_queries = self.max_queries > 0 == before.max_queries
        return (
            bool(added)
            or first_queries
            or (self.segment_by, self.half_life, self.rewards)
            != (before.segment_by, before.half_life, before.rewards)
        )


def _bandit(settings: RetrieverSettings) -> tuple[object, ...]:
    s = settings
    learnt = s.feature_uris, s.segment_by, s.half_life, s.rewards, s.max_queries
    return *learnt, s.posterior, s.floor, s.cap


Changed = TypeVar("Changed", bound=RetrieverSettings | None)


class SettingsTable:
    """The settings of all retrievers, in a table beside the log; safe to use from threads.

    Parameters
    ----------
    log : InteractionLog
    """

    def __init__(self, log: InteractionLog) -> None:
        self._file = log.connections
        if self._file.server is None:  # a server has them among the tables of the log
            self._file.writer.run(_make_table)

    def read(self) -> dict[Key, RetrieverSettings]:
        """Return all settings.

        Raises
        ------
        StoreError
            If the file cannot be read.
        IntegrityError
            If it is damaged.
        """
        with self._file.reading(None) as cursor:
            query = "SELECT namespace, retriever_id, settings FROM fusion_retrievers"
            rows = cursor.execute(query).fetchall()
        return {Key(namespace, name): self._decoded(text) for namespace, name, text in rows}

    def change(
        self,
        key: Key,
        changed: Callable[[RetrieverSettings | None], Changed],
        author: str,
        action: changes.Action,
    ) -> Changed:
        """Keep what becomes of a retriever's settings, in one transaction; None changes nothing.

        They are on disk when this returns, and so is who changed what. No other process changes
        them in between.

        Raises
        ------
        InvalidInputError
            If the namespace has too many retrievers.
        StoreError
            If the file cannot be written.
        """

        def step(cursor: Any) -> Changed:
            found = cursor.execute(
                "SELECT settings FROM fusion_retrievers WHERE namespace = ? AND retriever_id = ?",
                key,
            ).fetchone()
            before = None if found is None else self._decoded(found[0])
            settings = changed(before)
            if settings is None or settings == before:
                return settings
            if found is None:
                _check_limit(cursor, key.namespace)
            changes.note(cursor, key, author, action, *_difference(before, settings))
            cursor.execute(
                "INSERT INTO fusion_retrievers VALUES (?, ?, ?) "
                "ON CONFLICT (namespace, retriever_id) DO UPDATE SET settings = excluded.settings",
                (*key, msgspec.json.encode(settings).decode()),
            )
            self._file.announce(cursor)
            return settings

        return self._file.writer.run(step, key.namespace)

    def note(
        self,
        key: Key,
        author: str,
        action: changes.Action,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        """Note a change that is kept elsewhere; raises as `change`."""
        self._file.writer.run(
            lambda c: changes.note(c, key, author, action, before, after), key.namespace
        )

    def trail(self, key: Key) -> changes.Trail:
        """Return who changed what about a retriever; raises as `read`."""
        with self._file.reading(key.namespace) as cursor:
            return changes.read(cursor, key)

    def _decoded(self, text: str) -> RetrieverSettings:
        try:
            return msgspec.json.decode(text, type=RetrieverSettings)
        except msgspec.DecodeError as error:
            msg = f"{self._file.url}: settings of a retriever are damaged: {error}. Enable it again"
            raise IntegrityError(msg) from error


def _difference(
    before: RetrieverSettings | None, after: RetrieverSettings
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is not the same in both, by name."""
    new = msgspec.to_builtins(after)
    old = {} if before is None else msgspec.to_builtins(before)
    differ = [name for name in new if before is None or new[name] != old[name]]
    return {name: old[name] for name in differ if old}, {name: new[name] for name in differ}


def _make_table(cursor: Any) -> None:
    cursor.execute(_TABLE)
    cursor.execute(changes.TABLE)


def _check_limit(cursor: Any, namespace: str) -> None:
    query = "SELECT count(*) FROM fusion_retrievers WHERE namespace = ?"
    if cursor.execute(query, (namespace,)).fetchone()[0] >= MOST_RETRIEVERS:
        msg = f"retriever_id: expected at most {MOST_RETRIEVERS:,} retrievers of a namespace"
        raise InvalidInputError(msg)
