"""What a memory serves: relevance of documents by the sums of their query and the prior."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.ids import stable_id
from ...datasets.record.query_keys import canonical_query, words_of
from ...errors import InvalidInputError
from ..exposure.frequency_bands import band_of, band_of_query
from .cached_ids import MAX_CACHED, CachedIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .estimates import Estimates
    from .table import MemoryTable

    Floats = NDArray[np.float64]
    Ids = NDArray[np.uint64]

_CACHED_IDS: Final = 1 << 17

_cached_document_ids: Final = CachedIds(_CACHED_IDS // 2)


def _ids_of_other_forms(snapshot: str) -> tuple[int, ...]:
    """Return the ids of a query in canonical form and, of mere words, as logged."""
    canonical = canonical_query(snapshot)
    forms = [canonical]
    words = words_of(canonical)
    if words is not None:
        forms += [canonical_query(json.dumps(form)) for form in (words, {"query": words})]
    return tuple(dict.fromkeys(map(stable_id, forms)))


_cached_ids_of_other_forms = lru_cache(_CACHED_IDS)(_ids_of_other_forms)


def query_ids(query: Any) -> Iterator[int]:
    """Return the ids under which a query may be stored, each made when it is asked for.

    As a query id, and in its canonical form; one that is nothing but words also as the words alone
    and as ``{"query": words}``, since logs and judgements may name it in either way.

    Raises InvalidInputError if it is neither text nor a dict.
    """
    if isinstance(query, str):
        snapshot = query
    elif isinstance(query, dict):
        snapshot = json.dumps(query)
    else:
        msg = f"query: expected text or a dict, got {type(query).__name__}"
        raise InvalidInputError(msg)
    return _ids_of_forms(snapshot)


def _ids_of_forms(snapshot: str) -> Iterator[int]:
    yield stable_id(snapshot)
    is_cached = len(snapshot) <= MAX_CACHED
    yield from (_cached_ids_of_other_forms if is_cached else _ids_of_other_forms)(snapshot)


@dataclass(frozen=True)
class ServedMemory:
    """A table of sums with the estimates that give relevance."""

    table: MemoryTable
    estimates: Estimates

    def relevance(
        self, query: Any, feature_ids: Sequence[str], scores: NDArray[np.floating]
    ) -> Floats | None:
        """Return (C + k p) / (E + k) of documents; None where the query is not served.

        `scores`: those of the prior, which p is calibrated from.
        """
        table = self.table
        found = next((n for n in map(table.find, query_ids(query)) if n is not None), None)
        if found is None:
            return None
        band = band_of_query(float(table.impressions[found]))
        if not self.estimates.served[band]:
            return None
        documents = _cached_document_ids.ids_of(feature_ids)
        k = self.estimates.strength.bands[band].strength
        return self._mixed(table.rows(found, documents), k, self.estimates.calibration(scores))

    def relevance_of_pairs(
        self, query: Ids, document: Ids, scores: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Return the number of every row's query, -1 for none, and the row's relevance.

        Every band is served; rows of unknown queries keep their score.
        """
        number, row = self.table.rows_of(query, document)
        k = self.estimates.strength.by_band[band_of(self.impressions(number))]
        mixed = self._mixed(row, k, self.estimates.calibration(scores))
        return number, np.where(number >= 0, mixed, scores)

    def impressions(self, number: NDArray[np.int64]) -> Floats:
        """Return the impressions of queries by their number, 0 for -1."""
        return np.append(self.table.impressions, 0).astype(np.float64)[number]

    def _mixed(self, row: NDArray[np.int64], k: float | Floats, p: Floats) -> Floats:
        known = row >= 0
        if not known.any():
            return p
        table = self.table
        counted = (table.clicks[row], table.exposure[row])
        clicks, exposure = (
            np.where(known, values.astype(np.float64) + judged, 0.0)
            for values, judged in zip(counted, table.judged_at(row), strict=True)
        )
        return np.asarray((clicks + k * p) / (exposure + k))
