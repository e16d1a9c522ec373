"""The examination that rates are corrected by, also where the log identifies none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .searches import Searches


def examined(searches: Searches) -> tuple[NDArray[np.float64], list[str]]:
    """Return the weight of every display as examination, and what the reader should know of it.

    0 where the search does not say what was shown. Where the examination is unknown,
    1 / (position + 1) is assumed, and a note says so.

    Returns
    -------
    examination : ndarray of float64, shape (n,)
    notes : list of str
    """
    displays, notes = searches.displays, []
    if displays.examination is not None:
        examination = displays.examination.astype(np.float64)
    else:
        examination = 1.0 / (displays.position.astype(np.float64) + 1.0)
        if len(displays):
            notes.append(
                "examination 1 / (position + 1) is assumed, because the log's own is unknown: "
                f"{searches.examination_unknown}"
            )
    unseen = ~searches.exposed & (searches.shown > 0)
    if unseen.any():
        notes.append(
            f"{int(unseen.sum()):,} searches name clicked documents only, and count for no rate by "
            "display: log an impression for every shown document"
        )
    return np.where(searches.exposed[displays.search], examination, 0.0), notes
