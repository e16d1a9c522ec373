"""A retriever's state in the store, ready to be learnt on: of these settings, or begun anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..._shared.postgres import is_postgres
from ...bandit.evidence.evidence import Evidence
from ...bandit.fusion_bandit import FusionBandit
from ...bandit.log_follower.follower import LogFollower, first_position
from ...bandit.store.opening import open_store
from ...errors import StateMismatchError
from .serving_bandit import ServingBandit

if TYPE_CHECKING:
    from ...bandit.store.store import Store
    from ...datasets.log.interaction_log import InteractionLog
    from .settings_table import Key, RetrieverSettings

MAX_USERS: Final = 100_000
"""Limit of user contexts among closed sums; the oldest are dropped first."""


def shares(log: InteractionLog, state_url: str) -> bool:
    """Return whether processes that meet at one server share what one of them learns."""
    return log.connections.server is not None and is_postgres(state_url)


def open_state(
    key: Key, settings: RetrieverSettings, log: InteractionLog, url: str
) -> tuple[Store, LogFollower, ServingBandit]:
    """Return the store, what follows the log into it, and its bandit.

    A state of an earlier generation is cleared first.

    Raises
    ------
    StateMismatchError
        If the state is of a later generation, whose settings are about to be read.
    StoreError
        If the store is away.
    """
    store = open_store(url, namespace=key.namespace, retriever_id=key.retriever_id)
    try:
        _make_ready(store, key, settings, log)
        bandit = FusionBandit(
            **_evidence_settings(key, settings),
            posterior=settings.posterior,
            floor=settings.floor,
            cap=settings.cap,
            namespace=key.namespace,
            store=store,
        )
        follower = LogFollower(bandit, log, generation=settings.generation)
        return store, follower, ServingBandit(bandit)
    except BaseException:
        store.close()
        raise


def _make_ready(store: Store, key: Key, settings: RetrieverSettings, log: InteractionLog) -> None:
    """Clear a state of an earlier generation; a kill in between leaves it to the next start."""
    wanted, position = settings.generation, store.log_position()
    if position is not None and position.generation > wanted:
        msg = f"the state is of generation {position.generation}, these settings of {wanted}"
        raise StateMismatchError(msg)
    if position is not None and position.generation < wanted:
        store.clear(keep_resets=True)
        position = None
    if position is None:
        # Users' resets outlive a clearing, and are read with a state that exists.
        empty = Evidence(**_evidence_settings(key, settings))
        store.apply(empty, log_position=first_position(log, wanted))


def _evidence_settings(key: Key, settings: RetrieverSettings) -> dict[str, Any]:
    return {
        "feature_uris": settings.feature_uris,
        "segment_by": settings.segment_by,
        "half_life": settings.half_life,
        "rewards": settings.rewards,
        "retriever_id": key.retriever_id,
        "max_users": MAX_USERS,
        "max_queries": settings.max_queries,
    }
