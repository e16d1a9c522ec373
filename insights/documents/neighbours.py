"""Engagement with a document against that with the documents above and below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ...datasets.counts.cells import index_cells, sum_by
from ..statistics.dispersion import Persons
from ..statistics.group_rates import MIN_PERSONS
from ..statistics.two_rates import rate_above, rate_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches

    Floats = NDArray[np.float64]

MIN_DUE: Final = 2.0
"""Engagements due by examination and the overall rate; where fewer are due, none can be seen to be
missing. Such documents are not tested for disappointing, which would cost the others power."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Every document of every query beside those that stood above and below it; arrays of (p,).

    Attributes
    ----------
    query, document : ndarray of int64
        Codes.
    displays, persons : ndarray of int64
    position : ndarray of float64
        Mean, 0-based.
    engaged, examined : ndarray of float64
    above_engaged, above_examined, below_engaged, below_examined : ndarray of float64
        Of the other documents in the same lists.
    wanted, disappointing : ndarray of float64
        p-values of not being engaged with more than those above, or less than those below; NaN
        where not tested.
    """

    query: NDArray[np.int64]
    document: NDArray[np.int64]
    displays: NDArray[np.int64]
    persons: NDArray[np.int64]
    position: Floats
    engaged: Floats
    examined: Floats
    above_engaged: Floats
    above_examined: Floats
    below_engaged: Floats
    below_examined: Floats
    wanted: Floats
    disappointing: Floats


def compare_neighbours(
    searches: Searches, examination: Floats, person: NDArray[np.int64], tolerance: float
) -> Neighbours:
    """Return every document of every query beside its neighbours in the same lists.

    Counts are divided by the dispersion of the pair's own (`Persons.dispersion_of_counts`), which
    allows for persons who see it often. A search without a query is none's, and left out.

    Parameters
    ----------
    searches : Searches
    examination : ndarray of float64, shape (n,)
        0 where a display is not to count.
    person : ndarray of int64, shape (e,)
    tolerance : float
        Relative difference that is of no interest.
    """
    displays = searches.displays
    query = searches.query.codes[displays.search]
    used = np.flatnonzero((examination > 0) & (query >= 0))
    engaged = displays.engaged[used].astype(np.float64)
    examined, search = examination[used], displays.search[used]
    above, below = _around(search, displays.position[used], np.stack([engaged, examined]))
    n_documents = max(len(displays.document.texts), 1)
    packed = query[used].astype(np.int64) * n_documents + displays.document.codes[used]
    pair, first = index_cells(packed.astype(np.uint64))
    n = len(first)
    persons = Persons.of(pair, person[search], n)
    sums = [sum_by(pair, values, n) for values in (engaged, examined, *above, *below)]
    counts = persons.sums(engaged)
    phi = persons.dispersion_of_counts(counts, persons.sums(examined))
    clicks, seen, above_clicks, above_seen, below_clicks, below_seen = sums
    tested = persons.counts >= MIN_PERSONS
    due = seen * clicks.sum() / max(float(seen.sum()), 1e-300)
    # Both sides of the comparison over the dispersion: exposures only matter by their ratio.
    own = (clicks / phi, seen)
    wanted = rate_above(*own, above_clicks / phi, above_seen, 1.0 + tolerance)
    low = rate_below(*own, below_clicks / phi, below_seen, 1.0 + tolerance)
    shown = np.bincount(pair, minlength=n)
    return Neighbours(
        query=packed[first] // n_documents,
        document=packed[first] % n_documents,
        displays=shown,
        persons=persons.counts,
        position=sum_by(pair, displays.position[used].astype(np.float64), n) / shown,
        engaged=clicks,
        examined=seen,
        above_engaged=above_clicks,
        above_examined=above_seen,
        below_engaged=below_clicks,
        below_examined=below_seen,
        wanted=np.where(tested, wanted, np.nan),
        disappointing=np.where(tested & (due >= MIN_DUE), low, np.nan),
    )


def _around(
    search: NDArray[np.int32], position: NDArray[np.int32], values: Floats
) -> tuple[Floats, Floats]:
    """Return the sums of values over the displays above and below each in its list; shape (k, n).

    Displays are in order of search and position; those that share a position are neither.
    """
    if not len(search):
        return values, values
    upto = np.cumsum(values, axis=1)
    before = upto - values
    new_list = np.diff(search, prepend=-1) != 0
    new_place = new_list | (np.diff(position, prepend=-1) != 0)
    starts, places = np.flatnonzero(new_list), np.flatnonzero(new_place)
    of_list, of_place = np.cumsum(new_list) - 1, np.cumsum(new_place) - 1
    list_end = np.append(starts[1:], len(search)) - 1
    place_end = np.append(places[1:], len(search)) - 1
    above = before[:, places[of_place]] - before[:, starts[of_list]]
    below = upto[:, list_end[of_list]] - upto[:, place_end[of_place]]
    # Sums of differences may fall short of 0 by rounding.
    return np.maximum(above, 0.0), np.maximum(below, 0.0)
