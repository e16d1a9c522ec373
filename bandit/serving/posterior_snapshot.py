"""The long-term posterior at one moment, and what users and sessions add to it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..._shared.ids import stable_id
from ...errors import NoExposuresError
from ..base.sums import ArmSums
from ..base.timestamps import moment_of
from ..evidence.query_sums import read_queries
from ..posterior.estimation import Kind, estimate
from ..posterior.score_direction import descending_channels, direction_note
from ..sessions.session_sums import PersonalSums, UnitContributions, aligned, counted
from ..sessions.session_units import SESSION_LENGTH
from .fusion_weights import FusionWeights
from .personal_cache import PersonalCache, PersonalKey
from .query_table import QueryTable
from .user_table import UserTable

if TYPE_CHECKING:
    import datetime as dt

    from ..base.contexts import Context
    from ..evidence.evidence import Evidence
    from ..evidence.state import EvidenceState
    from ..interactions.live_event import Query
    from ..sessions.session_units import SessionUnits
    from .weight_server import WeightServer


class PosteriorSnapshot:
    """The posterior of all evidence at one revision, with the sums that it was computed from.

    `options`: those of `estimate`. `computed`: what another process has computed of about the
    same evidence, in place of an estimate.
    `revision`, `time`: of the evidence; the time of its newest unit.
    `size`: units and users that it was computed from.
    `top`, `segments`: the global context and every segment.
    `users`: every user.
    `queries`: sums of the queries that have weights of their own; None where none may have.
    `sessions`: what every running session had shown by then: the users' sums hold it.
    Raises NoExposuresError if there are clicks and no row says what was shown. Without any evidence
    this is the prior.
    """

    def __init__(
        self,
        evidence: Evidence,
        posterior: Kind,
        *,
        computed: FusionWeights | None = None,
        **options: Any,
    ) -> None:
        sums = evidence.sums()
        self.top, self.segments = sums.take(slice(0, 1)), sums.take(slice(1, None))
        if not self.top.has_exposures(with_scores=posterior != "beta") and has_clicks(evidence):
            msg = "no exposures: no document of a channel was shown, as far as the rows say"
            raise NoExposuresError(msg)
        self.arms = evidence.arms
        self.time = sums.time if computed is None else computed.time
        self.identity, self.revision = evidence.identity, evidence.revision
        self.size = evidence.summary.open_units + evidence.summary.users
        half_life = self.identity.half_life_us
        users = evidence.state.tables("users").users
        self.users = UserTable(users, self.arms, self.time, half_life)
        self.sessions: dict[int, SessionUnits] = evidence.state.sessions.all()
        self.queries, queries = None, None
        if evidence.max_queries:
            table = evidence.state.queries()
            self.queries = QueryTable(table, self.arms, self.time, half_life)
            queries = read_queries(table, self.arms, self.time, half_life)
        if computed is None:
            self.posterior = estimate(
                self.top, self.segments, self.users.parts(), queries, posterior=posterior, **options
            )
        else:
            self.posterior = computed.posterior
        self._cache = PersonalCache()
        self._weights: FusionWeights | None = None

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What is remarkable about the scores that were logged."""
        if self.posterior.kind != "linear":
            return ()
        channels = descending_channels(self.top)
        return (direction_note(channels),) if channels else ()

    def weights(self, server: WeightServer) -> FusionWeights:
        """Return what services load, to be served by a server; made once for each."""
        made, server = self._weights, server.for_arms(self.arms)
        if made is None or made.server is not server:
            made = self._weights = FusionWeights(
                self.posterior,
                server,
                segment_by=self.identity.segment_by,
                time=self.time,
                queries=self.queries,
            )
        return made

    def personal(
        self,
        state: EvidenceState,
        user_id: str | None,
        session_id: str | None,
        now: dt.datetime | int | None,
        query: Query | None = None,
    ) -> PersonalSums:
        """Return what is known of a user and a session, each unit once, and of a query.

        Needs no lock, whatever else goes on: of the evidence it reads one session, as that is at
        one moment, and settings that stay.
        """
        sums = self._of_person(state, user_id, session_id, now)
        if query is None or self.queries is None:
            return sums
        return sums._replace(query=self.queries.find(query))

    def _of_person(
        self,
        state: EvidenceState,
        user_id: str | None,
        session_id: str | None,
        now: dt.datetime | int | None,
    ) -> PersonalSums:
        user = None if user_id is None else self.users.find(user_id)
        if session_id is None:
            return PersonalSums(user)
        key = PersonalKey(stable_id(session_id), user_id)
        live, moment = state.sessions.of(key.session), moment_of(now)
        since = moment - SESSION_LENGTH
        if live is None or live.newest <= since:
            return PersonalSums(user)
        cached = self._cache.get(key, live, since, state.resets.changes)
        sums = self._with_session(state, user, key, live, since) if cached is None else cached
        if cached is None:
            self._cache.put(key, live, since, state.resets.changes, sums)
        if sums.session is None:
            return sums
        # Remembered as of its newest unit: the session's part alone decays until now.
        age = max(moment - live.newest, 0)
        weight = 2.0 ** -(age / self.identity.half_life_us)
        return sums._replace(session=ArmSums(*(weight * part for part in sums.session)))

    def _with_session(
        self,
        state: EvidenceState,
        user: ArmSums | None,
        key: PersonalKey,
        live: SessionUnits,
        since: int,
    ) -> PersonalSums:
        """Return the sums of a session, and those of a user without them."""
        chosen = counted(live.records, state.resets) & (live.records["time"] > since)
        if not chosen.any():
            return PersonalSums(user)
        units = UnitContributions.of(live.records, live.contributions, state.rules)
        session = aligned(units.sums(chosen, live.newest), live.arms, self.arms)
        known = self.sessions.get(key.session)
        if user is not None and key.user is not None and known is not None:
            # Those of the counted units that the user's sums hold, as these hold them: a unit that
            # came, grew or was closed since is counted once all the same.
            held = known.records["user"] == np.uint64(stable_id(key.user))
            held &= counted(known.records, state.resets)
            held &= chosen if known is live else known.has(live.records[chosen])
            units = UnitContributions.of(known.records, known.contributions, state.rules)
            user = user.without(aligned(units.sums(held, self.time), known.arms, self.arms))
        return PersonalSums(user, session, int(chosen.sum()))

    def level_of(
        self, segment: Context, personal: PersonalSums
    ) -> Literal["global", "segment", "query", "user"]:
        """Return the lowest level that has evidence of its own."""
        if personal.user is not None and any(part.any() for part in personal.user):
            return "user"
        if personal.query is not None:
            return "query"
        return "segment" if segment and segment in self.posterior.levels else "global"

    def evidence_of(self, segment: Context, personal: PersonalSums) -> ArmSums:
        """Return the sums of that level."""
        level = self.level_of(segment, personal)
        if level == "user" and personal.user is not None:
            return personal.user
        if level == "query" and personal.query is not None:
            return personal.query.counts
        if level == "global":
            return ArmSums.of(self.top)
        return ArmSums.of(self.segments, (self.segments.contexts or ()).index(segment))


def has_clicks(evidence: Evidence) -> bool:
    """Return whether there are units whose rewards no exposure of a channel stands against."""
    records = evidence.state.units.records
    rewarded = records["plus"].any() or records["minus"].any()
    return bool(rewarded) or evidence.summary.units_without_exposure > 0
