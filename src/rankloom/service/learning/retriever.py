"""One retriever that learns: its bandit, the follower of its log, and the weights it serves."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from ..._shared.ids import stable_id
from ...bandit.serving.fusion_weights import FusionWeights
from ...bandit.serving.served import Served
from ...bandit.serving.traffic_split import equal_weights
from ...bandit.store.backend import CurrentWeights
from ...bandit.units.user_resets import NEVER
from ...errors import NoExposuresError, StateMismatchError, StoreError
from ..settings import OPEN_DAYS, PUBLISH_EVERY
from .policy_rewards import PolicyRewards
from .previous_weights import PreviousWeights
from .publisher import Publisher
from .renewal_pace import RenewalPace
from .state import open_state, shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...bandit.base.sums import Sums
    from ...bandit.fusion_bandit import FusionBandit
    from ...bandit.interactions.live_event import Query
    from ...bandit.log_follower.follower import LogFollower
    from ...bandit.serving.request import Segment
    from ...bandit.store.snapshot_history import SnapshotHistory, SnapshotRecord
    from ...bandit.store.store import Store
    from ...datasets.log.interaction_log import InteractionLog
    from ...datasets.record.interaction import Interaction
    from .serving_bandit import ServingBandit
    from .settings_table import Key, RetrieverSettings

RENEWED_EVERY: Final = 1.0
"""Seconds between two posteriors: computing one takes a while, and requests need none newer."""

RENEWAL_SHARE: Final = 0.1
"""Share of the time that the posteriors of one retriever may take to compute, see `RenewalPace`."""

SETTLED_AFTER: Final = 3_600.0
"""Seconds without an older row, and since the start, after which old evidence is closed."""

_DAY: Final = dt.timedelta(days=1)


class RetrieverStatistics(NamedTuple):
    """What a retriever has learnt, and how far its log is followed.

    Attributes
    ----------
    sums : Sums
        Of the global context, by channel.
    weights : dict of str to float
        At the posterior mean; empty before there is a posterior.
    open_units, closed_units, users, queries : int
    lag : int
        At most so many rows of the log are not learnt yet.
    left_out : dict of str to int
        Reason -> rows that are not learnt.
    snapshot_id : str or None
        The posterior that is served.
    """

    sums: Sums
    weights: dict[str, float]
    open_units: int
    closed_units: int
    users: int
    queries: int
    lag: int
    left_out: dict[str, int]
    snapshot_id: str | None


class LearningRetriever:
    """A retriever's learned fusion in this process; safe to use from several threads.

    Parameters
    ----------
    key : Key
    settings : RetrieverSettings
    log : InteractionLog
        The view of this namespace and retriever.
    state_url : str
        Of the store, see `open_store`.
    last : FusionWeights, optional
        The last snapshot of before: served until the log has been learnt to its end, see
        `PreviousWeights`. What is learnt by then would be that of the oldest rows only.
    open_days, publish_every : float
        As of `ServiceSettings`.

    Attributes
    ----------
    fallbacks : Counter of str
        Reason -> answers with other weights than what was learnt from the whole log.
    publish_failures : int
        Snapshots that could not be put into the store.
    shares : bool
        Whether other processes may serve it: one of them learns, and all serve its weights.
    leads : bool
        Whether it is this process that learns.
    is_warming_up : bool
        Whether fewer lists are learnt than the settings want, so that equal weights are served.
    is_of_another_log : bool
        Whether the state was learnt from another log, so that nothing can be learnt.
    rewards : PolicyRewards
        What the newest lists of each policy brought.
    """

    def __init__(
        self,
        key: Key,
        settings: RetrieverSettings,
        log: InteractionLog,
        state_url: str,
        *,
        last: FusionWeights | None = None,
        open_days: float = OPEN_DAYS,
        publish_every: float = PUBLISH_EVERY,
    ) -> None:
        self.key, self._settings = key, settings
        self._log, self._url = log, state_url
        self._open_days = dt.timedelta(days=open_days)
        self._publisher = Publisher(publish_every)
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._bandit: ServingBandit | None = None
        self._follower: LogFollower | None = None
        self._answering: ServingBandit | PreviousWeights | None = None
        self._pace = RenewalPace(RENEWED_EVERY, RENEWAL_SHARE)
        self._is_changed = self._is_closed = False
        self.shares, self.leads = shares(log, state_url), True
        self._shared: tuple[str, FusionWeights | None] | None = None
        self.is_warming_up = self.is_of_another_log = self._is_warm = False
        self.fallbacks: Counter[str] = Counter()
        self.publish_failures = 0
        self.rewards = PolicyRewards(log)
        self._late = monotonic()
        self._hold_over(last)

    @property
    def settings(self) -> RetrieverSettings:
        """How it learns and serves."""
        return self._settings

    @property
    def snapshot_id(self) -> str | None:
        """Name of the posterior that is served, None before there is one."""
        return None if self._answering is None else self._answering.snapshot_id

    @property
    def held_over(self) -> str | None:
        """Name of the posterior of before, where that is served while the log is learnt."""
        answering = self._answering
        return answering.snapshot_id if isinstance(answering, PreviousWeights) else None

    @property
    def is_reading(self) -> bool:
        """Whether the log is still to be learnt to its end, and nothing is known of before."""
        return self._answering is None

    @property
    def last_snapshot(self) -> FusionWeights | None:
        """The posterior that is served, or held over; None before there is one."""
        answering = self._answering
        if isinstance(answering, PreviousWeights):
            return answering.snapshot
        try:
            return None if answering is None else answering.snapshot()
        except NoExposuresError:
            return None

    @property
    def is_learner(self) -> bool:
        """Whether this process follows the log into the store, and publishes."""
        return self.leads and self._follower is not None and self._settings.enabled

    @property
    def is_rolled_back(self) -> bool:
        """Whether the snapshot is served that was rolled back to, whatever is learnt."""
        return self._settings.rolled_back_to is not None and (
            self.held_over == self._settings.rolled_back_to
        )

    def published(self) -> SnapshotRecord | None:
        """Return what is noted of the snapshot that was put last; raises as `publish`.

        None before there is one, or where this process has not opened the store yet.
        """
        record, store = self._publisher.record, self._store
        if store is None or (self.leads and record is not None):
            return record
        records = store.history().records
        return records[0] if records else None

    def history(self) -> SnapshotHistory:
        """Return what is noted of the snapshots that the store keeps; raises as `publish`."""
        return self._reached().history()

    def snapshot(self, snapshot_id: str) -> FusionWeights | None:
        """Return a snapshot that the store keeps, None where there is none; raises as `publish`."""
        text = self._reached().get_snapshot(snapshot_id)
        return None if text is None else FusionWeights.from_json(text)

    def roll_back(self, weights: FusionWeights) -> None:
        """Serve a snapshot instead of what is learnt, which the settings say by now, too."""
        with self._lock:
            self._hold_over(weights)

    def adopt(self, settings: RetrieverSettings, author: str) -> None:
        """Serve by settings that learn the same as before."""
        split = settings.split(self.key)
        if settings.rolled_back_to != self._settings.rolled_back_to:
            self._publisher.forget()  # another process may have put what is newest in the store
        self._is_warm &= settings.min_lists <= self._settings.min_lists
        self._settings, self._publisher.author = settings, author
        for each in {self._bandit, self._answering}:
            if each is not None:
                each.set_split(split)
        # A snapshot holds the split, so there has to be another.
        self._changed()

    def weights(
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        segment: Segment | None = None,
        execution_id: str | None = None,
        query: Query | None = None,
    ) -> Served:
        """Return the weights to serve; equal ones while nothing is learnt, or it is disabled.

        Until the log has been learnt to its end, those of the last snapshot, if there is one.

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field of ``segment_by``.
        """
        answering = self._answering
        if answering is None or not self._settings.enabled:
            return self._equal()
        try:
            return answering.sample(
                user_id=user_id,
                session_id=session_id,
                segment=segment,
                execution_id=execution_id,
                query=query,
            )
        except NoExposuresError:
            return self._equal()

    def session_cells(self, session_id: str | None) -> int:
        """Return about how many numbers `weights` goes through for a session; waits for no lock."""
        bandit = self._bandit
        if bandit is None or session_id is None:
            return 0
        sessions = bandit.learner.evidence.state.sessions
        return sessions.cells(stable_id(session_id))

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Keep the bandit from learning meanwhile, or say that it is learning just now.

        Where it is not, an event takes well under a millisecond; to hand it to a thread takes
        longer, and much longer while other threads compute.
        """
        bandit = self._bandit
        if bandit is None:
            yield True
            return
        with bandit.learner.try_lock() as is_free:
            yield is_free

    def mean(
        self, *, segment: Segment | None = None, query: Query | None = None
    ) -> dict[str, float]:
        """Return the weights at the posterior mean; equal ones where `weights` gives those.

        Raises
        ------
        InvalidInputError
            As of `weights`.
        """
        answering = self._answering
        if answering is None or not self._settings.enabled:
            return dict(self._equal())
        try:
            return answering.mean(segment=segment, query=query)
        except NoExposuresError:
            return dict(self._equal())

    def observe(self, interaction: Interaction) -> bool:
        """Let a recorded interaction move its session's weights; return whether anything learns."""
        follower = self._follower
        if follower is None or not self._settings.enabled:
            return False
        follower.observe(interaction)
        return True

    def learn(self, *, limit: int | None = None) -> int:
        """Take in what the log has got since, and renew the posterior if it is due.

        Returns
        -------
        int
            Rows that were read.
        """
        with self._lock:
            if self._is_closed or not self._settings.enabled:
                return 0
            with self._let_go_of_another():
                rows = self._opened().catch_up(limit=limit)
            self.is_of_another_log = False
            self._note_late_rows(dt.datetime.now(dt.UTC))
            self._renew()
            self._share()
            return rows

    def follow(self) -> None:
        """Take in what the process that learns has learnt, and serve the weights that it serves."""
        with self._lock:
            if not self._is_closed and self._settings.enabled:
                with self._let_go_of_another():
                    self._opened().keep_up()
                self._serve_shared()

    def observe_sessions(self, sessions: Sequence[str]) -> None:
        """Let what other processes have recorded of some sessions move their weights."""
        follower = self._follower
        if follower is not None and self._settings.enabled:
            follower.observe_sessions(sessions)

    def publish(self, *, at_once: bool = False) -> bool:
        """Put the posterior that is served into the store, for services that watch it.

        So is one that was rolled back to. One that is held over is not put: it came from there, or
        is of before the store lost what it held. Then the store has none until the log is learnt to
        its end again.

        Parameters
        ----------
        at_once : bool
            Though the last one was put only just now.

        Returns
        -------
        bool
            Whether there was a new one, and its time had come.

        Raises
        ------
        StoreError
            If the store is away.
        """
        with self._lock:
            store, weights = self._store, self.last_snapshot
            if isinstance(self._answering, PreviousWeights):
                weights = self._answering.shared if self.is_rolled_back else None
            if store is None or weights is None:
                return False
            return self._publisher.put(store, weights, self._settings.generation, at_once=at_once)

    def compact(self, now: dt.datetime) -> None:
        """Close what is older than rows may be, once a day, unless old rows are still coming.

        What is closed refuses older rows: the rest of an import would be among them.
        """
        with self._lock:
            bandit, line = self._bandit, now - self._open_days
            if bandit is None or not self._settings.enabled:
                return
            if self.lag or monotonic() < self._late + SETTLED_AFTER:
                return
            before = bandit.learner.evidence.summary.compacted_before
            if before is None or before <= line - _DAY:
                bandit.learner.compact(line)

    def refresh(self) -> None:
        """Take in what other processes wrote into the store."""
        with self._lock:
            if self._follower is not None:
                with self._let_go_of_another():
                    self._follower.refresh()
                self._renew()

    def opt_out(self, user_id: str) -> bool:
        """Keep no sums for a user; return whether there were none before."""
        with self._lock:
            bandit = self._opened().bandit
            was_out = _is_out(bandit, user_id)
            bandit.opt_out(user_id)
            self._changed()
            return was_out

    def opt_in(self, user_id: str) -> bool:
        """Keep sums for a user again, from now on; return whether there were none before."""
        with self._lock:
            bandit = self._opened().bandit
            was_out = _is_out(bandit, user_id)
            bandit.opt_in(user_id)
            self._changed()
            return was_out

    def delete_user(self, user_id: str) -> int:
        """Forget what was learnt of a user; return the number of open units that named the user."""
        with self._lock:
            named = self._opened().bandit.delete_user(user_id)
            self._changed()
            return named

    @property
    def lag(self) -> int:
        """Rows of the log that are not learnt yet; 0 where nothing is to be learnt."""
        follower = self._follower
        if not self._settings.enabled:
            return 0
        return self._log.last_row if follower is None else follower.lag

    def statistics(self) -> RetrieverStatistics:
        """Return what is learnt, and how far the log is followed."""
        follower = self._follower
        if follower is None:
            with self._lock:
                follower = self._opened()
        bandit = follower.bandit
        with bandit.learner.locked():
            sums, account = bandit.evidence.sums([()]), bandit.evidence.summary
        snapshot_id = self.snapshot_id
        return RetrieverStatistics(
            sums=sums,
            weights={} if snapshot_id is None else self.mean(),
            open_units=account.open_units,
            closed_units=account.closed_units,
            users=account.users,
            queries=0 if self._bandit is None else self._bandit.queries,
            lag=follower.lag,
            left_out={name: n for name, n in sorted(follower.left_out.items()) if n},
            snapshot_id=snapshot_id,
        )

    def close(self) -> None:
        """Let go of the store and learn no more; what was served last is served from then on."""
        with self._lock:
            self._is_closed = True
            self._let_go()

    @contextmanager
    def _let_go_of_another(self) -> Iterator[None]:
        """Where another process has cleared the state, begin again with what it holds now."""
        try:
            yield
        except StateMismatchError:
            self.is_of_another_log = True
            self._let_go()
            raise

    def _let_go(self) -> None:
        self._hold_over(self.last_snapshot)
        if self._store is not None:
            self._store.close()
        self._store = self._bandit = self._follower = self._shared = None

    def _reached(self) -> Store:
        """Return the store, opened if need be."""
        store = self._store
        if store is None:
            with self._lock:
                store = self._opened().bandit.learner.store
        if store is None:
            msg = "the store is closed"
            raise StoreError(msg)
        return store

    def _opened(self) -> LogFollower:
        """Return the follower; opens the state first."""
        if self._follower is None:
            opened = open_state(self.key, self._settings, self._log, self._url)
            self._store, self._follower, self._bandit = opened
            self._publisher.forget()
            # Afterwards, for another thread may have adopted other shares meanwhile.
            self._bandit.set_split(self._settings.split(self.key))
        return self._follower

    def _note_late_rows(self, now: dt.datetime) -> None:
        """Remember when rows came that a compaction would have refused."""
        follower = self._follower
        if follower is not None and follower.oldest is not None:
            if follower.oldest < now - self._open_days:
                self._late = monotonic()
            follower.oldest = None

    def _renew(self) -> None:
        """Renew the posterior if it is due, and serve it once it is that of the whole log."""
        bandit, follower = self._bandit, self._follower
        if bandit is None or follower is None:
            return
        if follower.lost:
            follower.lost = False
            self._publisher.forget()
        if not follower.caught_up:
            # The store has lost what it held, and all is learnt again.
            if self._answering is bandit:
                self._hold_over(self.last_snapshot)
            return
        if self._settings.rolled_back_to is not None:
            self._serve_rolled_back(self._settings.rolled_back_to)
            return
        is_stale = bandit.is_stale or self._is_changed
        if self._answering is bandit and not (is_stale and self._pace.is_due(monotonic())):
            return
        lists = 0 if self._is_warm else bandit.lists()
        self.is_warming_up = 0 < lists < self._settings.min_lists
        if self.is_warming_up:
            self._answering = None
            return
        self._is_warm |= lists > 0
        self._is_changed, started = False, monotonic()
        bandit.renew()
        self._pace.note(started, monotonic())
        self._answering = bandit

    def _share(self) -> None:
        """Let other processes serve what is served here, once it is that of the whole log."""
        bandit, store = self._bandit, self._store
        if not self.shares or bandit is None or store is None or self._answering is not bandit:
            return
        weights = self.last_snapshot
        name = "" if weights is None else weights.snapshot_id
        if self._shared is None or self._shared[0] != name:
            text = "" if weights is None else weights.to_json()
            store.put_current(CurrentWeights(name, self._settings.generation, text))
            self._shared = name, weights

    def _serve_shared(self) -> None:
        """Serve the weights of the process that learns, which shares nothing learnt in part."""
        bandit, store, known = self._bandit, self._store, self._shared
        if bandit is None or store is None:
            return
        current = store.current(None if known is None else known[0])
        if current is None or current.generation != self._settings.generation:
            if self._answering is bandit:
                self._hold_over(self.last_snapshot)
            self._shared = None
            return
        if self._settings.rolled_back_to is not None:
            self._serve_rolled_back(self._settings.rolled_back_to)
            return
        is_new = known is None or known[0] != current.snapshot_id
        if known is None or is_new:
            weights = FusionWeights.from_json(current.text) if current.snapshot_id else None
            known = self._shared = current.snapshot_id, weights
        is_due = bandit.is_stale and self._pace.is_due(monotonic())
        if is_new or is_due or self._answering is not bandit:
            started = monotonic()
            bandit.adopt(known[1])
            self._pace.note(started, monotonic())
            self._answering = bandit

    def _serve_rolled_back(self, snapshot_id: str) -> None:
        """Serve a snapshot that another process, or an earlier one, rolled back to."""
        if self.held_over != snapshot_id:
            # Where the store has lost it, what was served last is the best that there is.
            self._hold_over(self.snapshot(snapshot_id) or self.last_snapshot)

    def _hold_over(self, last: FusionWeights | None) -> None:
        settings = self._settings
        arguments = settings.feature_uris, settings.segment_by, settings.split(self.key)
        self._answering = None if last is None else PreviousWeights(last, *arguments)

    def _changed(self) -> None:
        """Let what was changed by hand show as soon as there is time for a posterior."""
        self._is_changed = True
        self._pace.hurry()

    def _equal(self) -> Served:
        return Served(equal_weights(self._settings.feature_uris), policy="fallback")


def _is_out(bandit: FusionBandit, user_id: str) -> bool:
    return bandit.evidence.state.resets.since(stable_id(user_id)) == NEVER
