"""Live units as a session keeps them: what one of them said at one revision of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ._ids import NO_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._units import Units

VERSION: Final = np.dtype(
    [
        ("execution", np.uint64),
        ("document", np.uint64),
        ("user", np.uint64),
        ("segment", np.uint64),
        ("time", np.int64),
        ("position", np.int32),
        ("arm", np.int16),
        ("plus", np.uint8),
        ("minus", np.uint8),
        ("flags", np.uint8),
        ("unit", np.int32),
        ("revision", np.int64),
    ],
    align=True,
)
"""A unit from a revision on; see `UNIT`.

Segments go by their ids, so that they mean the same in every state; ``unit`` is the number of the
unit within its session.
"""

SAID: Final = ("user", "segment", "time", "position", "arm", "plus", "minus", "flags")
"""What tells two versions of a unit apart, but for their scores."""

_COPIED: Final = ("execution", "document", *(name for name in SAID if name != "segment"))


class Version(NamedTuple):
    """One version in plain numbers, in the order of `VERSION`."""

    execution: int
    document: int
    user: int
    segment: int
    time: int
    position: int
    arm: int
    plus: int
    minus: int
    flags: int
    unit: int
    revision: int

    @property
    def said(self) -> tuple[int, ...]:
        """What tells it from other versions of its unit."""
        return self[2:-2]

    @classmethod
    def of(cls, units: Units, at: int, revision: int) -> Version:
        """Read one unit."""
        found = units.records[at].item()
        execution, document, user, _, time, _, position, segment, _, arm, plus, minus, flags = found
        named = NO_ID if segment < 0 else int(units.segments.ids[segment])
        return cls(
            *(execution, document, user, named, time, position),
            *(arm, plus, minus, flags, 0, revision),
        )


class Versions(NamedTuple):
    """Units as they are at one revision.

    Attributes
    ----------
    sessions : ndarray of uint64, shape (n,)
    records : ndarray of VERSION, shape (n,)
    scores : ndarray of float64, shape (n, 2, arms), or None
        Scores as fused and contributions, NaN where unknown; None where no unit has any.
    """

    sessions: NDArray[np.uint64]
    records: NDArray[np.void]
    scores: NDArray[np.float64] | None

    @classmethod
    def of(cls, units: Units, at: NDArray[np.intp], revision: int) -> Versions:
        """Read some units."""
        found = units.records[at]
        records = np.zeros(len(at), VERSION)
        for name in _COPIED:
            records[name] = found[name]
        records["revision"] = revision
        if len(units.segments):
            named = found["segment"] >= 0
            records["segment"] = np.where(named, units.segments.ids[found["segment"]], NO_ID)
        scored = found["scored"]
        if scored.max(initial=-1) < 0:
            return cls(found["session"], records, None)
        scores = np.full((len(at), 2, len(units.arms)), np.nan)
        has = scored >= 0
        scores[has, 0] = units.scores[scored[has]]
        scores[has, 1] = units.contributions[scored[has]]
        return cls(found["session"], records, scores)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Versions:
        """Return some of them."""
        scores = None if self.scores is None else self.scores[chosen]
        return Versions(self.sessions[chosen], self.records[chosen], scores)

    def by_session(self) -> list[tuple[int, Versions]]:
        """Return the versions of every session."""
        if len(self.sessions) == 1:
            return [(int(self.sessions[0]), self)]
        return [(session, self.only(which)) for session, which in grouped(self.sessions)]

    def has_scores(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of them have these scores; shape as of `scores`."""
        ours = np.full_like(scores, np.nan) if self.scores is None else self.scores
        same = (ours == scores) | (np.isnan(ours) & np.isnan(scores))
        return np.asarray(same.all(axis=(1, 2)))


def scores_of(units: Units, at: int) -> NDArray[np.float64] | None:
    """Return scores and contributions of one unit, shape (2, arms); None where it has none."""
    scored = int(units.records["scored"][at])
    if scored < 0:
        return None
    return np.array((units.scores[scored], units.contributions[scored]))


def grouped(names: NDArray[np.uint64]) -> list[tuple[int, NDArray[np.intp]]]:
    """Return where every name stands."""
    if not len(names):
        return []
    order = np.argsort(names, kind="stable")
    found, starts = np.unique(names[order], return_index=True)
    return list(zip(found.tolist(), np.split(order, starts[1:]), strict=True))
