"""One retriever that learns: its bandit, the follower of its log, and the weights it serves."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..bandit._policy import equal_weights
from ..bandit._served import Served
from ..bandit.evidence import Evidence
from ..bandit.log_follower import LogFollower, first_mark
from ..bandit.store import open_store
from ..errors import NoExposuresError, StateMismatchError
from . import schemas
from .held_bandit import HeldBandit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..bandit._serving import Segment
    from ..bandit.fusion_bandit import FusionBandit
    from ..bandit.store import Store
    from ..datasets.interaction import Interaction
    from ..datasets.log import InteractionLog
    from .retriever_settings import Key, RetrieverSettings

RENEWED_EVERY: Final = 1.0
"""Seconds between two posteriors: computing one takes a while, and requests need none newer."""

KEPT_DAYS: Final = 35.0
"""Days for which rows may still change a unit; what is older is closed into sums."""

SETTLED_AFTER: Final = 3_600.0
"""Seconds without an older row, and since the start, after which old evidence is closed."""

MAX_USERS: Final = 100_000
"""Most user contexts among closed sums; the oldest make room."""

_DAY: Final = dt.timedelta(days=1)


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
    """

    def __init__(
        self, key: Key, settings: RetrieverSettings, log: InteractionLog, state_url: str
    ) -> None:
        self.key, self._settings = key, settings
        self._log, self._url = log, state_url
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._bandit: HeldBandit | None = None
        self._follower: LogFollower | None = None
        self._renewed = -RENEWED_EVERY
        self._late = monotonic()

    @property
    def settings(self) -> RetrieverSettings:
        """How it learns and serves."""
        return self._settings

    @property
    def snapshot_id(self) -> str | None:
        """Name of the posterior that is served, None before there is one."""
        return None if self._bandit is None else self._bandit.snapshot_id

    def adopt(self, settings: RetrieverSettings) -> None:
        """Serve by settings that learn the same as before."""
        policy = settings.policy(self.key)
        self._settings = settings
        if self._bandit is not None:
            self._bandit.set_policy(policy)

    def weights(
        self,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        segment: Segment | None = None,
        execution_id: str | None = None,
    ) -> Served:
        """Return the weights to serve; equal ones while nothing is learnt, or it is disabled.

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field of ``segment_by``.
        """
        bandit = self._bandit
        if bandit is None or not self._settings.enabled:
            return self._equal()
        try:
            return bandit.sample(
                user_id=user_id, session_id=session_id, segment=segment, execution_id=execution_id
            )
        except NoExposuresError:
            return self._equal()

    @contextmanager
    def unless_learning(self) -> Iterator[bool]:
        """Keep the bandit from learning meanwhile, or say that it is learning just now.

        Where it is not, weights take well under a millisecond; to hand them to a thread takes
        longer, and much longer while other threads compute.
        """
        bandit = self._bandit
        if bandit is None:
            yield True
            return
        lock = bandit._lock  # noqa: SLF001 - our own
        free = lock.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                lock.release()

    def mean(self, *, segment: Segment | None = None) -> dict[str, float]:
        """Return the weights at the posterior mean; equal ones where `weights` gives those.

        Raises
        ------
        InvalidInputError
            As of `weights`.
        """
        bandit = self._bandit
        if bandit is None or not self._settings.enabled:
            return dict(self._equal())
        try:
            return bandit.mean(segment=segment)
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
            if not self._settings.enabled:
                return 0
            try:
                rows = self._opened().catch_up(limit=limit)
            except StateMismatchError:
                # Another process has cleared the state: begin again with what it holds now.
                self._let_go()
                raise
            self._note_late_rows(dt.datetime.now(dt.UTC))
            self._renew()
            return rows

    def compact(self, now: dt.datetime) -> None:
        """Close what is older than rows may be, once a day, unless old rows are still coming.

        What is closed refuses older rows: the rest of an import would be among them.
        """
        with self._lock:
            bandit, line = self._bandit, now - KEPT_DAYS * _DAY
            if bandit is None or not self._settings.enabled:
                return
            if self.lag or monotonic() < self._late + SETTLED_AFTER:
                return
            before = bandit.evidence.account.compacted_before
            if before is None or before <= line - _DAY:
                bandit.compact(line)

    def refresh(self) -> None:
        """Take in what other processes wrote into the store."""
        with self._lock:
            if self._bandit is not None:
                self._bandit.refresh()
                self._renew()

    def opt_out(self, user_id: str) -> None:
        """Keep no sums for a user."""
        with self._lock:
            self._opened().bandit.opt_out(user_id)

    def opt_in(self, user_id: str) -> None:
        """Keep sums for a user again, from now on."""
        with self._lock:
            self._opened().bandit.opt_in(user_id)

    def delete_user(self, user_id: str) -> int:
        """Forget what was learnt of a user; return the number of open units that named the user."""
        with self._lock:
            return self._opened().bandit.delete_user(user_id)

    @property
    def lag(self) -> int:
        """Rows of the log that are not learnt yet; 0 where nothing is to be learnt."""
        follower = self._follower
        if not self._settings.enabled:
            return 0
        return self._log.last_row if follower is None else follower.lag

    def stats(self) -> schemas.FusionStatistics:
        """Return what is learnt, and how far the log is followed."""
        follower = self._follower
        if follower is None:
            with self._lock:
                follower = self._opened()
        bandit = follower.bandit
        account = bandit.evidence.account
        return schemas.FusionStatistics(
            settings=self.shown(),
            channels=self._channels(bandit),
            open_units=account.open_units,
            closed_units=account.closed_units,
            users=account.users,
            lag=follower.lag,
            left_out={name: n for name, n in sorted(follower.left_out.items()) if n},
            snapshot_id=self.snapshot_id,
        )

    def close(self) -> None:
        """Let go of the store; requests get equal weights from then on."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = self._bandit = self._follower = None

    def _opened(self) -> LogFollower:
        """Return the follower; opens the state, and clears one of another generation first."""
        if self._follower is not None:
            return self._follower
        store = open_store(
            self._url, namespace=self.key.namespace, retriever_id=self.key.retriever_id
        )
        try:
            self._make_ready(store)
            bandit = self._new_bandit(store)
            follower = LogFollower(bandit, self._log, generation=self._settings.generation)
        except BaseException:
            store.close()
            raise
        self._store, self._bandit, self._follower = store, bandit, follower
        return follower

    def _make_ready(self, store: Store) -> None:
        """Clear a state of an earlier generation; a kill in between leaves it to the next start.

        Raises
        ------
        StateMismatchError
            If the state is of a later generation, whose settings are about to be read.
        """
        wanted, mark = self._settings.generation, store.mark()
        if mark is not None and mark.generation > wanted:
            msg = f"the state is of generation {mark.generation}, these settings of {wanted}"
            raise StateMismatchError(msg)
        if mark is not None and mark.generation < wanted:
            store.clear(keep_wishes=True)
            mark = None
        if mark is None:
            # What users wished outlives a clearing, and is read with a state that exists.
            empty = Evidence(**self._evidence_settings())
            store.apply(empty, mark=first_mark(self._log, wanted))

    def _evidence_settings(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "feature_uris": settings.feature_uris,
            "segment_by": settings.segment_by,
            "half_life": settings.half_life,
            "retriever_id": self.key.retriever_id,
            "max_users": MAX_USERS,
        }

    def _new_bandit(self, store: Store) -> HeldBandit:
        settings = self._settings
        bandit = HeldBandit(
            **self._evidence_settings(),
            posterior=settings.posterior,
            namespace=self.key.namespace,
            store=store,
        )
        bandit.set_policy(settings.policy(self.key))
        return bandit

    def _note_late_rows(self, now: dt.datetime) -> None:
        """Remember when rows came that a compaction would have refused."""
        follower = self._follower
        if follower is not None and follower.oldest is not None:
            if follower.oldest < now - KEPT_DAYS * _DAY:
                self._late = monotonic()
            follower.oldest = None

    def _renew(self) -> None:
        bandit = self._bandit
        if bandit is None or not bandit.is_stale or monotonic() < self._renewed + RENEWED_EVERY:
            return
        bandit.renew()
        self._renewed = monotonic()

    def _equal(self) -> Served:
        return Served(equal_weights(self._settings.feature_uris), policy="fallback")

    def _channels(self, bandit: FusionBandit) -> list[schemas.ChannelStatistics]:
        with bandit._lock:  # noqa: SLF001 - our own
            sums = bandit.evidence.sums([()])
        weights = self.mean() if self.snapshot_id is not None else {}
        n, q = sums.N[0], sums.Q[0]
        return [
            schemas.ChannelStatistics(
                feature_uri=arm,
                exposures=float(n[i]),
                successes=float(sums.S[0][i]),
                failures=float(sums.F[0][i]),
                effective_n=float(n[i] ** 2 / q[i]) if q[i] > 0.0 else 0.0,
                weight=weights.get(arm),
            )
            for i, arm in enumerate(sums.arms)
        ]

    def shown(self) -> schemas.FusionSettings:
        settings = self._settings
        return schemas.FusionSettings(
            retriever_id=self.key.retriever_id,
            enabled=settings.enabled,
            feature_uris=list(settings.feature_uris),
            segment_by=list(settings.segment_by),
            posterior=settings.posterior,
            rollout_pct=settings.rollout_pct,
            shadow_mode=settings.shadow_mode,
            control_pct=settings.control_pct,
            explore_pct=settings.explore_pct,
        )
