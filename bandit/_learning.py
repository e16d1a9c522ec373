"""How a bandit learns: into its evidence, and into the store behind it."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InvalidInputError
from ._decay import moment_of
from ._session_units import SESSION_LENGTH

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ._account import MergeReport
    from ._mark import Mark
    from ._update_report import UpdateReport
    from .evidence import Evidence
    from .store import Store

logger = logging.getLogger("rankloom")

NOTEWORTHY = (
    "quarantined",
    "without_execution",
    "without_time",
    "before_compaction",
    "other_retriever",
    "without_feature_uri",
    "unknown_feature_uri",
    "bad_scores",
    "unknown_scores",
)


class Learning:
    """The part of `FusionBandit` that takes evidence in; safe to call from several threads.

    Attributes
    ----------
    evidence : Evidence
        Everything learnt, as sums.
    """

    def __init__(self, evidence: Evidence, store: Store | None) -> None:
        self._lock = threading.RLock()
        self._store = store
        self._pending = math.inf
        self._left_out: Counter[str] = Counter()
        self.evidence = evidence
        self._replica = None if store is None else store.follow()
        self._adopt(evidence.arms)

    def update(
        self,
        interactions: Any,
        *,
        impressions: Any = None,
        on_error: Literal["quarantine", "raise"] = "quarantine",
    ) -> UpdateReport:
        """Learn from many interactions, in any order; a resend changes nothing.

        Rows that had to be left out are counted in the report and logged in one line.

        Parameters
        ----------
        interactions : EventColumns, or path, glob, table, list of dicts or of paths
            See `Evidence.update`.
        impressions : path or table, optional
            What was shown, where the interactions do not say.
        on_error : {"quarantine", "raise"}
            What happens to a row that breaks a rule of the record.

        Returns
        -------
        UpdateReport

        Raises
        ------
        InvalidInputError
            If a parameter is wrong, or no row has a time.
        UnreadableSourceError
            If a file cannot be read.
        StoreError
            If the store is away: then nothing was learnt, and the same call can be made again.
        """
        with self._lock:
            report = self._fold(
                lambda into: into.update(interactions, impressions=impressions, on_error=on_error)
            )
            self._pending = math.inf
            self._left_out.update(counts_of(report))
        if any(counts_of(report).values()):
            shown = ", ".join(f"{n} {name}" for name, n in counts_of(report).items() if n)
            logger.warning("fusion: of %d rows: %s", report.rows, shown)
        return report

    def observe(
        self, event: Mapping[str, Any] | Any, *, now: dt.datetime | int | None = None
    ) -> UpdateReport:
        """Learn one interaction as it happens; its session's weights move at once.

        Parameters
        ----------
        event : dict or Interaction
            With ``occurred_at`` it is a backfill and moves no session.
        now : datetime, or int in microseconds, optional
            When it happened, where the event does not say; the clock's time if None.

        Raises
        ------
        InvalidInputError
            If the event breaks a rule of the record.
        StoreError
            If the store is away: then nothing was learnt, and the same call can be made again.
        """
        moment = moment_of(now)
        with self._lock:
            if self._store is not None:
                batch = batch_of(self.evidence)
                batch.observe(event, now=moment)
                self._store.apply(batch)
            report = self.evidence.observe(event, now=moment)
            self._pending += report.units_opened + report.rows_changing
            self._left_out.update(counts_of(report))
        return report

    def take_in(
        self,
        batch: Evidence,
        *,
        mark: Mark,
        after: Mark,
        dropped: Collection[bytes] = (),
    ) -> MergeReport:
        """Learn a batch of a log that was folded by itself, and move the mark of the log with it.

        Parameters
        ----------
        batch : Evidence
            Open units only, as `Store.fresh` or `Evidence.fresh` began it.
        mark, after, dropped
            As of `Store.apply`.

        Raises
        ------
        OvertakenError
            If the mark stands elsewhere than at `after`; then nothing was learnt.
        StoreError
            If the store is away: then nothing was learnt, and the same call can be made again.
        """
        if self._store is None or self._replica is None:
            msg = "store: got None; a mark has to be kept, so open the bandit over a store"
            raise InvalidInputError(msg)
        # The store locks by itself; requests must not wait for its disk.
        self._store.apply(batch, mark=mark, after=after, dropped=dropped)
        with self._lock:
            state = self.evidence._state  # noqa: SLF001 - our own
            report = state.fold_open(batch._state, dropped)  # noqa: SLF001 - our own
            if dropped:
                self._replica.skip_generation()
            state.sessions.end_before(moment_of(None) - 2 * SESSION_LENGTH)
            self._pending += report.units_opened + report.units_changed + len(dropped)
        return report

    def merge(self, other: Learning | Evidence) -> MergeReport:
        """Take in what another bandit learnt; doing so again changes nothing.

        Raises
        ------
        StateMismatchError
            If the two differ in a setting that gives the sums their meaning.
        """
        theirs = other.evidence if isinstance(other, Learning) else other
        with self._lock:
            self.evidence.identity.check(theirs.identity)
            if self._store is not None:
                self._store.merge(theirs)
            before = set(self.evidence.arms)
            report = self.evidence.merge(theirs)
            self._pending = math.inf
            if before != set(self.evidence.arms):
                self._arms_changed()
        return report

    def compact(self, before: dt.datetime | int) -> int:
        """Close the units first shown before a time; rows before it are refused from then on.

        Returns
        -------
        int
            Number of units that this call closed, in the store where there is one.
        """
        with self._lock:
            self._pending = math.inf
            if self._store is None:
                return self.evidence.compact(before)
            closed = self._store.compact(before)
            self.refresh()
            return closed

    def refresh(self) -> None:
        """Take in what other processes wrote into the store, and everything pending."""
        with self._lock:
            self._pending = math.inf
            arms = self.evidence.arms
            if self._replica is not None:
                self._replica.refresh()
                self._adopt(arms)

    def add_arm(self, *feature_uris: str) -> None:
        """Make channels known; evidence from before does not name them."""
        self._check_arms([*self.evidence.arms, *feature_uris])
        with self._lock:
            self.evidence.add_arm(*feature_uris)
            self._arms_changed()

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and its sums; a merge with a state that knows it brings it back."""
        self._check_arms([arm for arm in self.evidence.arms if arm != feature_uri])
        with self._lock:
            self.evidence.remove_arm(feature_uri)
            if self._store is not None:
                self._store.remove_arm(feature_uri)
            self._arms_changed()

    def reset_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user only what is first shown from now (or `at`) on."""
        moment = moment_of(at)
        self._wish(lambda keeper: keeper.reset_user(user_id, at=moment))

    def opt_out(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep no sums for this user until `opt_in`; the global ones still learn."""
        moment = moment_of(at)
        self._wish(lambda keeper: keeper.opt_out(user_id, at=moment))

    def opt_in(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep sums for this user again, from now (or `at`) on."""
        moment = moment_of(at)
        self._wish(lambda keeper: keeper.opt_in(user_id, at=moment))

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take the name off the open units; return how many there were.

        A resend of the rows names the user again, so delete them from the log first.
        """
        moment = moment_of(at)
        with self._lock:
            if self._store is not None:
                self._store.apply(self.evidence.fresh())
                named = self._store.delete_user(user_id, at=moment)
                if named and self._replica is not None:
                    self._replica.skip_generation()
            found = self.evidence.delete_user(user_id, at=moment)
            self._pending = math.inf
        return found

    def _adopt(self, arms: tuple[str, ...]) -> None:
        """Go on with what the store holds, with the channels that are known here."""
        found = None if self._replica is None else self._replica.evidence
        if found is None:
            return
        self.evidence.identity.check(found.identity)
        found.add_arm(*arms)
        for arm in set(found.arms) - set(arms):
            found.remove_arm(arm)
        found.max_users = self.evidence.max_users
        share_stand_ins(self.evidence, found)
        if found is not self.evidence:
            found._state.follow(self.evidence._state)  # noqa: SLF001 - our own
        self.evidence = found
        self._arms_changed()

    def _arms_changed(self) -> None:
        """Adapt whatever depends on the channels."""

    def _check_arms(self, arms: Sequence[str]) -> None:
        """Raise unless these channels can be weighed."""

    def _wish(self, wish: Callable[[Evidence | Store], None]) -> None:
        with self._lock:
            if self._store is not None:
                # A wish needs a state to stand in, and an empty batch makes one.
                self._store.apply(self.evidence.fresh())
                wish(self._store)
            wish(self.evidence)
            self._pending = math.inf

    def _fold(self, fold: Callable[[Evidence], UpdateReport]) -> UpdateReport:
        """Fold into the store first: where it is away, nothing is learnt here either."""
        if self._store is None:
            return fold(self.evidence)
        batch = batch_of(self.evidence)
        report = fold(batch)
        self._store.apply(batch)
        folded = self.evidence._state.fold_open(batch._state)  # noqa: SLF001 - our own
        return replace(
            report,
            units_opened=folded.units_opened,
            rows_changing=folded.units_changed,
            units_without_exposure=self.evidence.account.units_without_exposure,
        )


def batch_of(evidence: Evidence) -> Evidence:
    """Return an empty state for the next batch, which names executions as the whole does."""
    batch = evidence.fresh()
    share_stand_ins(evidence, batch)
    return batch


def share_stand_ins(evidence: Evidence, other: Evidence) -> None:
    """Let an event without an execution_id join the one its session and query began elsewhere."""
    other._state._stand_ins = evidence._state._stand_ins  # noqa: SLF001 - one and the same fold


def counts_of(report: UpdateReport, names: Sequence[str] = NOTEWORTHY) -> dict[str, int]:
    """Return some counts of a report by name."""
    return {name: getattr(report, name) for name in names}
