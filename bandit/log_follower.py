"""Fusion state as a fold of an interaction log: what a bandit has not learnt yet is replayed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import polars as pl

from ..errors import InvalidInputError
from ._decay import as_datetime, moment_of
from ._event import query_text
from ._learning import batch_of
from ._log_deletions import Unit, derive, unit_key
from ._log_rows import fold_rows
from ._log_stand_ins import named, sessions_without_execution, with_stand_ins
from ._mark import Mark, OvertakenError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from ..datasets._log.rows import Deletion
    from ..datasets.interaction import Interaction
    from ..datasets.log import InteractionLog
    from .evidence import Evidence
    from .fusion_bandit import FusionBandit
    from .store import Store

MOST_ROWS: Final = 10_000
"""Rows of one transaction: so many units at most are written as a whole."""


class LogFollower:
    """Keeps a bandit's store a fold of a log, each row once, whenever anybody stops.

    The log is the truth. The store remembers the last row that it holds, in the very transaction
    that writes what the row taught, so that a killed process goes on where it was. Several
    processes may follow one log into one store: each chunk is taken by the first.

    Parameters
    ----------
    bandit : FusionBandit
        Over a store.
    log : InteractionLog
        A view of one namespace and retriever.
    generation : int
        Grows with every learning of the state from the first row on; a store of another
        generation is not continued.

    Attributes
    ----------
    left_out : Counter of str
        Rows that taught nothing, by the names of `UpdateReport`, since this follower was made;
        ``unknown_types`` are rows of types that have no reward here.
    oldest : datetime or None
        When the earliest of what was folded happened, since somebody last set it to None.
    caught_up : bool
        Whether the end of the log was reached once, since this follower was made or the store lost
        what it held: until then the state is that of the earlier rows only.
    lost : bool
        Whether the store was found to have lost what it held, since somebody last set it to False.

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
        store = bandit._store  # noqa: SLF001 - our own
        if store is None:
            msg = "bandit: got one without a store; open it over one, for a mark has to be kept"
            raise InvalidInputError(msg)
        self.bandit, self.log = bandit, log
        self._store: Store = store
        self._start = Mark(log.log_id, generation=generation)
        self._mine: Mark | None = None
        self._version = 0
        self._seen = 0
        self.left_out: Counter[str] = Counter()
        self.oldest: dt.datetime | None = None
        self.caught_up = self.lost = False

    @property
    def mark(self) -> Mark:
        """How far the store has followed the log.

        Raises
        ------
        StateMismatchError
            If the store was learnt from another log.
        """
        stored = self._store.mark()
        return self._start if stored is None else stored.joined(self._start)

    @property
    def lag(self) -> int:
        """Rows of the file that were not looked at yet, those of other retrievers too."""
        followed = self.mark.row if self._mine is None else self._mine.row
        return max(self.log.last_row - max(followed, self._seen), 0)

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
            mark = self._joined_others()
            try:
                deletions = self.log.deletions_after(mark.deletion)
                if deletions:
                    self._take_back(deletions, mark)
                    continue
                left = MOST_ROWS if limit is None else min(MOST_ROWS, limit - total)
                if left <= 0:
                    return total
                chunk = self.log.rows_after(max(mark.row, self._seen), limit=left)
                if chunk.frame.is_empty():
                    # Rows of others move no mark: that would be a write for each of their commits.
                    self._seen = chunk.last
                    self.caught_up = True
                    return total
                self._take(chunk.frame, mark, mark._replace(row=chunk.last))
            except OvertakenError:
                continue
            total += chunk.frame.height
            if chunk.frame.height < left:
                # The end as it was then. Rows that come meanwhile would make chunks of a few each,
                # without end, and a chunk costs as much as hundreds of its rows.
                self.caught_up = True
                self._joined_others()
                return total

    def refresh(self) -> None:
        """Take in what others wrote into the store, also what moved no mark.

        Raises
        ------
        StateMismatchError
            If the store was learnt from another log.
        StoreError
            If the store cannot be reached.
        """
        self.bandit.refresh()
        # Only now: it tells whether what was just read is a part that others learn anew.
        self._joined_others()

    def observe(self, interaction: Interaction) -> None:
        """Fold one interaction that the log has just recorded into memory, for its session's sake.

        `catch_up` takes it from the log into the store; here it changes nothing more then.

        Parameters
        ----------
        interaction : Interaction
            As the log returned it, with its ``timestamp``. A duplicate changes nothing.
        """
        if interaction.deduplicated:
            return
        bandit = self.bandit
        self._find_execution(interaction)
        with bandit._lock:  # noqa: SLF001 - our own
            report = bandit.evidence.observe(interaction)
            bandit._pending += report.units_opened + report.rows_changing  # noqa: SLF001

    def _joined_others(self) -> Mark:
        """Return the mark; where others moved it, with what they learnt."""
        stored, version = self._store.progress()
        mark = self._first() if stored is None else stored.joined(self._start)
        if self._mine is not None and (mark, version) != (self._mine, self._version):
            if mark.row < self._mine.row:
                self.caught_up, self.lost = False, True
            self.bandit.refresh()
            self._seen = 0
        self._mine, self._version = mark, version
        return mark

    def _first(self) -> Mark:
        """Return where a state without a mark begins: deleted rows are none that it ever held."""
        if self._mine is None or self._mine.row:
            return first_mark(self.log, self._start.generation)
        return self._mine

    def _take(self, frame: pl.DataFrame, mark: Mark, reached: Mark) -> None:
        """Fold the rows of a chunk, and move the mark."""
        stale: set[Unit] = set()
        sessions = sessions_without_execution(frame)
        if sessions:
            known = self.log.rows_of(sessions=sessions)
            frame, stale = with_stand_ins(frame, known.filter(pl.col("seq") <= mark.row))
        self._fold(frame, mark, reached, stale)

    def _take_back(self, deletions: Sequence[Deletion], mark: Mark) -> None:
        """Derive the units of deleted rows again from what the log still holds."""
        for each in deletions:
            if each.user_id is not None and each.feature_id is None:
                self.bandit.delete_user(each.user_id)
        left = derive(self.log, deletions, mark, self.bandit.evidence.account.compacted_before)
        self.left_out["deletions_closed"] += left.closed
        reached = mark._replace(deletion=deletions[-1].number)
        self._fold(left.frame, mark, reached, left.units)

    def _fold(self, frame: pl.DataFrame, mark: Mark, reached: Mark, dropped: set[Unit]) -> None:
        batch = batch_of(self.bandit.evidence)
        left_out = fold_rows(batch, frame)
        self._note_oldest(batch)
        keys = {unit_key(*unit) for unit in dropped}
        self.bandit.take_in(batch, mark=reached, after=mark, dropped=keys)
        self.left_out.update(left_out)
        self._mine = reached

    def _note_oldest(self, batch: Evidence) -> None:
        times = batch._state.units.records["time"]  # noqa: SLF001 - our own
        if len(times):
            first = as_datetime(int(times.min()))
            self.oldest = first if self.oldest is None else min(self.oldest, first)

    def _find_execution(self, interaction: Interaction) -> None:
        """Let the evidence know which execution `catch_up` will give an interaction without one.

        The log is looked at where the run of its session and query is not at hand.
        """
        session, query = interaction.session_id, interaction.query_snapshot
        if interaction.execution_id or not session or query is None or query == "":
            return
        bandit, time = self.bandit, interaction.occurred_at or interaction.timestamp
        key, moment = (session, query_text(query)), moment_of(time)
        with bandit._lock:  # noqa: SLF001 - our own
            if bandit.evidence._state._stand_ins.continues(key, moment):  # noqa: SLF001
                return
        rows = named(self.log.rows_of(sessions=[session]))
        found = rows.filter(pl.col("interaction_id") == interaction.interaction_id)
        for name in found["execution_id"]:
            with bandit._lock:  # noqa: SLF001 - our own
                runs = bandit.evidence._state._stand_ins  # noqa: SLF001
                runs.begin(key, int(name.rpartition(":")[2]), moment)


def first_mark(log: InteractionLog, generation: int = 0) -> Mark:
    """Return where an empty state begins to follow a log.

    What was deleted by now is nothing that it will ever hold.
    """
    number = log._view.last_deletion()  # noqa: SLF001 - our own
    return Mark(log.log_id, 0, number, generation)
