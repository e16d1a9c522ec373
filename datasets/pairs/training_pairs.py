"""The container of debiasable training data: one row is one document in one execution."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import getitem
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from .load_report import LoadReport
from .selection import selected_executions

if TYPE_CHECKING:
    from pathlib import Path

    import lightgbm
    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from .array_storage import Gather
    from .display import LabelMixDisplay
    from .judgments import Judgments

NO_POSITION = -1
"""Stands in `TrainingPairs.position` where a list was judged rather than shown."""


@dataclass(eq=False)
class TrainingPairs:
    """Query-document pairs in execution order, ready for LightGBM without a copy.

    n is the number of rows (pairs), e the number of executions. The rows of an execution are
    neighbours; within it they are ordered by position, then by document_id. Executions are
    ordered by time, then by execution_id.

    Attributes
    ----------
    X : ndarray of float32, shape (n, n_features)
        Features in C order; NaN where absent. A categorical feature holds the index into
        `categories[name]`.
    y : ndarray of float32, shape (n,)
        Grade, a whole number >= 0.
    clicked : ndarray of bool, shape (n,)
        Whether a click was logged (grade >= 1 before a return to the results took it back).
    negative : ndarray of bool, shape (n,)
        Whether any negative signal was logged.
    group : ndarray of int32, shape (e,)
        Rows per execution.
    position : ndarray of int32, shape (n,)
        0-based position at which the document was shown; -1 where the list was judged and never
        shown (`load_letor`).
    document_score : ndarray of float64, shape (n,)
        Score that the production system gave; NaN where it was not logged.
    age_days : ndarray of float32, shape (n,)
        Age of the execution in days; NaN where the source has no times.
    weight : ndarray of float32, shape (n,)
        Recency weight, constant within an execution; 1 without a half-life. `load_pairs` scales
        it to 1 in the mean over executions; a fit does so again, so that only ratios count.
    time : ndarray of datetime64[us], shape (e,)
        Time (UTC) of the execution's first event; NaT where the source has no times.
    execution_id : polars.Series of String, length e
    query_code : ndarray of int32, shape (e,)
        Index into `queries`.
    queries : polars.Series of String
        Distinct query ids; may hold more than are used here.
    document_code : ndarray of int32, shape (n,)
        Index into `documents`.
    documents : polars.Series of String
        Distinct document ids; may hold more than are used here.
    feature_names : tuple of str
    categories : dict of str to tuple of str
        Categorical feature -> its categories in the order of their codes.
    context : dict of str to polars.Series of String, length e
        Named columns that describe the execution, such as the device.
    examination : ndarray of float32, shape (n,), or None
        Probability of examination, relative to position 0; None until a `PositionBias` is applied.
    judgments : Judgments or None
        Grades of documents by people or models, beside the clicks.
    report : LoadReport
        What was read, kept, dropped and noticed.
    """

    X: NDArray[np.float32]
    y: NDArray[np.float32]
    clicked: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    group: NDArray[np.int32]
    position: NDArray[np.int32]
    document_score: NDArray[np.float64]
    age_days: NDArray[np.float32]
    weight: NDArray[np.float32]
    time: NDArray[np.datetime64]
    execution_id: pl.Series
    query_code: NDArray[np.int32]
    queries: pl.Series
    document_code: NDArray[np.int32]
    documents: pl.Series
    feature_names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    context: dict[str, pl.Series] = field(default_factory=dict)
    examination: NDArray[np.float32] | None = None
    judgments: Judgments | None = None
    report: LoadReport = field(default_factory=LoadReport)

    __iter__: ClassVar[None] = None
    """`__getitem__` selects executions and `len` counts rows: pairs are no sequence."""

    def __len__(self) -> int:
        """Return the number of rows (pairs)."""
        return len(self.y)

    def __repr__(self) -> str:
        """Say the sizes, not the contents."""
        return (
            f"TrainingPairs({len(self):,} pairs, {self.n_executions:,} executions, "
            f"{len(self.feature_names)} features, {int(self.clicked.sum()):,} clicked)"
        )

    def __getitem__(self, executions: slice | ArrayLike | Any) -> TrainingPairs:
        """Return the selected executions, whole, in the order given, with all judgements.

        Parameters
        ----------
        executions : slice, array-like of int, or array-like of bool of shape (e,)
            As numpy selects from an array of shape (e,).

        Raises
        ------
        InvalidInputError
            If this is none of these, a number is outside, or a mask has another length.

        Examples
        --------
        >>> from rankloom.datasets import load_pairs, simulate_interactions
        >>> pairs = load_pairs(simulate_interactions(n_executions=50, random_state=0))
        >>> pairs[:10].n_executions, pairs[[3, 5]].n_executions
        (10, 2)
        >>> pairs[pairs.query_code == 0].query_id.n_unique()
        1
        """
        return self.take(selected_executions(executions, self.n_executions))

    @property
    def shape(self) -> tuple[int]:
        """(e,): how many can be selected by `pairs[...]`; scikit-learn counts samples by it."""
        return (self.n_executions,)

    @property
    def n_executions(self) -> int:
        """Number of executions."""
        return len(self.group)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Row at which each execution starts, and the number of rows; shape (e + 1,)."""
        return np.concatenate([[0], np.cumsum(self.group, dtype=np.int64)])

    @cached_property
    def execution_index(self) -> NDArray[np.int32]:
        """Execution of every row; shape (n,)."""
        return np.repeat(np.arange(self.n_executions, dtype=np.int32), self.group)

    @property
    def query_id(self) -> pl.Series:
        """Query id of every execution; length e."""
        return self.queries.gather(self.query_code).alias("query_id")

    @property
    def document_id(self) -> pl.Series:
        """Document id of every row; length n."""
        return self.documents.gather(self.document_code).alias("document_id")

    @cached_property
    def query_document(self) -> NDArray[np.int64]:
        """One number for every distinct (query, document); shape (n,). Not contiguous."""
        query = np.repeat(self.query_code.astype(np.int64), self.group)
        return query * max(len(self.documents), 1) + self.document_code

    @property
    def has_positions(self) -> bool:
        """Whether every row has a position."""
        return len(self) > 0 and bool(self.position.min() >= 0)

    @property
    def has_times(self) -> bool:
        """Whether the source had times."""
        return len(self.time) > 0 and not np.isnat(self.time).any()

    def take(self, executions: ArrayLike, gather: Gather = getitem) -> TrainingPairs:
        """Return the named executions, whole, in the order given, with all judgements.

        Parameters
        ----------
        executions : array-like of int or bool, shape (e,) if bool
            Indices of executions, or a mask over all of them.
        gather : callable
            Returns rows of an array by their numbers.
        """
        chosen = np.asarray(executions)
        if chosen.dtype == np.bool_:
            if chosen.shape != self.group.shape:
                msg = f"executions: a mask needs shape {self.group.shape}, got {chosen.shape}"
                raise InvalidInputError(msg)
            chosen = np.flatnonzero(chosen)
        chosen = chosen.astype(np.int64)
        group = self.group[chosen]
        ends = np.cumsum(group, dtype=np.int64)
        rows = np.arange(len(group) and ends[-1]) + np.repeat(
            self.offsets[chosen] - (ends - group), group
        )
        return replace(
            self,
            X=gather(self.X, rows),
            y=gather(self.y, rows),
            clicked=gather(self.clicked, rows),
            negative=gather(self.negative, rows),
            group=group,
            position=gather(self.position, rows),
            document_score=gather(self.document_score, rows),
            age_days=gather(self.age_days, rows),
            weight=gather(self.weight, rows),
            time=self.time[chosen],
            execution_id=self.execution_id.gather(chosen),
            query_code=self.query_code[chosen],
            document_code=gather(self.document_code, rows),
            context={name: values.gather(chosen) for name, values in self.context.items()},
            examination=None if self.examination is None else gather(self.examination, rows),
        )

    def plot_labels(self, ax: Axes | None = None) -> LabelMixDisplay:
        """Draw which share of the shown documents got each grade, by position where it is known."""
        from .display import LabelMixDisplay

        return LabelMixDisplay.from_pairs(self).plot(ax)

    def to_lightgbm(self, *, position: bool = False, **options: Any) -> lightgbm.Dataset:
        """Return a `lightgbm.Dataset` over the pairs' own arrays, without a copy.

        Parameters
        ----------
        position : bool
            Whether LightGBM gets the positions, which switches on its own debiasing.
        **options
            Passed on to `lightgbm.Dataset`.

        Returns
        -------
        lightgbm.Dataset
            With label, group, and the recency weight where it is not 1 everywhere. Feature names
            are left to LightGBM, which refuses names such as ``mixpeek://text``.
        """
        from .exports import to_lightgbm

        return to_lightgbm(self, position=position, **options)

    def to_pandas(self) -> pd.DataFrame:
        """Return one pandas row per pair: ids, context, labels, then the features by name.

        A feature is named ``feature:NAME``; categorical ones are pandas categoricals.
        """
        from .exports import to_pandas

        return to_pandas(self)

    def to_svmlight(self, path: str | Path, *, documents: bool = False) -> None:
        """Write lines ``grade qid:n 1:value 2:value ...``, with every feature in every line.

        `load_letor`, scikit-learn and XGBoost read them. A missing value is ``-NaN``, which all
        three take as missing; zeros are written.

        Parameters
        ----------
        path : path
            Written whole or not at all.
        documents : bool
            Whether lines end in ``#docid = D``, the document, as in LETOR files. `load_letor`
            reads it and scikit-learn passes over it, but XGBoost takes the digits of a comment
            that follows a missing value for features.
        """
        from .exports import to_svmlight

        to_svmlight(self, path, documents=documents)

    def to_parquet(self, path: str | Path) -> None:
        """Write one Parquet file that `from_parquet` reads back unchanged, whole or not at all.

        Other tools see the columns of `to_pandas`; names, categories and the report are in the
        file's metadata.
        """
        from .exports import to_parquet

        to_parquet(self, path)

    @classmethod
    def from_parquet(cls, path: str | Path) -> TrainingPairs:
        """Read what `to_parquet` wrote.

        Raises
        ------
        UnreadableSourceError
            If the file is missing, damaged, or was not written by `to_parquet`.
        """
        from .exports import read_parquet

        return cls(**read_parquet(path))

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return the table of `to_pandas` for polars."""
        import polars as pl

        return pl.from_pandas(self.to_pandas())

    def _summary(self) -> Summary:
        rows = slice(0, 5)
        execution = self.execution_index[rows]
        values = (
            self.execution_id.gather(execution),
            self.queries.gather(self.query_code[execution]),
            self.documents.gather(self.document_code[rows]),
            self.position[rows].tolist(),
            self.y[rows].tolist(),
            self.clicked[rows].tolist(),
        )
        names = ["execution_id", "query_id", "feature_id", "position", "grade", "clicked"]
        return Summary(
            repr(self),
            [Table.of(names, zip(*values, strict=True), caption="the first rows")],
            [f"features: {', '.join(self.feature_names)}"] if self.feature_names else [],
        )
