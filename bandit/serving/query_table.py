"""Sums of the queries that have weights of their own, looked up by request."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..._shared.ids import NO_ID
from ..base.sums import QuerySums
from ..evidence.query_sums import read_queries
from ..interactions.live_event import query_key

if TYPE_CHECKING:
    from ..evidence.decayed_sums import DecayedSums
    from ..interactions.live_event import Query


class QueryTable(NamedTuple):
    """Sums by query at the time of a posterior."""

    sums: DecayedSums
    arms: tuple[str, ...]
    time: int  # of the posterior, in microseconds
    half_life_us: float

    def find(self, query: Query | None) -> QuerySums | None:
        """Return the sums of a query; None where nothing is known of it.

        Raises InvalidInputError if the query is neither text nor a mapping.
        """
        return self.at(query_key(query))

    def at(self, key: int) -> QuerySums | None:
        """Return the sums of a query by its id; None where nothing is known of it."""
        one = None if key == NO_ID else self.sums.get(np.uint64(key))
        if one is None:
            return None
        return QuerySums.of(read_queries(one, self.arms, self.time, self.half_life_us))
