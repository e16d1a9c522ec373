"""What is learnt, put into the store for the services that watch it."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, Final

from ...bandit.store.snapshot_history import LEARNER

if TYPE_CHECKING:
    from ...bandit.serving.fusion_weights import FusionWeights
    from ...bandit.store.snapshot_history import SnapshotRecord
    from ...bandit.store.store import Store

RETRIED_AFTER: Final = 60.0
"""Seconds after which what could not be put is tried again, or earlier where it is its time."""


class Publisher:
    """Puts snapshots of one retriever into a store: where they are new, and not too often.

    Parameters
    ----------
    every : float
        Seconds between two, at least; with 0 only the first is written unless one is requested,
        and the first after `forget`.

    Attributes
    ----------
    record : SnapshotRecord or None
        What is noted of the last one that was put; None before there is one.
    author : str
        Who has made the next one to be put; whatever comes then is the learner's again.

    Examples
    --------
    >>> import tempfile
    >>> from rankloom import FusionBandit
    >>> row = {"execution_id": "e", "feature_id": "d", "interaction_type": ["impression"],
    ...        "position": 0, "feature_uri": "text", "timestamp": "2026-01-31T12:00:00Z"}
    >>> from rankloom.bandit import open_store
    >>> from rankloom.bandit import LogPosition
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_store(f"sqlite:///{folder}/fusion.db") as store:
    ...         bandit = FusionBandit(["text", "image"], store=store)
    ...         _ = bandit.update([row])
    ...         _ = store.apply(bandit.evidence.fresh(), log_position=LogPosition("log", 1))
    ...         publisher = Publisher(every=60.0)
    ...         publisher.put(store, bandit.snapshot(), 0), store.get_snapshot() is not None
    ...         publisher.put(store, bandit.snapshot(), 0)
    (True, True)
    False
    """

    def __init__(self, every: float) -> None:
        self._every = every or math.inf
        self._due = -math.inf
        self._newest: str | None = None
        self.record: SnapshotRecord | None = None
        self.author = LEARNER

    def put(
        self, store: Store, weights: FusionWeights, generation: int, *, at_once: bool = False
    ) -> bool:
        """Put a snapshot if it is another than the last one and its time has come.

        Parameters
        ----------
        store : Store
        weights : FusionWeights
        generation : int
            Of the mark that the store must have: a state that another process has begun anew gets
            no snapshot of before.
        at_once : bool
            Whatever the time.

        Returns
        -------
        bool
            Whether it was put.

        Raises
        ------
        StoreError
            If the store is away.
        """
        now = monotonic()
        if not (at_once or now >= self._due) or weights.snapshot_id == self._newest:
            return False
        self._due = now + min(self._every, RETRIED_AFTER)
        position = store.log_position()
        if position is None or position.generation != generation:
            return False
        self.record = weights.publish(store, author=self.author)
        self.author = LEARNER
        self._newest, self._due = weights.snapshot_id, now + self._every
        return True

    def forget(self) -> None:
        """Put the next one whatever was put before: the store may have lost that."""
        self._newest, self._due = None, -math.inf
