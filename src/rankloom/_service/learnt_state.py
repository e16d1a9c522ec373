"""A retriever's state in the store, ready to be learnt on: of these settings, or begun anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..bandit.evidence import Evidence
from ..bandit.log_follower import LogFollower, first_mark
from ..bandit.store import open_store
from ..errors import StateMismatchError
from .held_bandit import HeldBandit

if TYPE_CHECKING:
    from ..bandit.store import Store
    from ..datasets.log import InteractionLog
    from .retriever_settings import Key, RetrieverSettings

MAX_USERS: Final = 100_000
"""Most user contexts among closed sums; the oldest make room."""


def open_state(
    key: Key, settings: RetrieverSettings, log: InteractionLog, url: str
) -> tuple[Store, LogFollower, HeldBandit]:
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
        bandit = HeldBandit(
            **_evidence_settings(key, settings),
            posterior=settings.posterior,
            namespace=key.namespace,
            store=store,
        )
        return store, LogFollower(bandit, log, generation=settings.generation), bandit
    except BaseException:
        store.close()
        raise


def _make_ready(store: Store, key: Key, settings: RetrieverSettings, log: InteractionLog) -> None:
    """Clear a state of an earlier generation; a kill in between leaves it to the next start."""
    wanted, mark = settings.generation, store.mark()
    if mark is not None and mark.generation > wanted:
        msg = f"the state is of generation {mark.generation}, these settings of {wanted}"
        raise StateMismatchError(msg)
    if mark is not None and mark.generation < wanted:
        store.clear(keep_wishes=True)
        mark = None
    if mark is None:
        # What users wished outlives a clearing, and is read with a state that exists.
        empty = Evidence(**_evidence_settings(key, settings))
        store.apply(empty, mark=first_mark(log, wanted))


def _evidence_settings(key: Key, settings: RetrieverSettings) -> dict[str, Any]:
    return {
        "feature_uris": settings.feature_uris,
        "segment_by": settings.segment_by,
        "half_life": settings.half_life,
        "retriever_id": key.retriever_id,
        "max_users": MAX_USERS,
    }
