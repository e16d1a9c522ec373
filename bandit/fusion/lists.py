"""Fuse the result lists of several channels into one ranking, with each channel's share in it.

The weights are those that `FusionBandit` serves. What comes back holds every channel's score as it
was fused, in the form in which an interaction record logs it: the linear posterior learns from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from ..base.channels import checked_weights
from .combine import Hits, by_list, check_options, combine
from .normalise import check_method

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

    from .normalise import Floats, FusionMethod


@dataclass(frozen=True, eq=False)
class Fused:
    """The fused ranking of one query: m documents, best first, from C channels.

    Attributes
    ----------
    documents : tuple of str, length m
        Document ids; equal scores in string order of the ids.
    scores : ndarray of float64, shape (m,)
        Sum over the channels of weight x channel score.
    feature_uris : tuple of str, length C
        The channels, in string order: the columns of the two arrays below.
    channel_scores : ndarray of float64, shape (m, C)
        Each channel's score as fused: normalised over all candidates of the channel, not over the
        documents that are shown. 0 where the channel did not find the document.
    found : ndarray of bool, shape (m, C)
        Whether the channel found the document.
    weights : dict of str to float
        The weights that were used: log them with what is shown.
    method : str
        How the scores were normalised.
    """

    documents: tuple[str, ...]
    scores: Floats
    feature_uris: tuple[str, ...]
    channel_scores: Floats
    found: NDArray[np.bool_]
    weights: dict[str, float]
    method: FusionMethod

    def metadata(self) -> list[dict[str, dict[str, dict[str, float]]]]:
        """Return the `metadata` of each document's interaction record, in the order of `documents`.

        ``{"features": {feature_uri: {"score": x}}}``, with the channels that found the document;
        a channel that is not named counts as x = 0.

        Examples
        --------
        >>> fused = fuse({"text": [("a", 3.0), ("b", 1.0)], "image": [("b", 0.2)]},
        ...              {"text": 0.7, "image": 0.3})
        >>> for document, metadata in zip(fused.documents, fused.metadata()):
        ...     print(document, metadata)
        a {'features': {'text': {'score': 1.0}}}
        b {'features': {'image': {'score': 1.0}, 'text': {'score': 0.0}}}
        """
        return [
            {
                "features": {
                    uri: {"score": score}
                    for uri, score, is_found in zip(self.feature_uris, scores, found, strict=True)
                    if is_found
                }
            }
            for scores, found in zip(self.channel_scores.tolist(), self.found.tolist(), strict=True)
        ]

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each document, best first.

        ``feature_id``, ``score``, and each channel's score under its feature_uri: null where the
        channel did not find the document.
        """
        import polars as pl

        channels = {
            uri: np.where(self.found[:, i], self.channel_scores[:, i], np.nan)
            for i, uri in enumerate(self.feature_uris)
        }
        frame = pl.DataFrame({"feature_id": self.documents, "score": self.scores, **channels})
        return frame.fill_nan(None)

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        return Summary(
            f"Fused: {len(self.documents):,} documents of {len(self.feature_uris)} channels, "
            f"{self.method}",
            [
                Table.of_frame(self.to_frame()),
                Table.of(["feature_uri", "weight"], self.weights.items()),
            ],
        )


def fuse(
    lists: Mapping[str, Iterable[tuple[str, float]]],
    weights: Mapping[str, float],
    *,
    method: FusionMethod = "min_max",
    k: int | None = 10,
    rank_constant: float = 60,
) -> Fused:
    """Fuse one query's result lists into one ranking by a weighted sum.

    The fused score of a document is ``sum over channels of weight * x``. x comes from the scores s
    of all documents that the channel found for this query:

    ============  ==================================================  =========================
    method        x                                                   x where all s are equal
    ============  ==================================================  =========================
    min_max       (s - lowest) / (highest - lowest)                   1
    z_score       (s - lowest) / sigma                                1
    distribution  (s - (mean - 3 sigma)) / (6 sigma), at least 0      0.5
    rrf           (rank_constant + 1) / (rank_constant + rank)        1
    ============  ==================================================  =========================

    sigma is the sample standard deviation (n - 1). A channel gives 0 to a document that it did not
    find, and never less than 0 to one that it found. Hence two departures from the usual formulas.
    A z-score has its mean at 0, so that missing a document would be better than finding it below
    the mean; here it is counted from the channel's lowest score, which adds one constant to all
    documents, so that one that was missed scores as the last one that was found. The
    distribution-based score is Qdrant's, except that Qdrant lets a document more than three sigma
    below the mean go below 0. Neither is cut at 1.

    "rrf" is the reciprocal rank 1 / (rank_constant + rank) of Cormack, Clarke and Buettcher (2009),
    times rank_constant + 1, so that a channel's first document has x = 1 as with "min_max"; the
    order is the same. rank is 1 plus the number of the channel's documents with a higher score:
    documents that tie share a rank, whatever they are called.

    Parameters
    ----------
    lists : mapping of feature_uri to (document id, score) pairs
        What each channel found, in any order; higher scores are better. An empty list where a
        channel found nothing. Give all candidates, not only those that will be shown. For a channel
        that ranks without scores, or whose scores are rounded to ties, give -rank as the score.
    weights : mapping of feature_uri to float
        One for every channel, finite, at least 0, not all 0; used as they are (only their ratios
        matter to the order). Documents that only a channel of weight 0 found come last.
    method : {"min_max", "z_score", "distribution", "rrf"}
        Weights learnt with one method do not carry over to another.
    k : int or None
        How many documents to return; None means all.
    rank_constant : float
        For "rrf": the higher, the less the first ranks differ from the next ones.

    Returns
    -------
    Fused
        Documents of equal fused scores are in string order of their ids, by code point. Neither the
        order of the channels nor that of the pairs changes a bit of the result.

    Raises
    ------
    InvalidInputError
        If a list has no weight or a weight no list, a weight is negative or not finite, a score is
        not a finite number, a document id is not a non-empty text, or a document is twice in
        one list. For passages of one document, give the best passage.

    Examples
    --------
    >>> fused = fuse(
    ...     {"text": [("a", 12.0), ("b", 9.0), ("c", 2.0)], "image": [("c", 0.9), ("b", 0.8)]},
    ...     {"text": 0.75, "image": 0.25},
    ...     k=2,
    ... )
    >>> fused.documents, fused.scores
    (('a', 'b'), array([0.75 , 0.525]))
    >>> fused.metadata()[1]
    {'features': {'image': {'score': 0.0}, 'text': {'score': 0.7}}}
    """
    check_method(method)
    check_options(k, rank_constant)
    checked = checked_weights(weights, lists, "lists")
    uris = tuple(checked)
    documents, scores = zip(*(_columns(uri, lists[uri]) for uri in uris), strict=True)
    ids = sorted(set().union(*documents))
    code = {document: i for i, document in enumerate(ids)}
    sizes = [len(listed) for listed in documents]
    hits = Hits(
        query=np.zeros(sum(sizes), dtype=np.int64),
        channel=np.repeat(np.arange(len(uris)), sizes),
        document=np.array([code[each] for listed in documents for each in listed], dtype=np.int64),
        score=np.concatenate(scores),
    )
    top = combine(by_list(hits), np.array(list(checked.values())), method, k, rank_constant)
    return Fused(
        documents=tuple([ids[i] for i in top.document.tolist()]),
        scores=top.score,
        feature_uris=uris,
        channel_scores=top.channel_scores,
        found=top.found,
        weights=checked,
        method=method,
    )


def _columns(uri: str, pairs: Iterable[tuple[str, float]]) -> tuple[Sequence[str], Floats]:
    """Return the document ids and scores of one list, or say what is wrong with it."""
    rows = list(pairs)
    if not rows:
        return (), np.zeros(0)
    try:
        documents, values = zip(*rows, strict=True)
    except (TypeError, ValueError):
        msg = f"lists[{uri!r}]: expected (document id, score) pairs, got {rows[0]!r}, ..."
        raise InvalidInputError(msg) from None
    _check_documents(uri, documents)
    return documents, _scores(uri, documents, values)


def _check_documents(uri: str, documents: Sequence[str]) -> None:
    bad = [each for each in documents if not isinstance(each, str) or not each]
    if bad:
        msg = f"lists[{uri!r}]: a document id is a non-empty text, got {bad[0]!r}"
        raise InvalidInputError(msg)
    if len(set(documents)) < len(documents):
        twice = next(each for i, each in enumerate(documents) if each in documents[:i])
        msg = (
            f"lists[{uri!r}]: document {twice!r} is twice in the list; give it once, with its best "
            "score"
        )
        raise InvalidInputError(msg)


def _scores(uri: str, documents: Sequence[str], values: Sequence[float]) -> Floats:
    try:
        scores = np.array(values)
    except ValueError:
        scores = np.array(None)
    if scores.ndim != 1 or scores.dtype.kind not in "iuf":
        bad = [not isinstance(v, int | float | np.integer | np.floating) for v in values]
    else:
        bad = (~np.isfinite(scores)).tolist()
    if any(bad):
        i = bad.index(True)
        msg = (
            f"lists[{uri!r}]: document {documents[i]!r} has the score {values[i]!r}, expected a "
            f"finite number; leave out documents without a score"
        )
        raise InvalidInputError(msg)
    return scores.astype(np.float64)
