"""All retrievers that learn in this process, and the thread that follows the log for them."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import traceback
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from ..._shared.postgres_processes import LeaseKeeper, Listener
from ...bandit.base.channels import checked_arms
from ...bandit.base.rewards import RewardTable
from ...bandit.evidence.evidence import checked_max_queries
from ...bandit.posterior.simplex import Bounds
from ...bandit.store.snapshot_history import LEARNER
from ...errors import InvalidInputError, RankloomError
from ..settings import OPEN_DAYS, PUBLISH_EVERY
from . import changes
from .retriever import LearningRetriever
from .settings_table import Key, RetrieverSettings, SettingsTable
from .state import shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...bandit.serving.fusion_weights import FusionWeights
    from ...datasets.log.interaction_log import InteractionLog
    from ...datasets.record.interaction import Interaction

logger = logging.getLogger("rankloom.service")

WAKE_EVERY: Final = 1.0
"""Seconds after which the log is looked at in any case: other processes write too."""

REST: Final = 0.5
"""Seconds between two rounds, or as long as the last one took: requests need the machine too."""

HOUSEKEEPING_EVERY: Final = 600.0
"""Seconds between two looks at what is old."""

ROWS_AT_ONCE: Final = 20_000
"""Rows after which the other retrievers get their turn."""

LONGEST_PAUSE: Final = 60.0
"""Seconds after which a retriever that failed is tried again at the latest."""

REACH_SECONDS: Final = 5.0
"""Seconds to wait for the store where weights are read that could do without."""

_LEARNER: Final = ("learner",)
_RETENTION: Final = ("retention",)
"""What the names of leases begin with."""

__all__ = ["LearningRetriever", "RetrieverSettings", "Retrievers"]


class Retrievers:
    """Learned fusion of every namespace and retriever; safe to use from several threads.

    What is enabled is kept in the log's file. A thread takes in what is logged as soon as it is
    committed, renews the posteriors that are served, puts them into the store for services that
    watch it, closes old evidence once a day and deletes rows beyond their retention. `get`,
    `observe` and the weights of a `LearningRetriever` touch memory only.

    Parameters
    ----------
    log : InteractionLog
    state_url : str
        Where learned state is kept, see `rankloom.bandit.open_store`.
    retention_days, open_days, publish_every, rewards
        As of `ServiceSettings`.
    """

    def __init__(
        self,
        log: InteractionLog,
        state_url: str,
        *,
        retention_days: float | None = None,
        open_days: float = OPEN_DAYS,
        publish_every: float = PUBLISH_EVERY,
        rewards: Mapping[str, float] | None = None,
    ) -> None:
        self._rewards = dict(rewards or {})
        self._log, self._url, self._retention = log, state_url, retention_days
        self._open_days, self._publish_every = open_days, publish_every
        self._table = SettingsTable(log)
        self._lock = threading.RLock()
        self._retrievers: dict[Key, LearningRetriever] = {}
        self._pauses: dict[Key, _Pause] = {}
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._leases: LeaseKeeper | None = None
        self._news: Listener | None = None
        self._cleaned = -HOUSEKEEPING_EVERY
        self._loaded = -WAKE_EVERY
        self._load()

    def start(self) -> None:
        """Begin to follow the log in a thread."""
        self._log.on_commit(self._committed)
        server = self._log.connections.server
        if server is not None and shares(self._log, self._url):
            self._leases = LeaseKeeper(server, self._wake.set)
            self._news = Listener(server, self._look_again)
        self._thread = threading.Thread(target=self._run, name="rankloom-retrievers", daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """End the thread after the chunk at hand, publish, and let go of every store."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._lock:
            for key, retriever in self._retrievers.items():
                due = retriever.leads and key not in self._pauses
                if due and not self._publish(retriever, at_once=True):
                    break  # a store that is away lets each of them wait
            for retriever in self._retrievers.values():
                retriever.close()
        if self._news is not None:
            self._news.stop()
        if self._leases is not None:
            self._leases.stop()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def lag(self) -> int:
        """Rows of the log that some retriever has not learnt yet, added up."""
        return sum(retriever.lag for retriever in list(self._retrievers.values()))

    def get(self, namespace: str, retriever_id: str) -> LearningRetriever | None:
        """Return a retriever that was enabled once, None for others; looks into memory only."""
        return self._retrievers.get(Key(namespace, retriever_id))

    def find(self, namespace: str, retriever_id: str) -> LearningRetriever | None:
        """Return what `get` returns; where that is None, what another process has enabled.

        Raises
        ------
        StoreError
            If the settings cannot be read.
        """
        if self.get(namespace, retriever_id) is None and self._leases is not None:
            self._load()
        return self.get(namespace, retriever_id)

    def of(self, namespace: str) -> list[LearningRetriever]:
        """Return the retrievers of a namespace that were enabled once, by their names."""
        found = [each for key, each in list(self._retrievers.items()) if key[0] == namespace]
        return sorted(found, key=lambda each: each.key.retriever_id)

    def is_known(self, namespace: str, retriever_id: str) -> bool:
        """Return whether a retriever was enabled once or the log was given rows of it."""
        if self.get(namespace, retriever_id) is not None:
            return True
        # Looking for a row would walk through all of the namespace where there is none.
        return self._log.within(namespace, retriever_id).is_known()

    def observe(self, namespace: str, interaction: Interaction) -> bool:
        """Let a recorded interaction move its session's weights at once.

        Returns
        -------
        bool
            Whether a retriever learns of it.
        """
        if interaction.retriever_id is None or interaction.deduplicated:
            return False
        retriever = self.get(namespace, interaction.retriever_id)
        return retriever is not None and retriever.observe(interaction)

    def enable(
        self,
        namespace: str,
        retriever_id: str,
        *,
        feature_uris: Sequence[str],
        segment_by: Sequence[str] = (),
        posterior: Literal["auto", "beta", "linear"] = "auto",
        max_queries: int = 0,
        rewards: Mapping[str, float] | None = None,
        floor: float | None = None,
        cap: float | None = None,
        min_lists: int = 0,
        relearn: bool = False,
        author: str = LEARNER,
    ) -> LearningRetriever:
        """Learn weights of these channels, from all rows of the log; nothing changes if it does so.

        Until other channels or segments than before are learnt, the last weights are held over:
        see `PreviousWeights`. To learn something else ends a rollback. `relearn` clears the state
        even if it is of another log, and learns it anew from this one.

        Raises
        ------
        InvalidInputError
            Names the parameter, the value and what was expected.
        """
        if posterior not in {"auto", "beta", "linear"}:
            msg = f"posterior: expected 'auto', 'beta' or 'linear', got {posterior!r}"
            raise InvalidInputError(msg)
        given: dict[str, Any] = {
            "feature_uris": tuple(checked_arms(feature_uris)),
            "segment_by": tuple(segment_by),
            "posterior": posterior,
            "max_queries": checked_max_queries(max_queries),
            "rewards": {**self._rewards, **(rewards or {})},
            "floor": floor,
            "cap": cap,
            "min_lists": min_lists,
            "enabled": True,
        }
        RewardTable(given["rewards"])
        Bounds.of(len(given["feature_uris"]), floor=floor, cap=cap)
        key = Key(namespace, retriever_id)
        stored = self._generation(key) if relearn else 0

        def changed(before: RetrieverSettings | None) -> RetrieverSettings:
            if before is None:
                return RetrieverSettings(**given, generation=stored + 1 if relearn else 0)
            settings = msgspec.structs.replace(before, **given)
            if relearn or settings.needs_relearning_after(before):
                generation = max(before.generation, stored) + 1
                settings = msgspec.structs.replace(
                    settings, generation=generation, rolled_back_to=None
                )
            return settings

        with self._lock:
            known = self._retrievers.get(key)
            if known is not None and not known.settings.learns_as(changed(known.settings)):
                # What is served until the other is learnt has to outlive this process.
                self._publish(known, at_once=True)
            settings = self._table.change(key, changed, author, "enable")
            return self._adopt(key, settings, author)

    def disable(
        self, namespace: str, retriever_id: str, *, author: str = LEARNER
    ) -> LearningRetriever | None:
        """Serve equal weights and learn nothing until the next `enable`; None if never enabled."""
        return self._with(Key(namespace, retriever_id), author, "disable", enabled=False)

    def roll_back(
        self, namespace: str, retriever_id: str, snapshot_id: str, *, author: str = LEARNER
    ) -> LearningRetriever | None:
        """Serve a snapshot that is kept, whatever is learnt, until `resume`.

        Users, sessions and queries get what everybody in their segment gets meanwhile; the shares
        of the roll-out stay. None if there is no such snapshot.

        Raises
        ------
        InvalidInputError
            If it has other channels or segments than are learnt now.
        StoreError
            If the store is away.
        """
        found = self._found(namespace, retriever_id)
        weights = found.snapshot(snapshot_id)
        if weights is None:
            return None

        def changed(before: RetrieverSettings | None) -> RetrieverSettings | None:
            if before is None or not before.weighs_as(weights):
                msg = (
                    "snapshot: it weighs other channels, or other segments, than the retriever "
                    "has now; enable it with those of the snapshot first"
                )
                raise InvalidInputError(msg)
            return msgspec.structs.replace(before, rolled_back_to=snapshot_id)

        with self._lock:
            settings = self._table.change(found.key, changed, author, "rollback")
            if settings is not None:
                found = self._adopt(found.key, settings, author)
                found.roll_back(weights)
                self._publish(found, at_once=True)
        self._wake.set()
        return found

    def resume(
        self, namespace: str, retriever_id: str, *, author: str = LEARNER
    ) -> LearningRetriever | None:
        """Serve what is learnt again, after a rollback; None if never enabled."""
        return self._with(Key(namespace, retriever_id), author, "resume", rolled_back_to=None)

    def trail(self, namespace: str, retriever_id: str) -> changes.Trail:
        """Return who changed what about a retriever.

        Raises
        ------
        StoreError
            If the log's file cannot be read.
        """
        return self._table.trail(Key(namespace, retriever_id))

    def set_rollout(
        self,
        namespace: str,
        retriever_id: str,
        *,
        rollout_pct: float | None = None,
        shadow_mode: bool | None = None,
        control_pct: float | None = None,
        explore_pct: float | None = None,
        author: str = LEARNER,
    ) -> LearningRetriever | None:
        """Choose who gets learned weights; what is None stays. None if never enabled.

        Raises
        ------
        InvalidInputError
            If a share is no per cent.
        """
        given = {
            "rollout_pct": rollout_pct,
            "shadow_mode": shadow_mode,
            "control_pct": control_pct,
            "explore_pct": explore_pct,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        return self._with(Key(namespace, retriever_id), author, "rollout", **changed)

    def opt_out(
        self, namespace: str, retriever_id: str, user_id: str, *, author: str = LEARNER
    ) -> None:
        """Keep no sums for a user until `opt_in`; the weights are those of all users then."""
        found = self._found(namespace, retriever_id)
        was_out = found.opt_out(user_id)
        self._note_user(found.key, user_id, author, "opt-out", was_out=was_out)

    def opt_in(
        self, namespace: str, retriever_id: str, user_id: str, *, author: str = LEARNER
    ) -> None:
        """Keep sums for a user again, from now on."""
        found = self._found(namespace, retriever_id)
        was_out = found.opt_in(user_id)
        self._note_user(found.key, user_id, author, "opt-in", was_out=was_out)

    def delete_user(
        self, namespace: str, retriever_id: str, user_id: str, *, author: str = LEARNER
    ) -> int:
        """Forget what was learnt of a user; delete the rows from the log first.

        Returns
        -------
        int
            Open units that named the user.
        """
        found = self._found(namespace, retriever_id)
        named = found.delete_user(user_id)
        self._note_user(found.key, user_id, author, "delete-user")
        return named

    def _note_user(
        self,
        key: Key,
        user_id: str,
        author: str,
        action: changes.Action,
        *,
        was_out: bool | None = None,
    ) -> None:
        """Note what was decided for a user, by a hash, unless it was so before."""
        self._wake.set()
        is_out, user = action == "opt-out", changes.hashed(user_id)
        if was_out is None:
            self._table.note(key, author, action, {}, {"user": user})
        elif was_out is not is_out:
            before, after = ({"user": user, "opted_out": out} for out in (was_out, is_out))
            self._table.note(key, author, action, before, after)

    def _found(self, namespace: str, retriever_id: str) -> LearningRetriever:
        found = self.get(namespace, retriever_id)
        if found is None:
            msg = f"retriever_id: {retriever_id!r} was never enabled; enable it first"
            raise InvalidInputError(msg)
        return found

    def _with(
        self, key: Key, author: str, action: changes.Action, **given: Any
    ) -> LearningRetriever | None:
        def changed(before: RetrieverSettings | None) -> RetrieverSettings | None:
            if before is None:
                return None
            settings = msgspec.structs.replace(before, **given)
            settings.split(key)
            return settings

        with self._lock:
            settings = self._table.change(key, changed, author, action)
            return None if settings is None else self._adopt(key, settings, author)

    def _adopt(
        self, key: Key, settings: RetrieverSettings, author: str = LEARNER
    ) -> LearningRetriever:
        """Serve and learn by settings from now on."""
        with self._lock:
            known = self._retrievers.get(key)
            if known is not None and known.settings.learns_as(settings):
                if known.settings != settings:
                    known.adopt(settings, author)
            else:
                last = known.last_snapshot if known is not None else self._published(key, settings)
                if known is not None:
                    known.close()
                known = self._retrievers[key] = LearningRetriever(
                    key,
                    settings,
                    self._log.within(*key),
                    self._url,
                    last=last,
                    open_days=self._open_days,
                    publish_every=self._publish_every,
                )
            self._pauses.pop(key, None)
        self._wake.set()
        return known

    def _generation(self, key: Key) -> int:
        """Return the generation of a stored state; 0 where there is none."""
        from ...bandit.store.opening import open_store

        with open_store(self._url, **key._asdict(), timeout=REACH_SECONDS) as store:
            position = store.log_position()
        return 0 if position is None else position.generation

    def _published(self, key: Key, settings: RetrieverSettings) -> FusionWeights | None:
        """Return the newest snapshot in the store, or the one that was rolled back to.

        None where there is none to be had.
        """
        from ...bandit.serving.fusion_weights import FusionWeights
        from ...bandit.store.opening import open_store

        try:
            with open_store(self._url, **key._asdict(), timeout=REACH_SECONDS) as store:
                rolled_back_to = settings.rolled_back_to
                text = rolled_back_to and store.get_snapshot(rolled_back_to)
                text = text or store.get_snapshot()
            return None if text is None else FusionWeights.from_json(text)
        except RankloomError as error:
            logger.warning("the last weights of a retriever cannot be read: %s", _message_of(error))
            return None

    def _load(self) -> None:
        """Take in settings that another process, or an earlier one, has written."""
        with self._lock:  # what is read must not be older than what is adopted meanwhile
            for key, settings in self._table.read().items():
                known = self._retrievers.get(key)
                if known is None or known.settings != settings:
                    self._adopt(key, settings)

    def _committed(self, *_: object) -> None:
        self._wake.set()

    def _look_again(self) -> None:
        """Look at once at what another process has changed."""
        self._loaded = -WAKE_EVERY
        self._wake.set()

    def _leads(self, name: tuple[str, ...]) -> bool:
        """Return whether it is for this process to do: of several, one does it at a time."""
        return self._leases is None or name in self._leases.held

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(WAKE_EVERY)
            self._wake.clear()
            started = monotonic()
            try:
                self._round()
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the next round may do better, and without a thread none would.
                logger.error(  # noqa: TRY400 - as `_message_of` says
                    "the retrievers could not be looked after; trying again: %s", _message_of(error)
                )
                self._stopping.wait(WAKE_EVERY)
            self._stopping.wait(max(REST, monotonic() - started))

    def _round(self) -> None:
        if monotonic() >= self._loaded + WAKE_EVERY:
            self._loaded = monotonic()
            self._load()
        found = list(self._retrievers.items())
        if self._leases is not None:
            self._leases.want((_RETENTION, *((*_LEARNER, *key) for key, _ in found)))
        for key, retriever in found:
            retriever.leads = self._leads((*_LEARNER, *key))
            if self._stopping.is_set():
                return
            pause = self._pauses.get(key)
            if pause is None or monotonic() >= pause.until:
                self._learn(key, retriever)
        if monotonic() >= self._cleaned + HOUSEKEEPING_EVERY:
            self._cleaned = monotonic()
            self._clean(dt.datetime.now(dt.UTC))

    def _learn(self, key: Key, retriever: LearningRetriever) -> None:
        try:
            if not retriever.leads:
                retriever.follow()
            elif retriever.learn(limit=ROWS_AT_ONCE) >= ROWS_AT_ONCE:
                self._wake.set()
        except Exception as error:  # noqa: BLE001 - the others have to learn all the same
            self._pause(key, retriever, error)
        else:
            self._pauses.pop(key, None)
            if retriever.leads:
                self._publish(retriever)

    def _pause(self, key: Key, retriever: LearningRetriever, error: Exception) -> None:
        """Leave a retriever alone for a while, unless another has taken its place meanwhile."""
        with self._lock:
            if self._retrievers.get(key) is not retriever:
                return
            pause = self._pauses[key] = _Pause.after(self._pauses.get(key))
        message = _message_of(error)
        logger.warning("a retriever cannot learn, next try in %.0f s: %s", pause.length, message)

    def _publish(self, retriever: LearningRetriever, *, at_once: bool = False) -> bool:
        """Put what is served into the store where it is time; return whether that went well."""
        try:
            retriever.publish(at_once=at_once)
        except Exception as error:  # noqa: BLE001 - learning and stopping go on all the same
            retriever.publish_failures += 1
            logger.warning("weights cannot be published, next try later: %s", _message_of(error))
            return False
        return True

    def _clean(self, now: dt.datetime) -> None:
        for retriever in [each for each in list(self._retrievers.values()) if each.leads]:
            try:
                retriever.refresh()
                retriever.compact(now)
            except Exception as error:  # noqa: BLE001 - rows of the others have to go all the same
                logger.warning(
                    "old evidence of a retriever cannot be closed: %s", _message_of(error)
                )
        if self._retention is not None and self._leads(_RETENTION):
            self._log.expire_everywhere(now - dt.timedelta(days=self._retention))


def _message_of(error: Exception) -> str:
    """Return what the log may hold of an error: ours in one line, of others only where it was."""
    if isinstance(error, RankloomError):
        return str(error)
    return f"{type(error).__name__}\n{''.join(traceback.format_tb(error.__traceback__))}"


class _Pause:
    """How long a retriever that failed is left alone: twice as long each time."""

    def __init__(self, length: float) -> None:
        self.length, self.until = length, monotonic() + length

    @classmethod
    def after(cls, before: _Pause | None) -> _Pause:
        return cls(1.0 if before is None else min(2.0 * before.length, LONGEST_PAUSE))
