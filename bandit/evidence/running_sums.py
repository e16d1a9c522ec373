"""Sums of all evidence, brought up to date by what changed since, whatever there is in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.ids import NO_ID
from ...errors import StoreError
from ..base.timestamps import NO_TIME
from ..units.record import UnitBatch
from .current_sums import CurrentSums
from .sum_tables import SumTables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Protocol

    from ..units.array_memory import ArrayMemory
    from ..units.fold_arrays import RowArrays
    from ..units.unit_table import UnitTable
    from .decayed_sums import DecayedSums

    class SumOf(Protocol):
        """Sums units, those of queries for at most so many."""

        def __call__(
            self, batch: UnitBatch, kinds: Collection[str], max_queries: int | None = None
        ) -> SumTables:
            """Return the tables of some kinds."""
            ...


SUMMED_AT_ONCE: Final = 200_000
"""Units that one step adds up: some 50 ms, for which everybody else has to wait."""

LARGEST_SHARE: Final = 0.25
"""Share of changed units beyond which all are summed anew."""

_UNLIMITED: Final = (1 << 63) - 1


class RunningSums:
    """Sums of closed and open units, in which a unit that changes is replaced by difference.

    A unit that was summed is kept as it was when it changes for the first time; the next step sums
    both, and subtracts what it was. Units that are new are added. So a step costs what changed.
    Subtraction leaves rounding errors of some 1e-16 of the sums, which make no count negative.

    There are sums by query as long as there are no more queries than may have some. Beyond that,
    those with the oldest evidence are left out, which no difference can take back: from then on all
    units are added up again whenever these sums are read.

    `closed`: the sums of closed units. `sum_of`: sums open ones. `memory`: where the sums of many
    users lie.
    """

    def __init__(
        self,
        closed: SumTables,
        sum_of: SumOf,
        half_life_us: float,
        max_queries: int,
        memory: ArrayMemory,
    ) -> None:
        self.closed, self._sum_of, self._memory = closed, sum_of, memory
        self._half_life, self._max_queries = half_life_us, max_queries
        self._nothing = SumTables(*(part.select(slice(0)) for part in closed))
        self._begin()

    def _begin(self) -> None:
        self._tables = CurrentSums.of(self.closed, self._memory)
        self._kinds: frozenset[str] = frozenset()
        self._summed = 0
        self._before: dict[int, UnitBatch] = {}
        self._too_many_queries = False

    def note_rows(self, units: UnitTable, rows: RowArrays) -> None:
        """Keep the units that rows are about to be folded into."""
        if not self._summed:
            return
        if len(rows.time) > LARGEST_SHARE * self._summed:
            self._begin()
        else:
            self.note(units, np.unique(units.find_all(*rows.keys())).tolist())

    def note(self, units: UnitTable, at: Iterable[int]) -> None:
        """Keep units that are about to change; -1 stands for one that is about to come."""
        before = self._before
        for place in at:
            if 0 <= place < self._summed and place not in before:
                before[place] = units.part(place, place + 1).take(slice(None))
        if len(before) > LARGEST_SHARE * self._summed:
            self._begin()

    def step(self, units: UnitTable, kinds: Collection[str]) -> bool:
        """Add up what changed, and of what is new no more than one step may.

        Returns whether one more step would do all of the rest. Raises StoreError if the disk is
        full: then the next step does what was left.
        """
        try:
            return self._step(units, kinds)
        except StoreError:
            raise
        except BaseException:  # wherever it came, such as an interrupt: begin anew
            self._begin()
            raise
        finally:
            units.give_back()

    def _step(self, units: UnitTable, kinds: Collection[str]) -> bool:
        self._replace_changed(units)
        missing = frozenset(kinds) - self._kinds
        if missing:
            self._add(units.part(0, self._summed), missing)
            self._kinds |= missing
        end = min(len(units), self._summed + SUMMED_AT_ONCE)
        if end > self._summed:
            self._add(units.part(self._summed, end), self._kinds)
            self._summed = end
        return len(units) - end <= SUMMED_AT_ONCE

    def tables(self, units: UnitTable, kinds: Collection[str]) -> CurrentSums:
        """Return the sums of all units as they are now; those of other kinds mean nothing."""
        tables = self._up_to_date(units, kinds)
        if "queries" in kinds and self._too_many_queries:
            return tables._replace(queries=self._newest_queries(units.batch))
        return tables

    def frozen(self, units: UnitTable, kinds: Collection[str]) -> FrozenSums:
        """Return the sums as they are now, to be read while units change."""
        tables = self._up_to_date(units, kinds)
        if "queries" not in kinds or not self._too_many_queries:
            return FrozenSums(tables)
        batch = units.batch.take(slice(None))
        return FrozenSums(tables, lambda: self._newest_queries(batch))

    def _up_to_date(self, units: UnitTable, kinds: Collection[str]) -> CurrentSums:
        self.step(units, kinds)
        while self._summed < len(units):
            self.step(units, kinds)
        return self._tables

    def _newest_queries(self, batch: UnitBatch) -> DecayedSums:
        return self.closed.queries.add(self._sum_of(batch, {"queries"}).queries, self._half_life)

    def _replace_changed(self, units: UnitTable) -> None:
        if not self._before:
            return
        before = UnitBatch.joined(list(self._before.values()))
        after = units.batch.take(np.fromiter(self._before, np.intp, len(self._before)))
        # What is summed again is rounded again: a row that comes twice must not show in the sums.
        changed = after.differs(before)
        if not changed.any():
            self._before.clear()
            return
        before, after = before.take(changed), after.take(changed)
        if self._is_of_others(before, after):
            self._begin()
            return
        added, taken = (self._sum_of(each, self._kinds, _UNLIMITED) for each in (after, before))
        kinds = self._kept(self._kinds)
        self._tables = self._tables.exchange(added, taken, self._half_life, kinds)
        self._before.clear()
        self._count_queries()

    def _is_of_others(self, before: UnitBatch, after: UnitBatch) -> bool:
        """Return whether the newest unit is another one now, or a query may have lost its last.

        Sums are as of the newest unit, and a query has sums even if they are all 0.
        """
        newest = int(before.records["time"].max())
        if newest > after.records["time"].max() and newest >= self._newest():
            return True
        queries = before.records["query"], after.records["query"]
        return bool(((queries[0] != NO_ID) & (queries[0] != queries[1])).any())

    def _add(self, batch: UnitBatch, kinds: Collection[str]) -> None:
        exchanged = self._sum_of(batch, kinds, _UNLIMITED), self._nothing
        self._tables = self._tables.exchange(*exchanged, self._half_life, self._kept(kinds))
        self._count_queries()

    def _count_queries(self) -> None:
        if len(self._tables.queries) > self._max_queries:
            self._too_many_queries = True
            self._tables = self._tables._replace(queries=self.closed.queries)

    def _kept(self, kinds: Collection[str]) -> Collection[str]:
        return set(kinds) - {"queries"} if self._too_many_queries else kinds

    def _newest(self) -> int:
        times = self._tables.groups.times, self._tables.linear.times
        return max(int(each.max(initial=NO_TIME)) for each in times)


class FrozenSums:
    """Sums that do not change any more.

    `tables`: of everything. `late`: adds the sums of too many queries up, when they are read.
    """

    def __init__(self, tables: CurrentSums, late: Callable[[], DecayedSums] | None = None) -> None:
        self._tables, self._late = tables, late

    def tables(self, kinds: Collection[str]) -> CurrentSums:
        """Return the sums."""
        if "queries" in kinds and self._late is not None:
            self._tables, self._late = self._tables._replace(queries=self._late()), None
        return self._tables
