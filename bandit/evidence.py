"""Decayed, mergeable sufficient statistics of what users did with what channels found."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..errors import InvalidInputError, did_you_mean
from ._columns import EventColumns
from ._context_keys import Context, keys_of
from ._decay import as_datetime, microseconds, moment_of
from ._event import read_event
from ._ids import stable_id
from ._kept import Kept
from ._session_units import SESSION_LENGTH
from ._settings import checked_arms, checked_max_users
from ._state import State
from .identity import Credit, Identity
from .rewards import RewardTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ._account import Account, MergeReport
    from ._session_sums import SessionSums
    from ._sums import Sums
    from ._update_report import UpdateReport

FARTHEST: Final = 300
"""Half-lives by which a reference time may precede the newest evidence."""


class Evidence(Kept):
    """Sums of exposures and rewards by context and channel, as a fold of the interactions.

    The unit of evidence is one document of one execution, not one row. The rows of a unit fold by
    maximum: it is dated at its first display, stands at that display's position, and keeps its
    highest positive and, apart, its highest negative reward. So the order of rows, their repeats
    and their batches change nothing. `compact` turns units that are old enough into decayed sums.

    Of a unit with examination e at its position, decay w = 2^(-age / half-life) times the share of
    its credit, rewards r+ and r-, each context and channel gets

        N += w e,  S += w r+,  F += w r-,  Q += w^2 e,

    and, where channels' scores x as fused were logged, the global context and the segment get
    A += w e z z' and b += w z (r+ - r-) with z = (x, 1). Exposures stand in the denominator, as in
    the position-based model's estimate of relevance clicks / sum of examination (Chuklin, Markov
    and de Rijke, Click Models for Web Search, 2015, section 4.1). A unit that no ``impression`` or
    ``view`` row says was shown adds nothing: what came of it would be a reward without a trial.

    Users, sessions, executions and documents are kept as 64-bit hashes only. Calls from several
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
        self._state = State(identity, table, arms, source or uuid.uuid4().hex)

    @property
    def identity(self) -> Identity:
        """The settings that give the sums their meaning."""
        return self._state.identity

    @property
    def source(self) -> str:
        """Name of this shard."""
        return self._state.source

    @property
    def arms(self) -> tuple[str, ...]:
        """feature_uris in the order of their columns."""
        return tuple(self._state.arms.names)

    @property
    def rewards(self) -> RewardTable:
        """What interaction types are worth."""
        return self._state.rewards

    @property
    def revision(self) -> int:
        """A number that grows with every change; tells `session_sums` what sums were read."""
        return self._state.revision

    @property
    def segments(self) -> tuple[Context, ...]:
        """Values of every segment seen, in order."""
        return tuple(sorted(self._state.segments.names))

    @property
    def account(self) -> Account:
        """How much evidence there is, and what was left out."""
        return self._state.account()

    @property
    def latest(self) -> int | None:
        """Time of the newest unit that was shown, in microseconds; None where there is none."""
        times = self._state.tables("groups").groups.times
        return int(times.max()) if len(times) else None

    def update(
        self,
        interactions: Any,
        *,
        impressions: Any = None,
        on_error: Literal["quarantine", "raise"] = "quarantine",
    ) -> UpdateReport:
        """Fold many interactions; resends and late ones change nothing but what they add.

        Parameters
        ----------
        interactions : EventColumns, or path, glob, table, list of dicts or of paths
            Columns are folded as they are; everything else is read as by `rankloom.datasets.scan`.
            Rows without an execution_id belong to the execution of their session and query within
            30 minutes, as far as the rows of this call tell.
        impressions : path or table, optional
            What was shown, where the interactions do not say; rows need no interaction_type.
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
        """
        if isinstance(interactions, EventColumns):
            if impressions is not None:
                msg = "impressions: columns hold the impressions too; append them as rows"
                raise InvalidInputError(msg)
            return self._state.fold(interactions)
        from ._reading import read_columns

        read = read_columns(
            interactions,
            self.arms,
            self.identity,
            self.rewards,
            impressions=impressions,
            on_error=on_error,
        )
        return read.reported(self._state.fold(read.columns))

    def observe(
        self, event: Mapping[str, Any] | Any, *, now: dt.datetime | int | None = None
    ) -> UpdateReport:
        """Fold one interaction as it happens; its session's weights can move at once.

        Parameters
        ----------
        event : dict or Interaction
            With ``occurred_at`` it is a backfill and moves no session.
        now : datetime, or int in microseconds, optional
            When it happened, where the event itself does not say; the clock's time if None.

        Raises
        ------
        InvalidInputError
            If the event breaks a rule of the record.
        """
        moment = microseconds(dt.datetime.now(dt.UTC) if now is None else now, "now")
        live = read_event(event, self.rewards, self.identity.segment_by, moment)
        self._state.sessions.end_before(moment - 2 * SESSION_LENGTH)
        return self._state.observe(live)

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
            global context and every segment. A context that nothing is known of has sums of 0.
        time : datetime, or int in microseconds, optional
            Reference time of the decay; that of the newest unit if None.

        Raises
        ------
        InvalidInputError
            If a context is of no known kind, or the time precedes the evidence by so much that
            weights overflow.
        """
        if contexts is None:
            contexts = [(), *(("segment", *values) for values in self.segments)]
        keys, is_user = keys_of(contexts, self.identity.segment_by)
        return self._state.read(keys, is_user, contexts, self._reference(time))

    def user_sums(
        self, *, time: dt.datetime | int | None = None
    ) -> tuple[NDArray[np.uint64], Sums]:
        """Return the sums of every user.

        Returns
        -------
        keys : ndarray of uint64, shape (n,)
            `stable_id` of each user_id, ascending. The ids themselves are not kept.
        sums : Sums
            Of these users, in this order; its contexts are None.
        """
        keys = self._state.tables("users").users.keys
        every = np.ones(len(keys), np.bool_)
        return keys, self._state.read(keys, every, None, self._reference(time))

    def session_sums(
        self,
        session_id: str,
        *,
        now: dt.datetime | int | None = None,
        contexts: Sequence[Context] = (),
        time: dt.datetime | int | None = None,
        revision: int | None = None,
    ) -> SessionSums:
        """Return what one session says of itself, and where it is counted already.

        Only live units count, first shown within the hour before `now` and still open.

        Parameters
        ----------
        session_id : str
        now : datetime, or int in microseconds, optional
            The clock's time if None.
        contexts : sequence of tuple of str
            Contexts whose long-term sums are in use; see `sums`.
        time : datetime, or int in microseconds, optional
            Reference time of those sums, and of this answer; `now` if None.
        revision : int, optional
            `revision` when those sums were read; units that came later are not in them. The
            present one if None.
        """
        moment = moment_of(now)
        return self._state.session_sums(
            self._state.session(stable_id(session_id)),
            since=moment - SESSION_LENGTH,
            contexts=contexts,
            time=moment if time is None else microseconds(time),
            revision=revision,
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
        if line < self._state.closed.line:
            closed = self.account.compacted_before
            msg = f"before: evidence is closed up to {closed} already, got {before}"
            raise InvalidInputError(msg)
        return self._state.compact(line, self.max_users)

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
        return self._state.merge(other._state, self.max_users)

    def fresh(self, source: str | None = None) -> Evidence:
        """Return an empty state with the same settings, for the next shard.

        It refuses the rows that this one refuses, so that merging it back counts nothing twice.
        """
        return Evidence._of(self._state.fresh(source or uuid.uuid4().hex), self.max_users)

    def add_arm(self, *feature_uris: str) -> None:
        """Make channels known; evidence from before does not name them."""
        self._state.add_arms(checked_arms(feature_uris))

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and all its sums; a merge with a state that knows it brings it back."""
        left = [name for name in self.arms if name != feature_uri]
        if len(left) == len(self.arms):
            msg = f"feature_uri: no arm {feature_uri!r}.{did_you_mean(feature_uri, self.arms)}"
            raise InvalidInputError(msg)
        self._state.keep_arms(checked_arms(left))

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
