"""From displays to the position-corrected confidence that a user engages with a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from ...datasets.counts.cells import index_cells, sum_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]


class UserDisplays(NamedTuple):
    """Displays of documents to users; arrays of shape (n,)."""

    user: NDArray[np.int32]
    document: NDArray[np.int32]
    gain: Floats  # grade of the engagement, 0 where there was none
    negative: NDArray[np.bool_]  # whether a negative signal was logged
    examination: Floats  # relative to position 0
    weight: Floats  # of the display's age


def confidence(
    displays: UserDisplays, shape: tuple[int, int], prior_strength: float
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Return engagement and negatives of users with documents as `engagement_matrix` defines them.

    `shape`: users, documents. Indices are sorted, values above 0.
    """
    user, document, gain, negative, examination, weight = displays
    n_documents = shape[1]
    cell, first = index_cells((user.astype(np.int64) * n_documents + document).view(np.uint64))
    of_cell = document[first]
    gains = np.asarray(weight * gain, np.float64)
    examined = np.asarray(weight * examination, np.float64)
    C, E = (sum_by(cell, values, len(first)) for values in (gains, examined))
    rate = document_rates(of_cell, C, E, n_documents, prior_strength)
    value = (C + prior_strength * rate[of_cell]) / (E + prior_strength)
    against = np.where(negative, weight, np.where(gain > 0, 0.0, examined))
    N = sum_by(cell, against, len(first))
    rows = user[first]
    return _csr(rows, of_cell, value, C > 0, shape), _csr(rows, of_cell, N, N > 0, shape)


def document_rates(
    document: NDArray[np.int32],
    gains: NDArray[np.float64],
    examined: NDArray[np.float64],
    n_documents: int,
    strength: float,
) -> NDArray[np.float64]:
    """Return every document's gain by examined display, shrunk to that of all; shape (documents,).

    (C_d + k r) / (E_d + k), r = sum C / sum E; 0 where nothing was examined.
    """
    total = float(examined.sum())
    overall = float(gains.sum()) / total if total > 0 else 0.0
    index = document.astype(np.int64)
    C, E = (sum_by(index, values, n_documents) for values in (gains, examined))
    return (C + strength * overall) / (E + strength)


def _csr(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    values: NDArray[np.float64],
    kept: NDArray[np.bool_],
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    coordinates = (rows[kept], columns[kept])
    matrix = sparse.csr_matrix((values[kept].astype(np.float32), coordinates), shape)
    matrix.sort_indices()
    return matrix
