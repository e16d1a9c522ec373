"""The container of engagement: users x documents, with their ids, in memory and as a file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import polars as pl

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...datasets.pairs.load_report import LoadReport
from .arrays_file import (
    csr_arrays,
    csr_of,
    id_array,
    ids_of,
    json_array,
    json_of,
    read_arrays,
    write_arrays,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from scipy import sparse

FORMAT: Final = "rankloom-engagement 1"


@dataclass(frozen=True)
class EngagementReport:
    """What an engagement matrix was made of, and what was left out.

    Attributes
    ----------
    executions, displays : int
        Result lists with a user, and documents that they showed.
    executions_without_user, displays_without_user : int
        Left out, because no row of the execution names a user.
    users_without_engagement, documents_without_engagement : int
        Empty rows and columns of the matrix.
    load : LoadReport
        What became of every row that was read.
    """

    executions: int = 0
    displays: int = 0
    executions_without_user: int = 0
    displays_without_user: int = 0
    users_without_engagement: int = 0
    documents_without_engagement: int = 0
    load: LoadReport = field(default_factory=LoadReport)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return asdict(self)

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "executions": self.executions,
            "displays": self.displays,
            "executions without a user": self.executions_without_user,
            "displays without a user": self.displays_without_user,
            "users without engagement": self.users_without_engagement,
            "documents without engagement": self.documents_without_engagement,
            "rows read": self.load.rows_read,
        }
        return Summary("EngagementReport", [Table.of_counts(counts)], self.load.notes)


@dataclass(frozen=True, eq=False)
class EngagementMatrix:
    """Users x documents, as `engagement_matrix` returns it.

    Attributes
    ----------
    engagement : scipy.sparse.csr_matrix of float32, shape (users, documents)
        Confidence that the user engages with the document, above 0 where the user ever did.
        Libraries such as implicit and scikit-learn take it as it is.
    negatives : scipy.sparse.csr_matrix of float32, shape (users, documents)
        Evidence against: negative signals, and examined displays that were passed over.
    user_ids, document_ids : polars.Series of String
        Ids of rows and of columns, sorted.
    report : EngagementReport
    """

    engagement: sparse.csr_matrix
    negatives: sparse.csr_matrix
    user_ids: pl.Series
    document_ids: pl.Series
    report: EngagementReport = field(default_factory=EngagementReport)

    @property
    def shape(self) -> tuple[int, int]:
        """Users, documents."""
        return len(self.user_ids), len(self.document_ids)

    def __repr__(self) -> str:
        """Say the sizes, not the contents."""
        return (
            f"EngagementMatrix({self.shape[0]:,} users x {self.shape[1]:,} documents, "
            f"{self.engagement.nnz:,} engaged, {self.negatives.nnz:,} with evidence against)"
        )

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each entry: user_id, feature_id, engagement, negative."""
        frames = []
        for name, matrix in (("engagement", self.engagement), ("negative", self.negatives)):
            entries = matrix.tocoo()
            frames.append(
                pl.DataFrame({"user": entries.row, "document": entries.col, name: entries.data})
            )
        both = frames[0].join(frames[1], ["user", "document"], "full", coalesce=True)
        both = both.sort("user", "document")
        return both.select(
            self.user_ids.gather(both["user"]).alias("user_id"),
            self.document_ids.gather(both["document"]).alias("feature_id"),
            pl.col("engagement", "negative").fill_null(0.0),
        )

    def save(self, path: str | Path) -> None:
        """Write a .npz file, whole or not at all, without pickle.

        `scipy.sparse.load_npz` reads the engagement from it. Besides, it holds ``user_ids`` and
        ``document_ids`` (the bytes of JSON lists), the negatives and the report.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        write_arrays(
            path,
            FORMAT,
            {
                **csr_arrays(self.engagement),
                **csr_arrays(self.negatives, "negatives_"),
                "user_ids": id_array(self.user_ids),
                "document_ids": id_array(self.document_ids),
                "report": json_array(self.report.to_dict()),
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        UnreadableSourceError
            If the file cannot be read.
        IntegrityError
            If it is damaged, or of another format.
        """
        with read_arrays(path, FORMAT) as arrays:
            report = json_of(arrays["report"])
            report["load"] = LoadReport(**report["load"])
            return cls(
                csr_of(arrays),
                csr_of(arrays, "negatives_"),
                ids_of(arrays["user_ids"], "user_id"),
                ids_of(arrays["document_ids"], "feature_id"),
                EngagementReport(**report),
            )

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        entries = self.engagement[:5].tocoo()
        rows = [
            (self.user_ids[int(user)], self.document_ids[int(document)], value)
            for user, document, value in zip(entries.row, entries.col, entries.data, strict=True)
        ]
        table = Table.of(["user_id", "feature_id", "engagement"], rows, limit=5)
        return Summary(repr(self), [replace(table, caption="the first users", more=0)])
