"""Whether retrievers served the same traffic: the same queries, users and times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..statistics.association import association

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .traffic import Traffic

    Codes = NDArray[np.int64]

LEVEL: Final = 0.001
MIN_STRENGTH: Final = 0.05
"""A mix differs if the test says so and the association is not negligible: large logs show that
almost everything differs a little."""

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
_NO_TIME: Final = np.iinfo(np.int64).min


class Check(NamedTuple):
    """One comparison of the traffic of a retriever with that of the baseline.

    Attributes
    ----------
    retriever : str
    aspect : str
        "query", "query frequency", "day", "hour", "weekday", "searches of the user", or the name
        of a field.
    p : float
        Of the chi-squared test, over one search of each user.
    strength : float
        Cramer's V without its bias.
    shared : float
        Share of the two retrievers' searches with a value that both have.
    differs : bool
    """

    retriever: str
    aspect: str
    p: float
    strength: float
    shared: float
    differs: bool


def check_traffic(traffic: Traffic) -> list[Check]:
    """Compare the traffic of every retriever with that of the baseline."""
    aspects = aspects_of(traffic)
    return [
        _check(traffic, retriever, name, codes)
        for retriever in range(1, len(traffic.names))
        for name, codes in aspects.items()
    ]


def aspects_of(traffic: Traffic) -> dict[str, Codes]:
    """Return classes of searches by which traffic may differ, -1 where unknown."""
    searches = traffic.searches
    found: dict[str, Codes] = {}
    if searches.query.known.any():
        query = searches.query.codes.astype(np.int64)
        found["query"] = query
        found["query frequency"] = _doubling(query, searches.query.known)
    if searches.timed.any():
        time = searches.time.astype(np.int64)
        classes = {
            "day": time // DAY,
            "hour": time // HOUR % 24,
            "weekday": (time // DAY + 3) % 7,
        }
        for name, code in classes.items():
            found[name] = np.where(time == _NO_TIME, -1, code)
    if traffic.clusters.is_user.any():
        clusters = traffic.clusters
        found["searches of the user"] = _doubling(clusters.codes, clusters.is_user)
    for name, column in searches.context.items():
        if name in traffic.balance:
            found[name] = column.codes.astype(np.int64)
    return found


def _doubling(codes: Codes, known: NDArray[np.bool_]) -> Codes:
    """Return how often each code occurs as a class: once, 2 to 3 times, 4 to 7 and so on."""
    count = np.bincount(codes[known], minlength=1)
    classes = np.frexp(np.maximum(count, 1))[1].astype(np.int64) - 1
    return np.where(known, classes[np.where(known, codes, 0)], -1)


def _check(traffic: Traffic, retriever: int, aspect: str, codes: Codes) -> Check:
    independent = traffic.one_of_each_cluster
    chosen = independent[traffic.between(retriever)[independent]]
    found = association(codes[chosen], traffic.retriever[chosen])
    return Check(
        traffic.names[retriever],
        aspect,
        found.p,
        found.strength,
        _shared(traffic, retriever, codes),
        bool(found.p < LEVEL and found.strength >= MIN_STRENGTH),
    )


def _shared(traffic: Traffic, retriever: int, codes: Codes) -> float:
    """Return the share of searches whose class both retrievers have."""
    known = codes >= 0
    ours, theirs = (codes[known & (traffic.retriever == side)] for side in (retriever, 0))
    both = np.intersect1d(ours, theirs)
    n = len(ours) + len(theirs)
    return float((np.isin(ours, both).sum() + np.isin(theirs, both).sum()) / n) if n else np.nan


def strata_of(checks: list[Check], retriever: str) -> list[tuple[str, ...]]:
    """Return by what to standardise the comparison of a retriever: what differs, if anything.

    The weekday is only taken where the day is not, and the frequency of queries where the query is
    not.
    """
    differing = [check.aspect for check in checks if check.retriever == retriever and check.differs]
    usable = [name for name in differing if name != "searches of the user"]
    for finer, coarser in (("day", "weekday"), ("query", "query frequency")):
        if finer in usable:
            usable = [name for name in usable if name != coarser]
    alone = [("query",)] if "query" in usable and len(usable) > 1 else []
    return [*alone, *([tuple(usable)] if usable else [])]


def stratum_codes(aspects: dict[str, Codes], names: tuple[str, ...]) -> Codes:
    """Return the combination of classes of every search, -1 where any is unknown."""
    codes = np.zeros(len(next(iter(aspects.values()))), np.int64)
    known = np.ones(len(codes), np.bool_)
    for name in names:
        own = aspects[name]
        known &= own >= 0
        _, dense = np.unique(own, return_inverse=True)
        codes = codes * (int(dense.max(initial=0)) + 1) + dense
        _, codes = np.unique(codes, return_inverse=True)
    return np.where(known, codes, -1)


def sentence(check: Check, baseline: str) -> str:
    """Say what differs between the traffic of a retriever and that of the baseline."""
    pair = f"{check.retriever} and {baseline}"
    what = {
        "query": f"{pair} were not given the same queries",
        "query frequency": f"{pair} differ in how frequent their queries are",
        "day": f"{pair} did not serve the same days in the same proportion",
        "hour": f"{pair} served different hours of the day",
        "weekday": f"{pair} served different days of the week",
        "searches of the user": (
            f"users of {pair} differ in how much they search: they are other users, or the "
            "retriever changed that"
        ),
    }.get(check.aspect, f"{pair} differ in {check.aspect}")
    return (
        f"{what} (association {check.strength:.2f}, {check.shared:.0%} of the searches in values "
        "that both have)"
    )
