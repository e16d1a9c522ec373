"""Which searches are not independent of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches

ADVICE: Final = (
    "intervals do not allow for one person searching several times and are too narrow if that "
    "happens; log user_id, for which a pseudonym is enough"
)


class SearchClusters(NamedTuple):
    """Clusters of searches.

    `codes`, shape (n,): cluster of every search, without gaps. `by`: what they are, in words.
    `is_user`, shape (n,): whether the search names its user. `note`: what the reader should know,
    if anything.
    """

    codes: NDArray[np.int64]
    by: str
    is_user: NDArray[np.bool_]
    note: str | None


def clusters_of(searches: Searches) -> SearchClusters:
    """Return the user of every search, else its session, else the search itself."""
    user, session = searches.user, searches.session
    n = len(searches)
    # Sessions and single searches follow the users' codes.
    codes = np.where(user.known, user.codes.astype(np.int64), -1)
    by_session = ~user.known & session.known
    codes = np.where(by_session, len(user.texts) + session.codes.astype(np.int64), codes)
    alone = ~user.known & ~session.known
    codes = np.where(alone, len(user.texts) + len(session.texts) + np.arange(n), codes)
    _, codes = np.unique(codes, return_inverse=True)
    kinds = {"user": user.known, "session": by_session, "search": alone}
    present = [name for name, chosen in kinds.items() if chosen.any()]
    return SearchClusters(
        codes.astype(np.int64),
        ", else ".join(present) or "search",
        user.known,
        _note(float(np.mean(user.known)) if n else 0.0, present),
    )


def _note(share: float, present: list[str]) -> str | None:
    if present in (["user"], []):
        return None
    rest = " and ".join(present[1:] if "user" in present else present)
    return (
        f"{1 - share:.0%} of the searches name no user: they are clustered by {rest}, so {ADVICE}"
    )
