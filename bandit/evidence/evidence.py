"""Decayed, mergeable sums of exposures and rewards by context and channel."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..._shared.checks import checked_number
from ..._shared.ids import stable_id
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, did_you_mean
from ..base.channels import checked_arms
from ..base.contexts import Context, keys_of
from ..base.identity import Credit, Identity
from ..base.rewards import RewardTable
from ..base.timestamps import as_datetime, microseconds, moment_of
from ..interactions.columns import EventColumns
from ..interactions.live_event import read_event
from ..sessions.session_sums import session_sums
from ..sessions.session_units import SESSION_LENGTH, SessionUnits
from ..units.stored_rows import unit_rows
from ..units.user_resets import NEVER, UserReset
from .files import dump, load, read, save
from .query_sums import read_queries
from .state import EvidenceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from ...datasets.record.mapping import InputMapping
    from ..base.sums import Sums
    from ..interactions.update_report import UpdateReport
    from ..sessions.session_sums import SessionSums
    from ..units.stored_rows import StoredUnit
    from .reports import EvidenceSummary, MergeReport

FARTHEST: Final = 300
"""Half-lives by which a reference time may precede the newest evidence."""


class Evidence:
    """Sums of exposures and rewards by context and channel, as a fold of the interactions.

    The unit of evidence is one document of one execution, not one row. The rows of a unit fold by
    maximum: it has the time and the position of its earliest row, and its highest positive and,
    apart, its highest negative reward. So the order of rows, their repeats
    and their batches change nothing. `compact` turns units that are old enough into decayed sums.

    Of a unit with examination e at its position, decay w = 2^(-age / half-life) times the share of
    its credit, rewards r+ and r-, each context and channel gets

        N += w e,  S += w r+,  F += w r-,  Q += w^2 e,

    and, where channels' scores x as fused were logged, the global context and the segment get
    A += w e z z' and b += w z (r+ - r-) with z = (x, 1). Exposures are the denominator, as in
    the position-based model's estimate of relevance clicks / sum of examination (Chuklin, Markov
    and de Rijke, Click Models for Web Search, 2015, section 4.1). A unit without an
    ``impression`` or ``view`` row adds nothing: its reward would be one without a trial.

    Users, sessions, executions and documents are stored as 64-bit hashes only. Calls from several
    threads need a lock around them.

    Parameters
    ----------
    feature_uris : sequence of str
        The channels, called arms.
    half_life : float
        Days after which evidence weighs half.
    rewards : mapping of str to float, optional
        Interaction type -> reward, over the defaults; see `RewardTable`.
    examination : sequence of float, optional
        Examination by position, the first 1, the last holding beyond; None: 1 / (position + 1).
    credit : {"shared", "named"}
        "shared": by contribution (served weight x score) where a row's metadata hold both
        ``features[uri].score`` and ``fusion.weights[uri]``, else to the named channel; "named":
        always to the channel in ``feature_uri``.
    segment_by : sequence of str
        Columns or metadata fields whose values make a segment.
    retriever_id : str, optional
        Take rows of this retriever, and rows that name none; None: all.
    source : str, optional
        Name of this shard, different for every process that learns by itself; random if None.
    max_users : int, optional
        Most user contexts among the closed sums; those with the oldest evidence go first.
    max_queries : int
        Most queries that have sums of their own, those with the newest evidence; 0: none has, and
        the queries of rows are not read. Rows name their query in ``query_snapshot``; equal ones
        are those that `rankloom.load_pairs` takes for equal.

    Examples
    --------
    >>> shown = {"execution_id": "e", "interaction_type": ["impression"], "timestamp": "2026-01-31"}
    >>> rows = [{**shown, "feature_id": d, "position": i, "feature_uri": u}
    ...         for i, (d, u) in enumerate([("a", "text"), ("b", "image")])]
    >>> rows.append({**rows[1], "interaction_type": ["purchase"]})
    >>> evidence = Evidence(["text", "image"])
    >>> evidence.update(rows).units_opened
    2
    >>> sums = evidence.sums()
    >>> sums.N.tolist(), sums.S.tolist()
    ([[1.0, 0.5]], [[0.0, 1.0]])
    """

    def __init__(
        self,
        feature_uris: Sequence[str],
        *,
        half_life: float = 138.0,
        rewards: Mapping[str, float] | None = None,
        examination: Sequence[float] | NDArray[np.float64] | None = None,
        credit: Credit = "shared",
        segment_by: Sequence[str] = (),
        retriever_id: str | None = None,
        source: str | None = None,
        max_users: int | None = None,
        max_queries: int = 0,
    ) -> None:
        table = RewardTable(rewards)
        identity = Identity.of(
            table,
            half_life=half_life,
            examination=examination,
            credit=credit,
            segment_by=segment_by,
            retriever_id=retriever_id,
        )
        self.max_users = checked_max_users(max_users)
        arms = checked_arms(feature_uris)
        self.state = EvidenceState(
            identity, table, arms, source or uuid.uuid4().hex, checked_max_queries(max_queries)
        )

    @property
    def identity(self) -> Identity:
        """The settings that give the sums their meaning."""
        return self.state.identity

    @property
    def source(self) -> str:
        """Name of this shard."""
        return self.state.source

    @property
    def max_queries(self) -> int:
        """Most queries that have sums of their own."""
        return self.state.max_queries

    @max_queries.setter
    def max_queries(self, max_queries: int) -> None:
        if max_queries != self.state.max_queries:
            self.state.max_queries = checked_max_queries(max_queries)
            self.state.changed()

    @property
    def arms(self) -> tuple[str, ...]:
        """feature_uris in the order of their columns."""
        return tuple(self.state.arms.names)

    @property
    def rewards(self) -> RewardTable:
        """What interaction types are worth."""
        return self.state.rewards

    @property
    def revision(self) -> int:
        """A number that grows by the units of every change; by all of them where any may differ."""
        return self.state.revision

    @property
    def segments(self) -> tuple[Context, ...]:
        """Values of every segment, in order."""
        return tuple(sorted(self.state.segments.names))

    @property
    def summary(self) -> EvidenceSummary:
        """How much evidence there is, and what was left out."""
        return self.state.summary()

    @property
    def latest(self) -> int | None:
        """Time of the newest unit that was shown, in microseconds; None where there is none."""
        tables = self.state.tables("groups", "linear")
        # Documents that no channel claims are in the linear table alone.
        times = np.concatenate([tables.groups.times, tables.linear.times])
        return int(times.max()) if len(times) else None

    def update(
        self,
        interactions: Any,
        *,
        impressions: Any = None,
        mapping: InputMapping | None = None,
        on_error: Literal["quarantine", "raise"] = "quarantine",
        now: dt.datetime | int | None = None,
        shown_before: EvidenceState | None = None,
    ) -> UpdateReport:
        """Fold many interactions; resends and late ones change nothing but what they add.

        Parameters
        ----------
        interactions : EventColumns, or path, glob, table, list of dicts or of paths
            Columns are folded as they are; everything else is read as by `rankloom.scan`.
            Rows without an execution_id belong to the execution of their session and query within
            30 minutes, among the rows of this call.
        impressions : path or table, optional
            What was shown, where the interactions lack it; rows need no interaction_type. A row
            without a position, such as a late purchase, takes that of its document in its execution
            from these, from the interactions of this call, or from a unit that is open already;
            else it is quarantined.
        mapping : InputMapping, optional
            How the columns, types, positions and times of both become those of interactions.
        on_error : {"quarantine", "raise"}
            What happens to a row that breaks a rule of the record.
        now : datetime, or int in microseconds, optional
            Rows dated after it count as of then, and are counted; the clock's time if None.
        shown_before : EvidenceState, optional
            Whose open units give rows without a position theirs; these here if None.

        Returns
        -------
        UpdateReport

        Raises
        ------
        InvalidInputError
            If a parameter is wrong, or no row has a time.
        UnreadableSourceError
            If a file cannot be read.
        """
        moment = moment_of(now)
        if isinstance(interactions, EventColumns):
            if impressions is not None:
                msg = "impressions: columns hold the impressions too; append them as rows"
                raise InvalidInputError(msg)
            return self.state.fold(interactions, moment)
        from ..interactions.source_reader import read_columns

        known = self.state if shown_before is None else shown_before
        read = read_columns(
            interactions,
            self.arms,
            self.identity,
            self.rewards,
            impressions=impressions,
            mapping=mapping,
            on_error=on_error,
            now=moment,
            with_queries=self.max_queries > 0,
            earlier=known.positions_of if len(known.units) else None,
        )
        return read.reported(self.state.fold(read.columns, moment))

    def observe(
        self, event: Mapping[str, Any] | Any, *, now: dt.datetime | int | None = None
    ) -> UpdateReport:
        """Fold one interaction as it happens; its session's weights can move at once.

        Parameters
        ----------
        event : dict or Interaction
            With ``occurred_at`` it is a backfill and moves no session. Without a position, it takes
            that of its document in its execution, if an open unit has one.
        now : datetime, or int in microseconds, optional
            When it happened, where the event has no time; the clock's time if None. An event dated
            after both counts as of the later one.

        Raises
        ------
        InvalidInputError
            If the event breaks a rule of the record.
        """
        moment = microseconds(dt.datetime.now(dt.UTC) if now is None else now, "now")
        live = self.state.placed(
            read_event(
                event,
                self.rewards,
                self.identity.segment_by,
                moment,
                with_query=self.max_queries > 0,
            )
        )
        self.state.sessions.end_before(moment - 2 * SESSION_LENGTH)
        return self.state.observe(live)

    def sums(
        self,
        contexts: Sequence[Context] | None = None,
        *,
        time: dt.datetime | int | None = None,
    ) -> Sums:
        """Return the sums of some contexts at one time.

        Parameters
        ----------
        contexts : sequence of tuple of str, optional
            ``()`` for everything, ``("segment", *values)``, ``("user", user_id)``; None: the
            global context and every segment. A context without evidence has sums of 0.
        time : datetime, or int in microseconds, optional
            Reference time of the decay; that of the newest unit if None.

        Raises
        ------
        InvalidInputError
            If a context has none of these forms, or the time precedes the evidence by so much that
            weights overflow.
        """
        if contexts is None:
            contexts = [(), *(("segment", *values) for values in self.segments)]
        keys, is_user = keys_of(contexts, self.identity.segment_by)
        return self.state.read(keys, is_user, contexts, self._reference(time))

    def user_sums(
        self, *, time: dt.datetime | int | None = None
    ) -> tuple[NDArray[np.uint64], Sums]:
        """Return the sums of every user.

        Returns
        -------
        keys : ndarray of uint64, shape (n,)
            `stable_id` of each user_id, ascending. The ids themselves are not stored.
        sums : Sums
            Of these users, in this order; its contexts are None.
        """
        keys = self.state.tables("users").users.keys
        every = np.ones(len(keys), np.bool_)
        return keys, self.state.read(keys, every, None, self._reference(time))

    def query_sums(
        self, *, time: dt.datetime | int | None = None
    ) -> tuple[NDArray[np.uint64], Sums]:
        """Return the sums of every query, at most `max_queries`, with A and b.

        Returns
        -------
        keys : ndarray of uint64, shape (n,)
            `stable_id` of each query's `canonical_query`, ascending.
        sums : Sums
            Of these queries, in this order; its contexts are None.
        """
        table, half_life = self.state.queries(), self.identity.half_life_us
        return table.keys, read_queries(table, self.arms, self._reference(time), half_life)

    def session_sums(
        self,
        session_id: str,
        *,
        now: dt.datetime | int | None = None,
        user_id: str | None = None,
        time: dt.datetime | int | None = None,
    ) -> SessionSums:
        """Return what one session adds to its own weights.

        Only live units count, first shown within the hour before `now`, still open, and since
        their user was reset.

        Parameters
        ----------
        session_id : str
        now : datetime, or int in microseconds, optional
            The clock's time if None.
        user_id : str, optional
            Whose part of these sums to return apart, as far as the user's sums hold it.
        time : datetime, or int in microseconds, optional
            Reference time of that part; `now` if None.
        """
        moment, state = moment_of(now), self.state
        live = state.sessions.of(stable_id(session_id))
        return session_sums(
            SessionUnits.read(state.units, slice(0), self.arms) if live is None else live,
            state.rules,
            since=moment - SESSION_LENGTH,
            now=moment,
            user=None if user_id is None else stable_id(user_id),
            time=None if time is None else microseconds(time),
        )

    def compact(self, before: dt.datetime | int) -> int:
        """Close the units first shown before a time, and refuse rows before it from now on.

        Returns
        -------
        int
            Number of units closed.

        Raises
        ------
        InvalidInputError
            If `before` precedes an earlier compaction.
        """
        line = microseconds(before, "before")
        if line < self.state.closed.compacted_before:
            closed = self.summary.compacted_before
            msg = f"before: evidence is closed up to {closed} already, got {before}"
            raise InvalidInputError(msg)
        return self.state.compact(line, self.max_users)

    def merge(self, other: Evidence) -> MergeReport:
        """Take another state's evidence in; doing so again changes nothing.

        Open units of the two fold as rows do. Closed sums add up, those of every source once;
        shards that compact must therefore split the log by execution.

        Raises
        ------
        StateMismatchError
            If the two differ in a setting that gives the sums their meaning, or hold the same
            source at different stages of compaction.
        """
        self.identity.check(other.identity)
        return self.state.merge(other.state, self.max_users)

    def fresh(self, source: str | None = None) -> Evidence:
        """Return an empty state with the same settings, for the next shard.

        It refuses the rows that this one refuses, so that merging it back counts nothing twice.
        """
        return Evidence.of_state(self.state.fresh(source or uuid.uuid4().hex), self.max_users)

    def add_arm(self, *feature_uris: str) -> None:
        """Add channels; earlier evidence has none of them."""
        self.state.add_arms(checked_arms(feature_uris))

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and all its sums; a merge with a state that has it brings it back."""
        left = [name for name in self.arms if name != feature_uri]
        if len(left) == len(self.arms):
            msg = f"feature_uri: no arm {feature_uri!r}.{did_you_mean(feature_uri, self.arms)}"
            raise InvalidInputError(msg)
        self.state.keep_arms(checked_arms(left))

    def reset_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user only what is first shown from now (or `at`) on.

        The user's interactions keep their part in the global sums and those of the segments; the
        user's own closed sums go as a whole.
        """
        self._reset(user_id, at)

    def opt_out(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Hold no sums of this user until `opt_in`; those of all users go on learning."""
        self._reset(user_id, at, since=NEVER)

    def opt_in(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Hold sums of this user again, from now (or `at`) on."""
        self._reset(user_id, at)

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take user and session off the open units; return how many there were.

        The units go on counting for their channels. A resend of the rows names the user again, so
        delete them from the log first.
        """
        self._reset(user_id, at)
        return self.state.forget(user_id)

    def unit_rows(self) -> list[StoredUnit]:
        """Return the open units as rows (key, time, value) for a store; see `fold_unit_values`."""
        return unit_rows(self.state.units)

    def fold_unit_values(
        self, values: Iterable[bytes], segments: Sequence[Context] = ()
    ) -> MergeReport:
        """Fold units that `unit_rows` gave; doing so again changes nothing.

        Parameters
        ----------
        values : iterable of bytes
        segments : sequence of tuple of str
            `segments` of the states that wrote them; the values of a segment are not in its units.

        Raises
        ------
        IntegrityError
            If a value is cut off or of another format.
        """
        return self.state.fold_values(values, segments)

    def reading_copy(self) -> Self:
        """Return a copy to read sums from, while rows go on being folded into this one.

        It costs what changed since the last one; the sums are those of this moment. Nothing may be
        folded into it.
        """
        return self.of_state(self.state.reading_copy(), self.max_users)

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        # As bytes: what memory holds, such as codes of channels, means nothing elsewhere.
        return self.from_bytes, (self.to_bytes(),)

    def to_bytes(self) -> bytes:
        """Return the state as bytes with a digest; see `rankloom.bandit.evidence.files`."""
        return dump(self.state, self.max_users)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state that `to_bytes` gave.

        Raises
        ------
        IntegrityError
            If the bytes are damaged, cut off, or of another format.
        """
        return cls.of_state(*load(data))

    def save(self, path: str | Path) -> None:
        """Write the state into a file, which is there whole or not at all."""
        save(self.to_bytes(), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the state that `save` wrote.

        Raises
        ------
        UnreadableSourceError
            If the file cannot be read.
        IntegrityError
            If it is damaged, cut off, or of another format.
        """
        return cls.of_state(*load(read(path), str(path)))

    @classmethod
    def of_state(cls, state: EvidenceState, max_users: int | None = None) -> Self:
        """Return the evidence that a state holds, without a copy."""
        made = cls.__new__(cls)
        made.state, made.max_users = state, max_users
        return made

    def _reset(self, user_id: str, at: dt.datetime | int | None, since: int | None = None) -> None:
        moment = moment_of(at)
        self.state.reset(user_id, UserReset(moment, moment if since is None else since))

    def _reference(self, time: dt.datetime | int | None) -> int:
        latest = self.latest
        if time is None:
            return 0 if latest is None else latest
        moment = microseconds(time)
        if latest is not None and latest - moment > FARTHEST * self.identity.half_life_us:
            msg = (
                f"time: {time} precedes the newest evidence ({as_datetime(latest)}) by more than "
                f"{FARTHEST} half-lives; weights would overflow. Leave it out, or give a later one"
            )
            raise InvalidInputError(msg)
        return moment

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        found, sums = self.summary, self.sums()
        units = found.open_units + found.closed_units
        rows = zip(sums.arms, sums.N[0], sums.S[0], sums.F[0], strict=True)
        cut = found.compacted_before
        return Summary(
            f"Evidence: {units:,} units, {len(sums.arms)} channels",
            [Table.of(["feature_uri", "exposures", "successes", "negatives"], rows)],
            [
                f"{found.units_without_exposure:,} units without exposure",
                *([] if cut is None else [f"compacted before {cut:%Y-%m-%d %H:%M}"]),
            ],
        )


def checked_max_users(max_users: int | None) -> int | None:
    """Return a limit of user contexts, or raise `InvalidInputError`."""
    if max_users is not None:
        checked_number("max_users", max_users, 0, whole=True)
    return max_users


def checked_max_queries(max_queries: int) -> int:
    """Return a limit of query contexts, or raise `InvalidInputError`."""
    checked_number("max_queries", max_queries, 0, whole=True)
    return max_queries
