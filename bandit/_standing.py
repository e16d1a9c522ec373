"""The long-term posterior at one moment, and what one user or session sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from ..errors import NoExposuresError
from ._decay import moment_of
from ._ids import stable_id
from ._session_units import SESSION_LENGTH
from ._session_views import Asked, SessionViews, View
from ._sums import Sums
from .estimation import Kind, estimate
from .hierarchy import COLD_LEANING, Moments, top_posterior, trials
from .linear import LinearPosterior
from .posterior import GLOBAL, ArmSums, FusionPosterior, Level

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from ._context_keys import Context
    from ._session_sums import SessionSums
    from .evidence import Evidence


MOST_HALF_LIVES: Final = 100.0
"""Beyond, a session's part in long-term sums is nothing, and moving it there would overflow."""


@dataclass(frozen=True)
class Standing:
    """The sums of all contexts at one revision of the evidence, and their posterior.

    Attributes
    ----------
    revision, time : int
        Of the evidence; the time of its newest unit.
    top, segments : Sums
        The global context and every segment.
    user_keys : ndarray of uint64, shape (users,)
    users : Sums
    posterior : FusionPosterior
    segment_leaning : float
        Strength of the prior that a segment has from the global context.
    seen : SessionViews
        What sessions have seen of it.
    """

    revision: int
    time: int
    top: Sums
    segments: Sums
    user_keys: NDArray[np.uint64]
    users: Sums
    posterior: FusionPosterior
    segment_leaning: float
    seen: SessionViews = field(default_factory=SessionViews, compare=False, repr=False)

    @classmethod
    def of(cls, evidence: Evidence, posterior: Kind, **options: Any) -> Standing:
        """Compute the posterior of all evidence; `options` are those of `estimate`.

        Raises
        ------
        NoExposuresError
            If no row says what was shown.
        """
        sums = evidence.sums()
        top, segments = rows(sums, slice(0, 1)), rows(sums, slice(1, None))
        if not has_exposures(top, posterior):
            msg = "no exposures: no document of a channel was shown, as far as the rows tell"
            raise NoExposuresError(msg)
        user_keys, users = evidence.user_sums()
        found = estimate(top, segments, users, posterior=posterior, **options)
        leaning = _leaning(found.levels[GLOBAL], segments, top)
        return cls(evidence.revision, sums.time, top, segments, user_keys, users, found, leaning)

    def view(
        self,
        evidence: Evidence,
        segment: Context,
        user_id: str | None,
        session_id: str | None,
        now: dt.datetime | int | None,
    ) -> View | None:
        """Return what a user sees in a session; without live units the long-term posterior.

        Needs no lock, whatever else goes on: of the evidence it reads one session, as that is at
        one moment, and settings that stay. None where the session has forgotten what this
        posterior saw of it, for there are two newer ones by now.
        """
        user = None if user_id is None else self.user(user_id)
        if session_id is None:
            return View(self.posterior, user)
        state = evidence._state  # noqa: SLF001 - our own
        live = state.session(stable_id(session_id), self.top.arms)
        moment = moment_of(now)
        since = moment - SESSION_LENGTH
        if live.newest <= since:
            return View(self.posterior, user)
        if self.revision < live.complete:
            return None
        # The session counts at the present, the rest at the time of the long-term sums.
        half_lives = (moment - self.time) / evidence.identity.half_life_us
        asked = Asked(session_id, user_id, segment)
        if half_lives > MOST_HALF_LIVES:
            return self._beside(state.session_sums(live, since=since, time=moment), asked, user)
        view = self.seen.get(asked, live, since)
        if view is None:
            sums = state.session_sums(
                live, since=since, time=self.time, contexts=_contexts(asked), revision=self.revision
            )
            view = self._beside(sums, asked, user)
            self.seen.put(asked, live, since, view)
        return view.at(2.0**-half_lives)

    def _beside(self, sums: SessionSums, asked: Asked, user: ArmSums | None) -> View:
        """Return what is seen by a session of these sums."""
        session, own = ArmSums(sums.N, sums.S, sums.F) if sums.units else None, sums.own
        if own is None:
            return View(self.posterior, user, session)
        if user is not None:
            parts = zip(user, (own.N[-1], own.S[-1], own.F[-1]), strict=True)
            user = ArmSums(*(np.maximum(whole - part, 0.0) for whole, part in parts))
        return View(self._without(own, asked.segment), user, session)

    def user(self, user_id: str) -> ArmSums | None:
        """Return a user's long-term sums; None where nothing is known of the user."""
        key = stable_id(user_id)
        row = int(self.user_keys.searchsorted(np.uint64(key)))
        if row == len(self.user_keys) or self.user_keys[row] != key:
            return None
        return ArmSums.of(self.users, row)

    def segment_row(self, segment: Context) -> int | None:
        """Return the row of a segment that is known."""
        contexts = self.segments.contexts or ()
        return contexts.index(segment) if segment in self.posterior.levels and segment else None

    def level_of(
        self, segment: Context, user: ArmSums | None
    ) -> Literal["global", "segment", "user"]:
        """Return the lowest level that has evidence of its own."""
        if user is not None and (user.N.any() or user.S.any() or user.F.any()):
            return "user"
        return "global" if self.segment_row(segment) is None else "segment"

    def evidence_of(self, segment: Context, user: ArmSums | None) -> ArmSums:
        """Return the sums of that level."""
        level = self.level_of(segment, user)
        if level == "user" and user is not None:
            return user
        row = self.segment_row(segment)
        return ArmSums.of(self.top) if row is None else ArmSums.of(self.segments, row)

    def _without(self, own: Sums, segment: Context) -> FusionPosterior:
        """Return the posterior of the global context and one segment without some units."""
        top = minus(self.top, rows(own, slice(0, 1)))
        linear = None if self.posterior.kind == "beta" else _linear(top)
        level = Level(top_posterior(top), linear)
        levels = {GLOBAL: level}
        row = self.segment_row(segment)
        if row is not None:
            part = minus(rows(self.segments, slice(row, row + 1)), rows(own, slice(1, 2)))
            levels[segment] = self._child(level, part)
        return replace(self.posterior, levels=levels)

    def _child(self, level: Level, part: Sums) -> Level:
        beta = level.beta.child(part.N[0], part.S[0], part.F[0], self.segment_leaning)
        if level.linear is None or part.A is None or part.b is None:
            return Level(beta, level.linear)
        return Level(beta, level.linear.child(part.A[0], part.b[0]))


def _contexts(asked: Asked) -> list[Context]:
    """Return the contexts that a session's units are counted in; the user is the last one."""
    contexts = [GLOBAL, asked.segment] if asked.segment else [GLOBAL]
    return contexts if asked.user is None else [*contexts, ("user", asked.user)]


def rows(sums: Sums, chosen: slice) -> Sums:
    """Return some contexts."""
    return Sums(
        sums.arms,
        None if sums.contexts is None else sums.contexts[chosen],
        sums.time,
        *(sums.N[chosen], sums.S[chosen], sums.F[chosen], sums.Q[chosen]),
        None if sums.A is None else sums.A[chosen],
        None if sums.b is None else sums.b[chosen],
    )


def minus(whole: Sums, part: Sums) -> Sums:
    """Return the sums without those of a part; counts that rounding made negative are 0."""
    counts = {name: np.maximum(getattr(whole, name) - getattr(part, name), 0.0) for name in "NSFQ"}
    if whole.A is None or whole.b is None or part.A is None or part.b is None:
        return replace(whole, **counts)
    return replace(whole, **counts, A=whole.A - part.A, b=whole.b - part.b)


def has_exposures(top: Sums, posterior: Kind) -> bool:
    """Return whether any document was shown of which a posterior can learn."""
    scored = posterior != "beta" and top.A is not None and bool(top.A[0, -1, -1] > 0.0)
    return scored or bool(top.N.sum() > 0.0)


def _linear(top: Sums) -> LinearPosterior | None:
    if top.A is None or top.b is None:
        return None
    arms = len(top.arms)
    return LinearPosterior.top(np.full(arms, 1.0 / arms), top.A[0], top.b[0])


def _leaning(level: Level, segments: Sums, top: Sums) -> float:
    if not len(segments.N):
        return COLD_LEANING
    return Moments.of(level.beta.mean, segments, trials(top)[0]).strength(COLD_LEANING)
