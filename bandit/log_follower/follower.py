"""Keeps a bandit's store a fold of an interaction log: rows that came since are folded."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ...datasets.record.interaction import InteractionType
from ...errors import InvalidInputError, OvertakenError
from ..base.timestamps import as_datetime, moment_of
from ..evidence.evidence import Evidence
from ..interactions.live_event import query_text
from ..interactions.source_reader import read_columns
from ..sessions.session_units import SESSION_LENGTH
from ..store.log_position import LogPosition
from .deletions import Unit, rederive_units, unit_key
from .inferred_executions import (
    infer_in_chunk,
    sessions_without_execution,
    with_inferred_executions,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from ...datasets.log.answers import Deletion
    from ...datasets.log.interaction_log import InteractionLog
    from ...datasets.record.interaction import Interaction
    from ..base.rewards import RewardTable
    from ..fusion_bandit import FusionBandit
    from ..interactions.update_report import UpdateReport
    from ..store.store import Store

logger = logging.getLogger("rankloom")

MAX_CHUNK_ROWS: Final = 10_000
"""Rows of one transaction: so many units at most are written as a whole."""


class LogFollower:
    """Keeps a bandit's store a fold of a log: each row counts once, whichever process stops when.

    The log is the truth. The store remembers the last row that it holds, in the very transaction
    that writes the row's units, so that a killed process goes on where it was. Several processes
    may follow one log into one store: each chunk is folded by the first. Where the log was replaced
    by an older copy of itself, the state is learnt again.

    Parameters
    ----------
    bandit : FusionBandit
        Over a store.
    log : InteractionLog
        A view of one namespace and retriever.
    generation : int
        How often the state was learnt anew from the first row; a store of another generation is
        not continued.

    Attributes
    ----------
    left_out : Counter of str
        Rows that were left out, by the names of `UpdateReport`, since this follower was made;
        ``unknown_types`` are rows of types that have no reward here.
    oldest : datetime or None
        Time of the earliest row folded since this was last set to None.
    caught_up : bool
        Whether the end of the log was reached once, since this follower was made or the store lost
        what it held: until then the state is that of the earlier rows only.
    lost : bool
        Whether the store was found to have lost what it held, or the log was replaced by an older
        copy, since this was last set to False.

    Raises
    ------
    InvalidInputError
        If the bandit has no store.

    Examples
    --------
    >>> import tempfile
    >>> from rankloom import FusionBandit, InteractionLog
    >>> from rankloom.bandit import open_store
    >>> row = {"execution_id": "e1", "feature_id": "d1", "position": 0, "feature_uri": "text",
    ...        "interaction_type": ["impression", "click"]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = open_store(f"sqlite:///{folder}/state.db", retriever_id="r")
    ...     log = InteractionLog(f"sqlite:///{folder}/log.db", retriever_id="r")
    ...     with store, log:
    ...         bandit = FusionBandit(["text", "image"], retriever_id="r", store=store)
    ...         follower = LogFollower(bandit, log)
    ...         follower.observe(log.record(row))
    ...         follower.catch_up(), follower.catch_up(), follower.lag
    ...         bandit.evidence.sums().N.tolist()
    (1, 0, 0)
    [[1.0, 0.0]]
    """

    def __init__(self, bandit: FusionBandit, log: InteractionLog, *, generation: int = 0) -> None:
        store = bandit.learner.store
        if store is None:
            msg = "bandit: got one without a store; open it over one, which keeps the log position"
            raise InvalidInputError(msg)
        self.bandit, self.log, self._learner = bandit, log, bandit.learner
        self._store: Store = store
        self._start = LogPosition(log.log_id, generation=generation)
        self._position: LogPosition | None = None
        self._version = 0
        self._row_reached = 0
        self.left_out: Counter[str] = Counter()
        self.oldest: dt.datetime | None = None
        self.caught_up = self.lost = False

    @property
    def log_position(self) -> LogPosition:
        """How far the store has followed the log.

        Raises
        ------
        StateMismatchError
            If the store was learnt from another log.
        """
        stored = self._store.log_position()
        return self._start if stored is None else stored.max_with(self._start)

    mark = log_position
    """Its name in earlier versions."""

    @property
    def lag(self) -> int:
        """Rows of the file that were not read yet, those of other retrievers too."""
        position = self.log_position if self._position is None else self._position
        return max(self.log.last_row - max(position.row, self._row_reached), 0)

    def catch_up(self, *, limit: int | None = None) -> int:
        """Fold what came since; stopping anywhere loses nothing and counts nothing twice.

        Deleted rows are taken back: what remains of their documents is folded anew. Evidence that
        is closed already stays as it is; such deletions are counted as ``deletions_closed``.

        Parameters
        ----------
        limit : int, optional
            Most rows to fold now; all of them if None.

        Returns
        -------
        int
            Rows that were folded.

        Raises
        ------
        StateMismatchError
            If the store was learnt from another log.
        StoreError
            If log or store cannot be reached; the next call goes on from there.
        """
        total = 0
        while True:
            position = self._present_position()
            try:
                deletions = self.log.deletions_after(position.deletion)
                if deletions:
                    self._undo_deleted(deletions, position)
                    continue
                left = MAX_CHUNK_ROWS if limit is None else min(MAX_CHUNK_ROWS, limit - total)
                if left <= 0:
                    return total
                chunk = self.log.rows_after(max(position.row, self._row_reached), limit=left)
                if chunk.frame.is_empty():
                    # Rows of other retrievers leave the stored position: moving it would cost a
                    # write for each of their commits.
                    self._row_reached = chunk.last
                    self.caught_up = True
                    return total
                self._fold_chunk(chunk.frame, position, chunk.last)
            except OvertakenError:
                continue
            total += chunk.frame.height
            if chunk.frame.height < left:
                # The end as it was then. Rows that come meanwhile would make chunks of a few each,
                # without end, and a chunk costs as much as hundreds of its rows.
                self.caught_up = True
                self._present_position()
                return total

    def refresh(self) -> None:
        """Take in what others wrote into the store, also what left the log position as it was.

        Raises
        ------
        StateMismatchError
            If the store was learnt from another log.
        StoreError
            If the store cannot be reached.
        """
        self.bandit.refresh()
        # After the reading: the position says whether what was read is part of a state that
        # others are learning anew.
        self._present_position()

    def keep_up(self) -> None:
        """Take in what another process has folded, where it moved the log position or more.

        Raises
        ------
        StateMismatchError
            If the store was learnt from another log.
        StoreError
            If log or store cannot be reached.
        """
        position = self._present_position()
        start = max(position.row, self._row_reached)
        chunk = self.log.rows_after(start, limit=1)
        if chunk.frame.is_empty():
            self._row_reached = chunk.last  # what came since is of other retrievers

    def observe_sessions(self, sessions: Sequence[str]) -> None:
        """Fold what some sessions did that is in the log and not learnt yet, as `observe` does.

        Other processes may have recorded it.
        """
        position = self._position
        after = 0 if position is None else position.row
        since = as_datetime(moment_of(None) - SESSION_LENGTH)
        for _, interaction in self.log.live_rows_of(sessions, after=after, since=since):
            self.observe(interaction)

    def observe(self, interaction: Interaction) -> None:
        """Fold one interaction that the log has just recorded into memory, for its session.

        `catch_up` takes it from the log into the store; here it changes nothing more then.

        Parameters
        ----------
        interaction : Interaction
            As the log returned it, with its ``timestamp``. A duplicate changes nothing.
        """
        if interaction.deduplicated:
            return
        self._infer_execution(interaction)
        with self._learner.locked():
            self._learner.evidence.observe(interaction)

    def _present_position(self) -> LogPosition:
        """Return the stored position; where others moved it, after a refresh from the store."""
        stored, version = self._store.progress()
        position = self._first_position() if stored is None else stored.max_with(self._start)
        if self._is_older_copy(position):
            self._learn_anew(position)
            return self._present_position()
        before = self._position
        # At first, too: others may have moved it since the evidence was read.
        if before is None or (position, version) != (before, self._version):
            if before is not None and position.row < before.row:
                self.caught_up, self.lost = False, True
            self.bandit.refresh()
            self._row_reached = 0
        self._position, self._version = position, version
        return position

    def _is_older_copy(self, position: LogPosition) -> bool:
        """Return whether the log lacks what was followed: it was restored from a backup.

        Rows and deletions that came since have numbers of their own by now, or numbers of those
        that are lost; then they are later.
        """
        history = self.log.history(position.row, position.deletion)
        if history.last_row < self._row_reached:
            self._row_reached = 0
        if history.last_row < position.row or history.last_deletion < position.deletion:
            return True
        is_later = bool(position.row_time) and history.row_time > position.row_time
        other = position.deletion_time and history.deletion_time not in {0, position.deletion_time}
        return is_later or bool(other)

    def _learn_anew(self, position: LogPosition) -> None:
        """Clear a state that holds more than the log, but for users' resets, and begin again."""
        logger.warning(
            "fusion: the log %s lacks rows or deletions that the state has followed (up to row "
            "%d), so it was restored from an older copy. The state is learnt again from the log",
            self.log.log_id,
            position.row,
        )
        evidence = self.bandit.evidence
        empty = Evidence(
            evidence.arms,
            max_users=evidence.max_users,
            max_queries=evidence.max_queries,
            **evidence.identity.settings(),
        )
        self._store.clear(keep_resets=True)
        self._store.apply(empty, log_position=first_position(self.log, position.generation))
        self.bandit.refresh()
        self.caught_up, self.lost = False, True
        self._position, self._row_reached = None, 0

    def _first_position(self) -> LogPosition:
        if self._position is None or self._position.row:
            return first_position(self.log, self._start.generation)
        return self._position

    def _fold_chunk(self, frame: pl.DataFrame, position: LogPosition, last: int) -> None:
        """Fold rows that follow a position, up to the row `last`, and move the position."""
        replaced: set[Unit] = set()
        sessions = sessions_without_execution(frame)
        if sessions:
            earlier = self.log.rows_of(sessions=sessions).filter(pl.col("seq") <= position.row)
            frame, replaced = infer_in_chunk(frame, earlier)
        self._fold(frame, position, _with_times(self.log, position._replace(row=last)), replaced)

    def _undo_deleted(self, deletions: Sequence[Deletion], position: LogPosition) -> None:
        """Derive the units of deleted rows again from what the log still holds."""
        for deletion in deletions:
            if deletion.user_id is not None and deletion.feature_id is None:
                self.bandit.delete_user(deletion.user_id)
        cutoff = self.bandit.evidence.summary.compacted_before
        rederived = rederive_units(self.log, deletions, position, cutoff)
        self.left_out["deletions_closed"] += rederived.closed
        reached = _with_times(self.log, position._replace(deletion=deletions[-1].number))
        self._fold(rederived.frame, position, reached, rederived.units)

    def _fold(
        self, frame: pl.DataFrame, position: LogPosition, reached: LogPosition, dropped: set[Unit]
    ) -> None:
        batch = self._learner.fresh()
        left_out = fold_rows(batch, frame)
        self._note_oldest(batch)
        keys = {unit_key(*unit) for unit in dropped}
        self._learner.take_in(batch, log_position=reached, expected=position, dropped=keys)
        self.left_out.update(left_out)
        self._position = reached

    def _note_oldest(self, batch: Evidence) -> None:
        times = batch.state.units.records["time"]
        if len(times):
            first = as_datetime(int(times.min()))
            self.oldest = first if self.oldest is None else min(self.oldest, first)

    def _infer_execution(self, interaction: Interaction) -> None:
        """Let the evidence know which execution `catch_up` will give an interaction without one.

        The log is read where the execution of the session and query is not in memory.
        """
        session, query = interaction.session_id, interaction.query_snapshot
        if interaction.execution_id or not session or query is None or query == "":
            return
        learner, time = self._learner, interaction.occurred_at or interaction.timestamp
        key, moment = (session, query_text(query)), moment_of(time)
        with learner.locked():
            if learner.evidence.state.inferred_executions.has(key, moment):
                return
        rows = with_inferred_executions(self.log.rows_of(sessions=[session]))
        own = rows.filter(pl.col("interaction_id") == interaction.interaction_id)
        for name in own["execution_id"]:
            with learner.locked():
                executions = learner.evidence.state.inferred_executions
                executions.begin(key, int(name.rpartition(":")[2]), moment)


def first_position(log: InteractionLog, generation: int = 0) -> LogPosition:
    """Return where an empty state begins to follow a log.

    Rows that are deleted by now will never be in it, so their deletions are passed over.
    """
    return _with_times(log, LogPosition(log.log_id, 0, log.last_deletion, generation))


def _with_times(log: InteractionLog, position: LogPosition) -> LogPosition:
    history = log.history(position.row, position.deletion)
    return position._replace(row_time=history.row_time, deletion_time=history.deletion_time)


def fold_rows(into: Evidence, frame: pl.DataFrame) -> Counter[str]:
    """Fold rows of a log, live ones as live, and return what was left out, by name."""
    left_out: Counter[str] = Counter()
    known = with_known_types(frame, into.rewards)
    left_out["unknown_types"] = frame.height - known.height
    for live in (True, False):
        part = known.filter(pl.col("live") == live).drop("live", "seq")
        if part.height:
            left_out.update(_fold_part(into, part, live=live).left_out("list_level"))
    return left_out


def with_known_types(frame: pl.DataFrame, rewards: RewardTable) -> pl.DataFrame:
    """Take types that have no reward off the rows; rows that have no other are left out."""
    # As plain text: polars would take members for a type that holds no others.
    names = [*map(str, InteractionType), *rewards.own_types]
    has_unknown = pl.col("interaction_type").list.eval(~pl.element().is_in(names)).list.any()
    if not frame.select(has_unknown.any()).item():
        return frame
    known = pl.col("interaction_type").list.eval(pl.element().filter(pl.element().is_in(names)))
    return frame.with_columns(known).filter(pl.col("interaction_type").list.len() > 0)


def _fold_part(into: Evidence, frame: pl.DataFrame, *, live: bool) -> UpdateReport:
    read = read_columns(
        frame, into.arms, into.identity, into.rewards, with_queries=into.max_queries > 0
    )
    columns = replace(read.columns, live=np.full(len(read.columns), live))
    return read.reported(into.update(columns))
