"""What sessions see of one posterior, remembered for as long as it stays true."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from .posterior import ArmSums

if TYPE_CHECKING:
    from ._context_keys import Context
    from ._session_units import SessionUnits
    from .posterior import FusionPosterior

MOST_VIEWS: Final = 1_000
"""Most sessions whose view is remembered, some 3 MB; those remembered longest go first."""


class View(NamedTuple):
    """What the weights of one request are computed from, see `FusionPosterior.mean`.

    Attributes
    ----------
    posterior : FusionPosterior
        Without the session's own units.
    user, session : ArmSums or None
    """

    posterior: FusionPosterior
    user: ArmSums | None = None
    session: ArmSums | None = None

    def at(self, weight: float) -> View:
        """Return the view with other weight of the session's units, all alike."""
        if self.session is None:
            return self
        N, S, F = self.session
        return self._replace(session=ArmSums(weight * N, weight * S, weight * F))


class Asked(NamedTuple):
    """Who asks; the user sees the segment."""

    session: str
    user: str | None
    segment: Context


class _Seen(NamedTuple):
    """A view of a session as it was, true while the same of its units are of the last hour."""

    live: SessionUnits
    since: int
    until: int
    view: View


class SessionViews:
    """Views of a posterior by who asks; safe to use from several threads.

    A session that asks again sees the same units until another of them comes or the oldest is an
    hour old, and taking its own part out of the posterior costs more than everything else.

    Parameters
    ----------
    most : int
        Most views to remember.
    """

    def __init__(self, most: int = MOST_VIEWS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._views: dict[Asked, _Seen] = {}

    def get(self, asked: Asked, live: SessionUnits, since: int) -> View | None:
        """Return a view of the session as it is now, of its units first shown after a time."""
        seen = self._views.get(asked)
        if seen is None or seen.live is not live or not seen.since <= since < seen.until:
            return None
        return seen.view

    def put(self, asked: Asked, live: SessionUnits, since: int, view: View) -> None:
        """Remember a view of units first shown after a time."""
        times = live.records["time"]
        until = int(times[times > since].min())
        with self._lock:
            self._views[asked] = _Seen(live, since, until, view)
            if len(self._views) > self._most:
                del self._views[next(iter(self._views))]
