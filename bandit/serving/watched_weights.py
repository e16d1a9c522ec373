"""Weights that renew themselves: a thread loads, requests only ever get whole snapshots."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from ...errors import (
    IntegrityError,
    InvalidInputError,
    NotPicklableError,
    RankloomError,
    StoreError,
)
from ..base.channels import checked_arms
from ..sessions.session_sums import PersonalSums
from ..store.store import Store
from .request import Requester, identifier, segment_context, single_draws
from .served import Served
from .traffic_split import equal_weights

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from ..interactions.live_event import Query
    from .fusion_weights import FusionWeights
    from .request import Segment

logger = logging.getLogger("rankloom")

JOIN_SECONDS: Final = 5.0
"""How long `close` waits for a load that is under way."""


Source = str | Path | Store
"""Where snapshots come from: a file that is replaced now and then, or a store (`open_store`)."""


class WatchedWeights:
    """`FusionWeights` that are loaded anew in a daemon thread and swapped whole.

    A request never waits for a load and never gets half of one. Where a load fails, the last good
    snapshot stays, and one warning is logged per streak of failures. Where none was ever loaded,
    weights are equal, their policy is "fallback", and that is logged once. After a fork the child
    starts a thread of its own.

    Weights are those of `FusionBandit.sample` and `FusionBandit.mean` over the same store, with
    the posterior of the snapshot: user and session are read at every request, in one transaction.

    Parameters
    ----------
    source : path, or Store
        A file written by `FusionWeights.save`, or a store that `FusionBandit.publish` or
        `rankloom serve` writes to.
    feature_uris : sequence of str
        The channels that the service fuses. A snapshot of others is refused.
    read : callable
        Makes weights of a snapshot's bytes and the source's name: `FusionWeights.from_json`.
    every : float
        Seconds between loads.
    personal : bool
        Read users, sessions and queries from the store at every request that names them; a file
        holds none.
        Where the store goes away, one request waits for its timeout, so open it with a short one;
        the others go without until a load succeeds again.
    on_swap : callable, optional
        Gets every new snapshot, in the thread that loaded it.

    Examples
    --------
    >>> from rankloom.bandit import FusionWeights
    >>> with FusionWeights.watch("/nowhere.json", ["bm25", "clip"], every=60) as weights:
    ...     served = weights.sample(session_id="s1")
    >>> served, served.policy
    ({'bm25': 0.5, 'clip': 0.5}, 'fallback')
    """

    def __init__(
        self,
        source: Source,
        feature_uris: Sequence[str],
        *,
        read: Callable[[bytes, str], FusionWeights],
        every: float = 30.0,
        personal: bool = True,
        on_swap: Callable[[FusionWeights], object] | None = None,
    ) -> None:
        number = isinstance(every, int | float) and not isinstance(every, bool)
        if not number or not 0.0 < every <= threading.TIMEOUT_MAX:
            msg = f"every: expected a positive number of seconds, got {every!r}"
            raise InvalidInputError(msg)
        self._arms = tuple(checked_arms(feature_uris))
        self._source = _Loader(source, self._arms, read)
        self._every, self._on_swap = float(every), on_swap
        self._current: FusionWeights | None = None
        self._failing = False
        self._store = source if isinstance(source, Store) and personal else None
        self._draws = single_draws(None)
        self._stop = threading.Event()
        self.refresh()
        self._start()
        _running.add(self)

    def __reduce__(self) -> NoReturn:
        msg = (
            "watched weights load in a thread, so they are neither pickled nor copied. Call "
            "FusionWeights.watch in every process, or save one snapshot: weights.current.save(path)"
        )
        raise NotPicklableError(msg)

    @property
    def current(self) -> FusionWeights | None:
        """The snapshot that is served; None where none was ever loaded."""
        return self._current

    def refresh(self) -> bool:
        """Load now, in this thread; return whether that went well. Errors are logged, not raised.

        The thread does the same every so many seconds.
        """
        try:
            loaded = self._source.load()
            if loaded is not None:
                self._current = loaded
                if self._on_swap is not None:
                    self._on_swap(loaded)
        except Exception as error:  # noqa: BLE001 - the caller's requests must survive anything
            self._note_failure(error)
            return False
        if self._failing:
            logger.info("fusion weights: %s loads again", self._source.name)
            self._failing = False
        return True

    def sample(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        execution_id: str | None = None,
        query: Query | None = None,
        now: dt.datetime | int | None = None,
    ) -> Served:
        """Return weights to serve: by the rule, with the parameters of `FusionBandit.sample`.

        User and session are read from the store as they are now, a query as it was published last;
        the posterior is that of the snapshot, and evidence that came since shows with the next one.
        Without a snapshot nothing is raised: weights are equal, and their policy is "fallback".

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field.
        """
        current = self._current
        requester = Requester.of(user_id, session_id, execution_id, self._draws)
        if current is None:
            by = requester.randomised_by
            return Served(equal_weights(self._arms), policy="fallback", randomised_by=by)
        context = segment_context(segment, current.segment_by)
        assignment, sampled = current.server.assign(requester), None
        if assignment.needs_sample:
            personal = self._personal(current, requester.user_id, requester.session_id, query, now)
            sampled = current.sampled(requester, context, personal)
        return current.server.serve(requester, assignment, sampled)

    def mean(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        query: Query | None = None,
        now: dt.datetime | int | None = None,
    ) -> dict[str, float]:
        """Return the weights at the posterior mean, as `FusionBandit.mean`; see `sample`."""
        current = self._current
        if current is None:
            return equal_weights(self._arms)
        user, session = identifier("user_id", user_id), identifier("session_id", session_id)
        context = segment_context(segment, current.segment_by)
        return current.mean_of(context, self._personal(current, user, session, query, now))

    def close(self) -> None:
        """End the thread; the last good snapshot stays. Doing so again changes nothing."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=_keep_fresh,
            args=(weakref.ref(self), self._stop, self._every),
            name="rankloom-weights",
            daemon=True,
        )
        # Weights that are dropped without being closed leave no thread behind.
        weakref.finalize(self, self._stop.set)
        self._thread.start()

    def restart_after_fork(self) -> None:
        """Start the thread in the child of a fork, which has none of its parent's."""
        if not self._stop.is_set():
            self._stop = threading.Event()
            self._start()

    def _personal(
        self,
        current: FusionWeights,
        user_id: str | None,
        session_id: str | None,
        query: Query | None,
        now: dt.datetime | int | None,
    ) -> PersonalSums:
        """Return what the store holds of user, session and query; nothing while it is away."""
        if current.posterior.query_level is None:
            query = None
        anonymous = user_id is None and session_id is None and query is None
        if self._store is None or self._failing or anonymous:
            return PersonalSums()
        arms, time = current.feature_uris, current.time
        try:
            sums = self._store.personal_sums(
                user_id, session_id, query=query, arms=arms, now=now, time=time
            )
        except (StoreError, IntegrityError) as error:
            self._note_failure(error)
            return PersonalSums()
        return PersonalSums() if sums is None else sums

    def _note_failure(self, error: Exception) -> None:
        if self._failing:
            return
        self._failing = True
        served = "weights are equal until one loads"
        if self._current is not None:
            served = f"snapshot {self._current.snapshot_id} stays"
        known = isinstance(error, RankloomError)
        logger.warning(
            "fusion weights: %s does not load (%s); %s",
            self._source.name,
            error if known else repr(error),
            served,
            exc_info=None if known else error,
        )


class _Loader:
    """Loads snapshots from a source where their bytes are new."""

    def __init__(
        self,
        source: Source,
        arms: tuple[str, ...],
        read: Callable[[bytes, str], FusionWeights],
    ) -> None:
        if not isinstance(source, str | Path | Store):
            msg = f"source: expected a file's path or a store, got {source!r}"
            raise InvalidInputError(msg)
        self._source, self._arms, self._read = source, arms, read
        self._loaded: bytes | None = None
        self.name = repr(source) if isinstance(source, Store) else str(source)

    def load(self) -> FusionWeights | None:
        """Return a new snapshot, None where there is nothing new."""
        data = self._bytes()
        if data == self._loaded:
            return None
        weights = self._read(data, self.name)
        if set(weights.feature_uris) != set(self._arms):
            msg = (
                f"feature_uris: the snapshot weighs {sorted(weights.feature_uris)}, this service "
                f"fuses {sorted(self._arms)}. Add or remove the channel in both"
            )
            raise InvalidInputError(msg)
        self._loaded = data
        return weights

    def _bytes(self) -> bytes:
        if not isinstance(self._source, Store):
            return Path(self._source).read_bytes()
        text = self._source.get_snapshot()
        if text is None:
            msg = f"{self.name}: no snapshot was published yet"
            raise StoreError(msg)
        return text.encode("utf-8", "surrogatepass")


def _keep_fresh(watched: weakref.ref[WatchedWeights], stop: threading.Event, every: float) -> None:
    while not stop.wait(every):
        weights = watched()
        if weights is None:
            return
        weights.refresh()
        del weights


def _restart_all() -> None:
    for watched in list(_running):
        watched.restart_after_fork()


_running: weakref.WeakSet[WatchedWeights] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
