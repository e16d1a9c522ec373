"""Behaviour as of one moment: a table for each level, looked up for new candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from .names import AGE, LEVELS, SINCE, column_name

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


@dataclass(frozen=True)
class BehaviourTables:
    """What a log knew of documents, queries and users before one moment.

    Attributes
    ----------
    as_of : datetime
        UTC; events before it were counted.
    tables : dict of str to DataFrame
        Level -> its keys, such as ``query_id`` and ``feature_id``, and its features.
    overall : dict of str to float
        Window -> clicks by examination of all displays, to which those of documents are shrunk.
    categories : DataFrame or None
        ``feature_id`` and ``category`` of documents whose category a table gave.

    Examples
    --------
    >>> import datetime as dt
    >>> from rankloom.datasets import behaviour_features
    >>> shown = {"execution_id": "e", "query_snapshot": {"query": "q"}, "timestamp": "2026-01-01"}
    >>> rows = [
    ...     {**shown, "feature_id": d, "position": i, "interaction_type": ["impression"]}
    ...     for i, d in enumerate("ab")
    ... ]
    >>> rows.append({**rows[1], "interaction_type": ["click"]})
    >>> tables = behaviour_features(
    ...     rows, windows=["all"], examination=[1, 0.5], as_of=dt.datetime(2026, 1, 3)
    ... )
    >>> found = tables.features(["b", "never shown"], query_id="another")
    >>> found.select("feature_id", pl.col("^.*_document_clicks_all$")).rows()
    [('b', 1.0, 0.0), ('never shown', 0.0, 0.0)]
    """

    as_of: dt.datetime
    tables: dict[str, pl.DataFrame]
    overall: dict[str, float]
    categories: pl.DataFrame | None = None

    def features(
        self,
        feature_ids: Sequence[Any],
        *,
        query_id: str | None = None,
        user_id: str | None = None,
        categories: Sequence[str | None] | None = None,
    ) -> pl.DataFrame:
        """Return what a new execution at `as_of` would get: one row per candidate, in order.

        Parameters
        ----------
        feature_ids : sequence of str or int
            The candidates.
        query_id : str, optional
            As in `TrainingPairs.query_id`; see `canonical_query`. None: a query never seen.
        user_id : str, optional
            None: features of the user are missing.
        categories : sequence of str, optional
            The candidates' categories, where no table of documents gave them.

        Returns
        -------
        DataFrame
            ``feature_id``, then the features by the names and in the order of
            `behaviour_features`.
        """
        rows = pl.DataFrame({"feature_id": [str(each) for each in feature_ids]}).with_columns(
            pl.lit(query_id, pl.String).alias("query_id"),
            pl.lit(None if user_id is None else str(user_id), pl.String).alias("user_id"),
        )
        if categories is not None:
            rows = rows.with_columns(pl.Series("category", categories, pl.String))
        elif self.categories is not None:
            rows = rows.join(self.categories, "feature_id", "left", maintain_order="left")
        else:
            rows = rows.with_columns(pl.lit(None, pl.String).alias("category"))
        for level, table in self.tables.items():
            rows = rows.join(table, LEVELS[level].keys, "left", maintain_order="left")
            rows = rows.with_columns(self._filled(level))
        return rows.drop("query_id", "user_id", "category")

    def _filled(self, level: str) -> list[pl.Expr]:
        """Return a level's columns with what is known of keys without displays."""
        keys, parent, age = LEVELS[level]
        # An unknown query is one that was never seen; an unknown user could be any.
        known = pl.all_horizontal(pl.col(key).is_not_null() for key in keys if key != "query_id")
        filled: dict[str, pl.Expr] = {}
        for window, overall in self.overall.items():
            rate = (
                pl.lit(overall) if parent is None else pl.col(column_name(parent, "rate", window))
            )
            filled |= {
                column_name(level, "rate", window): rate,
                column_name(level, "clicks", window): pl.lit(0.0),
                column_name(level, "shown", window): pl.lit(0.0),
            }
        filled |= {column_name(level, SINCE): pl.lit(None)}
        if age:
            filled |= {column_name(level, AGE): pl.lit(None)}
        return [
            pl.when(known)
            .then(pl.col(name).fill_null(value))
            .fill_null(float("nan"))
            .cast(pl.Float32)
            .alias(name)
            for name, value in filled.items()
        ]

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        rows = [
            (level, table.height, table.width - len(LEVELS[level].keys))
            for level, table in self.tables.items()
        ]
        return Summary(
            f"BehaviourTables: as of {self.as_of:%Y-%m-%d %H:%M}",
            [
                Table.of(["level", "rows", "features"], rows),
                Table.of(["window", "clicks by examination"], self.overall.items()),
            ],
        )
