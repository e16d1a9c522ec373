"""What is known of every query, or of every cluster of queries, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..statistics.dispersion import Persons
from ..statistics.false_discoveries import adjusted_p_values
from ..statistics.group_rates import group_ratios, group_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..statistics.group_rates import GroupRates, Question

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SearchFacts:
    """What came of searches that name a query; arrays of shape (s,).

    Attributes
    ----------
    person : ndarray of int64
    zero_results : ndarray of bool
    listed : ndarray of bool
        Whether the log says what was shown, and something was.
    succeeded : ndarray of bool
    followed : ndarray of bool
        Whether another query followed in time, or a refinement was logged.
    visited : ndarray of bool
        Whether that is known.
    filtered : ndarray of bool
    engaged, examined, promised : ndarray of float64
        Sums over the displays: engagements, examination, and engagements that the features promise.
    """

    person: NDArray[np.int64]
    zero_results: Flags
    listed: Flags
    succeeded: Flags
    followed: Flags
    visited: Flags
    filtered: Flags
    engaged: Floats
    examined: Floats
    promised: Floats


SHARES = ("zero_results", "abandonment", "refinement", "filtering")
"""Columns of shares; each has `_lower`, `_upper` and `_q`, of being no higher than overall."""


def query_table(
    facts: SearchFacts, group: NDArray[np.int64], n_groups: int, question: Question
) -> pl.DataFrame:
    """Return one row for every group that has a search, in the order of the codes.

    `group`, shape (s,): of every search.

    Returns
    -------
    DataFrame
        ``group``, ``searches``, ``persons``; for each of `SHARES` four columns; ``engagement``
        (over examination) and ``promised``; ``ratio`` of the two with ``ratio_lower``,
        ``ratio_upper`` and ``ratio_q`` (of being as promised), and ``verdict``'s direction in
        ``ratio_direction``.
    """
    persons = Persons.of(group, facts.person, n_groups)
    columns: dict[str, object] = {
        "group": np.arange(n_groups),
        "searches": np.bincount(group, minlength=n_groups),
        "persons": persons.counts,
    }
    every = np.ones(len(group), np.bool_)
    events = {
        "zero_results": (facts.zero_results, every),
        "abandonment": (facts.listed & ~facts.succeeded, facts.listed),
        "refinement": (facts.followed & facts.visited, facts.visited),
        "filtering": (facts.filtered, every),
    }
    for name, (event, trial) in events.items():
        columns |= _share_columns(name, group_shares(persons, event, trial, question))
    columns |= _engagement_columns(persons, facts, question)
    return pl.DataFrame(columns).filter(pl.col("searches") > 0)


def _share_columns(name: str, found: GroupRates) -> dict[str, Floats]:
    return {
        name: found.value,
        f"{name}_lower": found.lower,
        f"{name}_upper": found.upper,
        f"{name}_q": adjusted_p_values(found.above),
    }


def _engagement_columns(
    persons: Persons, facts: SearchFacts, question: Question
) -> dict[str, object]:
    """Return engagement by examination beside what is promised."""
    found = group_ratios(persons, facts.engaged, facts.promised, question)
    examined = persons.group_sums(persons.sums(facts.examined))
    promised = persons.group_sums(persons.sums(facts.promised))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = promised / examined
    both = np.minimum(2.0 * np.fmin(found.above, found.below), 1.0)
    return {
        "examined": examined,
        "engagement": rate * found.value,
        "promised": rate,
        "ratio": found.value,
        "ratio_lower": found.lower,
        "ratio_upper": found.upper,
        "ratio_q": adjusted_p_values(both),
        "ratio_direction": np.where(found.above <= found.below, "above", "below"),
    }
