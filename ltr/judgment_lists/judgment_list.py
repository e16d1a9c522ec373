"""Relevance of documents by clicks and judgements, as grades with their confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..boosting.trainer import Trainer
from ..debias.auto import document_posterior
from ..debias.training_rows import check_pairs
from ..exposure.frequency_bands import BANDS, band_of
from ..ranker import Ranker
from ..settings import FitSettings
from .formats import write_judgments

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ..debias.document_posterior import DocumentPosterior

    Floats = NDArray[np.float64]

_OWN_QUERY = "execution:"
_QUANTILES = (0.05, 0.995)


@dataclass(frozen=True, repr=False)
class JudgmentList:
    """Graded documents of queries, by `judgment_list`.

    Attributes
    ----------
    frame : DataFrame
        A row for every (query, document) that was shown or judged, best first within a query:
        ``query_id``, ``feature_id``, ``grade``; ``relevance``, P(click | examined), with the 90 %
        interval ``lower`` to ``upper``; ``confidence``, the posterior probability that the grade
        is the right one; ``clicks`` and ``exposures`` of the log, ``judged_exposures`` that the
        judgements count as.
    coverage : DataFrame
        By the least ``impressions`` of the queries of a frequency band: ``queries``,
        ``documents``, how many of them were ``shown`` and ``judged``, mean ``exposures`` and
        ``confidence``.
    left_out : dict of str to int
        Reason -> documents that the list lacks.
    """

    frame: pl.DataFrame
    coverage: pl.DataFrame
    left_out: dict[str, int]

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def write(
        self,
        path: str | Path,
        format: Literal["trec", "opensearch", "quepid", "csv"] = "trec",  # noqa: A002
        *,
        min_confidence: float = 0.0,
    ) -> int:
        """Write the list, whole or not at all; return how many documents were written.

        Parameters
        ----------
        path : path
        format : {"trec", "opensearch", "quepid", "csv"}
            "trec": qrels, ``query 0 document grade``; query ids with spaces become 16 hexadecimal
            digits, which ``PATH.queries.tsv`` lists. "opensearch": the body of
            ``PUT _plugins/_search_relevance/judgments`` (Search Relevance Workbench, imported
            judgments). "quepid": CSV with query, docid, rating. "csv": all columns of `frame`.
            The latter three name a query by its words, where it is nothing but words.
        min_confidence : float
            Grades of lower confidence are not written.

        Raises
        ------
        InvalidInputError
            If the format is unknown, cannot hold a document's id, or nothing is left to write.
        """
        checked_number("min_confidence", min_confidence, 0, 1)
        chosen = self.frame.filter(pl.col("confidence") >= min_confidence)
        if chosen.is_empty():
            msg = f"min_confidence: no grade has a confidence of {min_confidence} or more"
            raise InvalidInputError(msg)
        write_judgments(chosen, path, format)
        return len(chosen)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return `frame`."""
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        queries = self.frame["query_id"].n_unique()
        return Summary(
            f"JudgmentList: {len(self.frame):,} documents of {queries:,} queries",
            [
                Table.of_frame(self.frame, limit=5),
                Table.of_frame(self.coverage, caption="by impressions of the query, at least"),
                Table.of_counts(self.left_out, "left out"),
            ],
        )


def judgment_list(
    pairs: TrainingPairs, *, max_grade: int = 3, ranker: Ranker | None = None
) -> JudgmentList:
    """Estimate the relevance of every logged or judged document, as a grade.

    Relevance r has a Gamma posterior with mean ``(C + c + k m(x)) / (E + e + k + k0)``: C clicks
    in E examinations by the click model of the highest held-out likelihood, c clicks and e
    examinations that judgements count as (each source by its agreement with clicks), k of the prior
    m(x) by features, and k0 without a click. So frequent queries follow clicks, and rare ones
    judgements. With the lowest and highest relevance of the log, r0 and r1 (its 5 % and 99.5 %
    quantiles), and the highest grade G, the grade is

        round(log2(1 + (2^G - 1) (r - r0) / (r1 - r0)))

    so that gains ``2^grade - 1`` are proportional to relevance.

    Parameters
    ----------
    pairs : TrainingPairs
        With features; with judgments or without.
    max_grade : int
        G, from 1 to 30.
    ranker : Ranker, optional
        Its parameters are used: examination, prior_strength, prior_exposure, n_jobs and the like.

    Returns
    -------
    JudgmentList

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, or the pairs hold nothing to learn from.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> documents = simulate_catalogue(n_queries=20, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=500, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"), builtin_features=())
    >>> found = judgment_list(pairs, ranker=Ranker(n_jobs=1))
    >>> found.frame.columns[:5]
    ['query_id', 'feature_id', 'grade', 'relevance', 'lower']
    >>> found.coverage["queries"].sum()
    20
    """
    checked_number("max_grade", max_grade, 1, 30)
    if int(max_grade) != max_grade:
        msg = f"max_grade: expected a whole number, got {max_grade!r}"
        raise InvalidInputError(msg)
    check_pairs(pairs)
    if not pairs.has_positions:
        msg = "pairs: these lists were judged, not shown; write their grades as they are"
        raise InvalidInputError(msg)
    settings = FitSettings.of((ranker or Ranker(progress=False)).get_params(deep=False))
    params = settings.lightgbm_params(pairs.X.size)
    trainer = Trainer(params, pairs.feature_names, list(pairs.categories))
    posterior = document_posterior(pairs, trainer, settings.debias_options)
    frame = _frame(pairs, posterior, int(max_grade))
    named = ~frame["query_id"].str.starts_with(_OWN_QUERY)
    left_out = {"the execution names no query": int((~named).sum())}
    frame = frame.filter(named)
    coverage = _coverage(frame)
    ordered = frame.sort(
        ["query_id", "relevance"], descending=[False, True], maintain_order=True
    ).drop("impressions", "shown")
    return JudgmentList(ordered, coverage, {r: n for r, n in left_out.items() if n})


def _frame(pairs: TrainingPairs, posterior: DocumentPosterior, max_grade: int) -> pl.DataFrame:
    from scipy.special import gammainc, gammaincinv

    shape, rate = posterior.shape, posterior.rate
    relevance = shape / rate
    low, high = np.quantile(relevance, _QUANTILES)
    width = max(float(high - low), np.finfo(np.float64).tiny)
    highest = 2.0**max_grade - 1

    def edges(grade: Floats) -> Floats:
        """Return the relevance at which a grade is rounded up."""
        return np.asarray(low + width * (np.exp2(grade) - 1) / highest)

    scaled = np.clip((relevance - low) / width, 0.0, 1.0)
    grade = np.round(np.log2(1 + highest * scaled))
    below = np.where(grade > 0, gammainc(shape, rate * np.maximum(edges(grade - 0.5), 0)), 0.0)
    above = np.where(grade < max_grade, gammainc(shape, rate * edges(grade + 0.5)), 1.0)
    lower, upper = (gammaincinv(shape, tail) / rate for tail in (0.05, 0.95))
    executions = np.bincount(pairs.query_code, minlength=int(posterior.query.max()) + 1)
    return pl.DataFrame(
        {
            "query_id": pairs.queries.gather(posterior.query),
            "feature_id": pairs.documents.gather(posterior.document),
            "grade": grade.astype(np.int32),
            "relevance": relevance,
            "lower": lower,
            "upper": upper,
            "confidence": above - below,
            "clicks": posterior.clicks,
            "exposures": posterior.exposure,
            "judged_exposures": posterior.judged_exposure,
            "impressions": executions[posterior.query],
            "shown": posterior.shown,
        }
    )


def _coverage(frame: pl.DataFrame) -> pl.DataFrame:
    impressions = frame["impressions"].to_numpy().astype(np.float64)
    least = np.where(impressions > 0, np.array(BANDS)[band_of(impressions)], 0)
    return (
        frame.with_columns(pl.Series("impressions", least))
        .group_by("impressions")
        .agg(
            pl.col("query_id").n_unique().alias("queries"),
            pl.len().alias("documents"),
            pl.col("shown").sum(),
            (pl.col("judged_exposures") > 0).sum().alias("judged"),
            pl.col("exposures").mean(),
            pl.col("confidence").mean(),
        )
        .sort("impressions")
    )


def export_judgments(
    pairs: TrainingPairs,
    path: str | Path,
    format: Literal["trec", "opensearch", "quepid", "csv"] = "trec",  # noqa: A002
    *,
    max_grade: int = 3,
    min_confidence: float = 0.0,
    ranker: Any = None,
) -> JudgmentList:
    """Write the `judgment_list` of pairs and return it; see there and `JudgmentList.write`."""
    found = judgment_list(pairs, max_grade=max_grade, ranker=ranker)
    found.write(path, format, min_confidence=min_confidence)
    return found
