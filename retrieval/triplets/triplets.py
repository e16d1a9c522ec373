"""What `training_triplets` returns: a table of triplets, its parts, and files of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from .formats import write_triplets

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl

    from ...datasets.pairs.load_report import LoadReport
    from .formats import Layout
    from .report import TripletReport


@dataclass(frozen=True, eq=False)
class TrainingTriplets:
    """Triplets of a query, a relevant document and a hard negative.

    Attributes
    ----------
    frame : polars.DataFrame
        One row for each triplet, the most certain ones of a query first: ``part`` ("train" or
        "test"), ``query_id``, ``query`` (its words), ``positive_id``, ``positive`` (its text),
        ``negative_id``, ``negative``, ``weight`` (probability that the positive is more relevant
        than the negative), ``margin`` (difference of their relevance), ``why`` the negative is one
        ("returned", "rejected" or "passed_over"); clicks, examination and the limit of the interval
        of both; ``execution_id`` of the positive's last click, ``first_time`` and ``last_time``
        (UTC) of the displays of both.
    held_out : polars.DataFrame or None
        ``clicks`` and ``examination`` of every ``query_id`` (and its words, ``query``) and
        ``document_id`` over all executions of the queries of the test part, earlier ones too: no
        triplet of the training part has these queries.
    report : TripletReport
        What was refused and why.
    load : LoadReport
        What was read.
    """

    frame: pl.DataFrame
    held_out: pl.DataFrame | None
    report: TripletReport
    load: LoadReport

    def __len__(self) -> int:
        """Return the number of triplets."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Say the numbers, not the contents."""
        parts = ", ".join(f"{p.triplets:,} {name}" for name, p in self.report.parts.items())
        return f"TrainingTriplets({parts})"

    def __str__(self) -> str:
        """Return the report."""
        return str(self.report)

    @property
    def train(self) -> pl.DataFrame:
        """The triplets of the training part."""
        return self.frame.filter(self.frame["part"] == "train")

    @property
    def test(self) -> pl.DataFrame:
        """The triplets of the test part: other queries, later."""
        return self.frame.filter(self.frame["part"] == "test")

    def write(
        self,
        path: str | Path,
        *,
        part: Literal["train", "test"] = "train",
        layout: Layout = "triplets",
    ) -> int:
        """Write one part as Parquet or JSON lines for an embedding model's trainer.

        The columns are those that sentence-transformers' losses expect, in their order:

        - ``"triplets"``: anchor, positive, negative
          (MultipleNegativesRankingLoss, TripletLoss);
        - ``"scored"``: anchor, positive, negative, score, the difference in relevance
          (MarginMSELoss);
        - ``"labelled"``: anchor, document, label, 1 for positives and 0 for negatives, each
          (query, document) once (ContrastiveLoss, cross-encoders).

        Parameters
        ----------
        path : path
            Ends in .parquet, .jsonl or .ndjson. Written whole or not at all.
        part : {"train", "test"}
        layout : {"triplets", "scored", "labelled"}

        Returns
        -------
        int
            Rows written.

        Raises
        ------
        InvalidInputError
            If there are no texts, the part has no triplet, or a parameter is wrong.
        """
        return write_triplets(self.frame, path, part, layout)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return `frame`."""
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        names = ["part", "query", "positive_id", "negative_id", "weight", "why"]
        chosen = self.frame.select([name for name in names if name in self.frame.columns])
        return Summary(repr(self), [Table.of_frame(chosen, limit=5)], str(self.report).split("\n"))
