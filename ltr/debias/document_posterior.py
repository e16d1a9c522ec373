"""What is known of every document of a log's queries: a Gamma posterior of its relevance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]


@dataclass(frozen=True)
class DocumentPosterior:
    """P(click | examined) of every (query, document), in the order of queries; shape (m,) each."""

    query: Integers  # index into the pairs' queries
    document: Integers  # index into the pairs' documents
    shown: NDArray[np.bool_]
    clicks: Floats  # of the log
    exposure: Floats
    judged_exposure: Floats  # that judgements count as
    shape: Floats  # of the Gamma posterior; its mean is shape / rate
    rate: Floats
