"""Training pairs in Spark: a DataFrame, the report, and counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..counts.click_counts import check_context, check_counted
from ..counts.pair_counts import n_considered
from ..loading.finish import finish
from ..loading.merge import merge_parts
from ..loading.side_tables import SideTables
from ..pairs.array_storage import InMemory
from ..pairs.feature_columns import DAY
from .account import report_of, unknown_context
from .collected import collect_part
from .counts import CellColumns, collect_counts
from .log_columns import quoted
from .result_rows import PAIR, REFUSED, ResultSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from ..counts.click_counts import ClickCounts, StateName
    from ..loading.settings import LoadSettings
    from ..pairs.load_report import LoadReport
    from ..pairs.training_pairs import TrainingPairs
    from .facts import Facts

_NAMES = (
    *("execution_id", "query_id", "has_query", "user_id", "time", "document_id", "position"),
    *("last_click", "y", "clicked", "negative", "document_score"),
)


@dataclass(frozen=True, eq=False)
class SparkPairs:
    """What `build_pairs` returns: pairs where the log lies.

    Nothing but facts of the log as a whole (counts, documents that no pair has, channels) is on
    the driver.

    Attributes
    ----------
    rows : DataFrame
        Rows that the tasks returned, of several kinds; `pairs` and `quarantine` are views of it.
    settings : LoadSettings
    facts : Facts
    """

    rows: DataFrame
    settings: LoadSettings
    facts: Facts

    def __repr__(self) -> str:
        """Say the sizes, not the contents."""
        lists = self.facts.lists
        return (
            f"SparkPairs({lists.pairs:,} pairs, {lists.executions:,} executions, "
            f"{lists.clicked:,} clicked)"
        )

    @property
    def pairs(self) -> DataFrame:
        """One row per pair, to be written or queried.

        Columns, named as in `TrainingPairs.to_pandas` where it has them:

        - ``execution_id``, ``query_id``; ``has_query``: whether a row of the execution names the
          query; ``user_id``; columns of context; ``time`` of the execution's first event;
        - ``document_id``; ``position`` (0-based); ``last_click``: position of the last click above
          in the list, null without one; ``y``: the grade; ``clicked``, ``negative``;
          ``document_score``, null where it was not logged;
        - ``age_days``, null without a time, and ``weight``, as in `TrainingPairs`;
        - ``feature:NAME`` for each of the log's own features that any row has.

        A column of context that has the name of another of these becomes ``context:NAME``.
        """
        schema = self._schema
        taken = {*_NAMES, "age_days", "weight"}
        context = [
            f"{column} AS {quoted(f'context:{name}' if name in taken else name)}"
            for column, name in zip(schema.context_columns, schema.context, strict=True)
        ]
        features = [
            f"{column} AS {quoted(f'feature:{name}')}"
            for column, name in zip(schema.feature_columns, schema.features, strict=True)
            if self.facts.filled[name]
        ]
        return self.rows.filter(f"kind = '{PAIR}'").selectExpr(
            *_NAMES[:5],
            *context,
            *_NAMES[5:],
            f"CAST({self._age} AS FLOAT) AS age_days",
            f"CAST({self._weight} AS FLOAT) AS weight",
            *features,
        )

    @property
    def quarantine(self) -> DataFrame:
        """Refused rows: ``row``, ``field``, ``value`` and ``reason``.

        Rows of a DataFrame have no number. ``row`` holds what its columns of ids say of it, as
        JSON: those of ``interaction_id``, ``execution_id``, ``session_id`` and ``feature_id``,
        under the names that they have in the DataFrame.
        """
        columns = ("row", "field", "value", "reason")
        return self.rows.filter(f"kind = '{REFUSED}'").selectExpr(*map(quoted, columns))

    @property
    def report(self) -> LoadReport:
        """The account of every row; without bots and features, which need pairs on the driver."""
        return report_of(self.facts, self.settings)

    def to_training_pairs(
        self, *, features: Any = None, judgments: Any = None, drop_bots: bool = False
    ) -> TrainingPairs:
        """Bring the pairs to the driver: those of `load_pairs` from the same rows.

        Parameters
        ----------
        features, judgments, drop_bots
            See `load_pairs`; tables are paths or tables on the driver.

        Returns
        -------
        TrainingPairs

        Raises
        ------
        IntegrityError
            If Spark returns other rows than its tasks counted.
        InvalidInputError, UnreadableSourceError
            If a parameter or a table is wrong.
        """
        settings = replace(self.settings, drop_bots=drop_bots)
        tables = SideTables.read(settings, features=features, impressions=None, judgments=judgments)
        facts = self.facts
        filled = [name for name in settings.builtin_features if facts.filled[name]]
        part = collect_part(self.rows, self._schema, filled, facts)
        return finish(
            merge_parts([part]),
            settings,
            tables,
            InMemory(),
            scans=[facts.reading.scan_counts(settings)],
            filled=facts.filled,
            unknown_context=unknown_context(facts, settings),
        )

    def click_counts(
        self,
        states: StateName = "position",
        *,
        by: str | None = None,
        weighted: bool = True,
        max_position: int | None = None,
    ) -> ClickCounts:
        """Count on the executors, and bring the counts to the driver.

        Parameters
        ----------
        states, by, weighted, max_position
            See `rankloom.datasets.click_models.click_counts`.

        Returns
        -------
        ClickCounts
            Those of `click_counts` on the pairs of `load_pairs`, except that `row` is -1: counts of
            weights to rounding, others exactly.

        Raises
        ------
        InvalidInputError
            If a parameter is invalid.
        """
        columns = self._cell_columns(states, by, weighted=weighted, max_position=max_position)
        return collect_counts(self.rows, columns, by, self.facts)

    def count_cells(
        self,
        states: StateName = "position",
        *,
        by: str | None = None,
        weighted: bool = True,
        max_position: int | None = None,
    ) -> DataFrame:
        """Return the counts of `click_counts` as a DataFrame, where they lie.

        Columns: ``query_id``, ``has_query``, ``document_id``, ``position``, ``last_click`` (with
        that state; -1 where nothing above was clicked), ``context`` (with `by`), and the sums
        ``shown`` and ``clicks``.
        """
        columns = self._cell_columns(states, by, weighted=weighted, max_position=max_position)
        return columns.cells(self.rows).drop("first_time")

    def _cell_columns(
        self, states: StateName, by: str | None, *, weighted: bool, max_position: int | None
    ) -> CellColumns:
        check_counted(states, max_position)
        schema = self._schema
        if by is not None:
            check_context(by, schema.context, "build_pairs")
        highest = np.array([self.facts.lists.highest_position], np.int32)
        return CellColumns(
            states,
            None if by is None else schema.context_columns[schema.context.index(by)],
            self._weight if weighted and self.settings.half_life is not None else None,
            n_considered(highest, max_position),
        )

    @property
    def _schema(self) -> ResultSchema:
        return ResultSchema.of(self.settings)

    @property
    def _age(self) -> str:
        """Expression of the age of an execution in days."""
        now = self.settings.now
        now = self.facts.latest if now is None else now
        age = f"greatest({now}L - unix_micros(time), 0L) / {float(DAY)!r}D"
        return f"CASE WHEN time IS NOT NULL THEN {age} END"  # greatest passes over NULL

    @property
    def _weight(self) -> str:
        """Expression of the recency weight of an execution."""
        half_life, lists = self.settings.half_life, self.facts.lists
        if half_life is None:
            return "1.0D"
        newest = f"({lists.newest}L - unix_micros(time)) / {float(DAY)!r}D"
        mean = lists.weights / lists.executions
        age = f"greatest({newest}, 0.0D)"  # of the newest: executions after `now` are as new
        return f"pow(2.0D, -{age} / {float(half_life)!r}D) / {mean!r}D"
