"""From a log to (query, relevant document, document passed over): `training_triplets`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ...datasets.counts.pair_counts import require_positions
from ...datasets.loading.load_pairs import load_pairs
from ...datasets.pairs.text_codes import index_among
from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError
from .candidates import Candidates, Caps, capped, cross
from .examination import row_examination
from .false_negatives import engaged_under_related_queries, text_similarity
from .parts import split_parts
from .relevance import count_query_documents, relevance_posterior
from .report import PartReport, TripletReport
from .texts import query_texts, read_document_texts
from .triplets import TrainingTriplets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from numpy.typing import ArrayLike, NDArray

    from ...datasets.position_bias.estimator import PositionBias
    from .examination import RowExamination
    from .relevance import RelevancePosterior

    Integers = NDArray[np.int64]

RELATED = "document engaged with under a related query"
OVERLAPPING = "pair whose intervals overlap"
DUPLICATE = "pair of near-duplicates, or whose negative is one of another positive"
CAPPED = "pair beyond the caps"
NO_DOCUMENT_TEXT = "document without a text"
NO_QUERY_TEXT = "document of a query without a text"

_KINDS = ("returned", "rejected", "passed_over")


class _Texts(NamedTuple):
    """Texts by code of the pairs; null where missing."""

    queries: pl.Series
    documents: pl.Series | None


@dataclass(frozen=True)
class _Options:
    confidence: float
    min_examination: float
    duplicate_similarity: float
    caps: Caps


def training_triplets(
    source: Any,
    *,
    documents: Any = None,
    text: str | Sequence[str] = "text",
    query_text: Callable[[str], str | None] | None = None,
    examination: ArrayLike | PositionBias | None = None,
    confidence: float = 0.6,
    min_examination: float = 1.0,
    duplicate_similarity: float = 0.8,
    max_per_query: int = 32,
    max_per_positive: int = 4,
    test_fraction: float = 0.2,
    at: datetime | None = None,
    salt: str = "",
    **load: Any,
) -> TrainingTriplets:
    """Return triplets (query, relevant document, hard negative) for the training of embeddings.

    The relevance of a document for a query is P(click | examined): its Gamma posterior has the
    clicks C that were not taken back over the examination E of its displays, see
    `rankloom.retrieval.triplets.relevance`. A positive was clicked and has a relevance above the
    log's mean. A negative is none of these and was examined: ``"returned"`` (a click was taken
    back by a return to the results), ``"rejected"`` (skip or negative feedback), else
    ``"passed_over"`` (its displays' examination sums up to `min_examination` or more). A pair is
    kept if the positive's interval lies above the negative's. A negative is refused that users
    engage with under related queries (those whose engaged documents overlap, cosine 0.5 or more),
    or whose text is nearly that of a positive. All refusals are counted.

    Parameters
    ----------
    source : path, glob, list of paths, table, list of dicts or TrainingPairs
        Interactions, as `load_pairs` takes them, or what it returned.
    documents : path or table, optional
        Texts: ``feature_id`` (or ``document_id``, ``id``) and `text`. Documents without one are
        left out and counted. Without the table triplets hold ids only.
    text : str or sequence of str
        Its columns of text; several are joined by line ends.
    query_text : callable, optional
        Function from a query id (canonical text of the snapshot) to the query's words, None to
        leave the query out; `rankloom.retrieval.triplets.texts.query_text` if None.
    examination : array-like of shape (positions,), PositionBias or None
        Probability of examination at each position, relative to the first. None: the pairs' own or
        the training part's own curve, or 1 / (position + 1) where it identifies none; the report
        says which.
    confidence : float
        Probability of the intervals; 0.6: from the 20 % to the 80 % quantile. Higher: fewer
        triplets, and more of them true.
    min_examination : float
        Examinations, relative to the first position, that make a document passed over.
    duplicate_similarity : float
        Jaccard coefficient of words and pairs of neighbouring words from which texts are nearly
        the same.
    max_per_query, max_per_positive : int
        The most certain pairs are kept.
    test_fraction : float
        Share of the queries, and of the executions by time, of the test part: later executions of
        queries that are not in the training part. 0: no test part.
    at : datetime, optional
        Where to cut by time instead. Naive means UTC.
    salt : str
        Another salt puts other queries into the test part.
    **load
        Parameters of `load_pairs` for a `source` that is not loaded yet, such as `impressions`,
        `columns` or `half_life`.

    Returns
    -------
    TrainingTriplets

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, a part would be empty, or rows have no position.
    UnreadableSourceError
        If a file is missing, damaged or of an unknown format.

    Examples
    --------
    >>> from rankloom.datasets import simulate_interactions
    >>> from rankloom.retrieval import training_triplets
    >>> log = simulate_interactions(n_executions=6000, random_state=0)
    >>> triplets = training_triplets(log)
    >>> triplets.frame.columns[:4]
    ['part', 'query_id', 'query', 'positive_id']
    >>> bool((triplets.frame["positive_lower"] > triplets.frame["negative_upper"]).all())
    True
    """
    options = _Options(
        checked_number("confidence", confidence, 0, 1, between=True),
        checked_number("min_examination", min_examination, 0),
        checked_number("duplicate_similarity", duplicate_similarity, 0, 1),
        Caps(
            checked_number("max_per_query", max_per_query, 1, whole=True),
            checked_number("max_per_positive", max_per_positive, 1, whole=True),
        ),
    )
    texts = None if documents is None else read_document_texts(documents, text)
    pairs = _loaded(source, load, getattr(examination, "by", None))
    require_positions(pairs)
    named = _texts(pairs, texts, query_text)
    training, test, others = split_parts(pairs, named.queries, test_fraction, at, salt)
    examined = row_examination(training, examination)
    frames: list[pl.DataFrame] = []
    reports: dict[str, PartReport] = {}
    for name, part in (("train", training), ("test", test)):
        if part is None:
            continue
        counts = count_query_documents(part, examined.of(part))
        found = _Part(part, relevance_posterior(counts, confidence), named, options)
        chosen, reports[name] = found.triplets()
        frames.append(found.frame(chosen).select(pl.lit(name).alias("part"), pl.all()))
    used = training.n_executions + (0 if test is None else test.n_executions)
    return TrainingTriplets(
        frame=pl.concat(frames),
        held_out=None if others is None else _evidence(others, examined, named),
        report=TripletReport(
            parts=reports,
            executions=pairs.n_executions,
            executions_unused=pairs.n_executions - used,
            examination=examined.source,
            curve=None if examined.bias is None else examined.bias.examination_.tolist(),
            notes=_notes(pairs, examined, test, texts),
        ),
        load=pairs.report,
    )


@dataclass(frozen=True)
class _Part:
    """What is needed to choose the triplets of one part."""

    pairs: TrainingPairs
    posterior: RelevancePosterior
    texts: _Texts
    options: _Options

    def triplets(self) -> tuple[Candidates, PartReport]:
        """Return the triplets and the account of them."""
        counts, posterior = self.posterior.counts, self.posterior
        signals = counts.returned + counts.rejected
        examined = (counts.examination >= self.options.min_examination) | (signals > 0)
        negative = examined & ~posterior.engaged
        refused: dict[str, int] = {}
        readable = self._readable(posterior.engaged | negative, refused)
        related = engaged_under_related_queries(counts.query, counts.document, posterior.engaged)
        refused[RELATED] = int((negative & readable & related).sum())
        crossed, refused[OVERLAPPING] = cross(
            posterior,
            np.flatnonzero(posterior.engaged & readable),
            np.flatnonzero(negative & readable & ~related),
        )
        distinct = self._without_duplicates(crossed)
        refused[DUPLICATE] = len(crossed) - len(distinct)
        chosen = capped(distinct, counts.query[distinct.positive], self.options.caps)
        refused[CAPPED] = len(distinct) - len(chosen)
        kinds = np.bincount(self._kind(chosen), minlength=len(_KINDS))
        return chosen, PartReport(
            executions=self.pairs.n_executions,
            queries=len(np.unique(counts.query)),
            query_documents=len(counts),
            mean_relevance=posterior.mean,
            prior_strength=posterior.strength,
            positives=int(posterior.engaged.sum()),
            negatives=int(negative.sum()),
            refused=refused,
            triplets=len(chosen),
            why=dict(zip(_KINDS, kinds.tolist(), strict=True)),
        )

    def _readable(self, candidate: NDArray[np.bool_], refused: dict[str, int]) -> NDArray[np.bool_]:
        """Return which (query, document) have their texts, and count candidates that lack one."""
        counts, texts = self.posterior.counts, self.texts
        queries = texts.queries.is_not_null().to_numpy()[counts.query]
        refused[NO_QUERY_TEXT] = int((candidate & ~queries).sum())
        if texts.documents is None:
            return queries
        documents = texts.documents.is_not_null().to_numpy()[counts.document]
        refused[NO_DOCUMENT_TEXT] = int((candidate & queries & ~documents).sum())
        return np.asarray(queries & documents)

    def _without_duplicates(self, crossed: Candidates) -> Candidates:
        """Return the candidates whose negative is near to no positive of its query."""
        if self.texts.documents is None or not len(crossed):
            return crossed
        document = self.posterior.counts.document
        both = np.concatenate([document[crossed.positive], document[crossed.negative]])
        used, code = np.unique(both, return_inverse=True)
        similarity = text_similarity(self.texts.documents.gather(used))
        near = similarity.jaccard(code[: len(crossed)], code[len(crossed) :])
        duplicate = crossed.negative[near >= self.options.duplicate_similarity]
        return crossed.take(~np.isin(crossed.negative, duplicate))

    def _kind(self, chosen: Candidates) -> Integers:
        """Return why each negative is one, as an index into `_KINDS`."""
        counts = self.posterior.counts
        returned = counts.returned[chosen.negative] > 0
        rejected = counts.rejected[chosen.negative] > 0
        return np.where(returned, 0, np.where(rejected, 1, 2))

    def frame(self, chosen: Candidates) -> pl.DataFrame:
        """Return the table of the triplets, the most certain ones of each query first."""
        counts, posterior, pairs = self.posterior.counts, self.posterior, self.pairs
        one, other = chosen.positive, chosen.negative
        positive, negative = counts.document[one], counts.document[other]
        execution = pairs.execution_index
        rows = np.stack([counts.first_row[one], counts.first_row[other]])
        lasts = np.stack([counts.last_row[one], counts.last_row[other]])
        relevance = posterior.relevance
        return pl.DataFrame(
            {
                "query_id": pairs.queries.gather(counts.query[one]),
                "query": self.texts.queries.gather(counts.query[one]),
                "positive_id": pairs.documents.gather(positive),
                "positive": self._document_texts(positive),
                "negative_id": pairs.documents.gather(negative),
                "negative": self._document_texts(negative),
                "weight": chosen.certainty,
                "margin": relevance[one] - relevance[other],
                "why": pl.Series(_KINDS).gather(self._kind(chosen)),
                "positive_clicks": counts.clicks[one],
                "positive_examination": counts.examination[one],
                "positive_lower": posterior.lower(one),
                "negative_clicks": counts.clicks[other],
                "negative_examination": counts.examination[other],
                "negative_upper": posterior.upper(other),
                "execution_id": pairs.execution_id.gather(execution[counts.clicked_row[one]]),
                "first_time": pairs.time[execution[rows.min(axis=0)]],
                "last_time": pairs.time[execution[lasts.max(axis=0)]],
            }
        )

    def _document_texts(self, documents: Integers) -> pl.Series:
        if self.texts.documents is None:
            return pl.Series([None], dtype=pl.String).new_from_index(0, len(documents))
        return self.texts.documents.gather(documents)


def _evidence(pairs: TrainingPairs, examined: RowExamination, texts: _Texts) -> pl.DataFrame:
    """Return clicks and examination of every (query, document)."""
    counts = count_query_documents(pairs, examined.of(pairs))
    return pl.DataFrame(
        {
            "query_id": pairs.queries.gather(counts.query),
            "query": texts.queries.gather(counts.query),
            "document_id": pairs.documents.gather(counts.document),
            "clicks": counts.clicks,
            "examination": counts.examination,
        }
    )


def _loaded(source: Any, load: dict[str, Any], by: str | None) -> TrainingPairs:
    """Return the pairs of a source; `by`: context column that the examination depends on."""
    if not isinstance(source, TrainingPairs):
        context = () if by is None else (by,)
        return load_pairs(source, **{"builtin_features": (), "context": context, **load})
    if load:
        msg = f"{next(iter(load))}: these pairs are loaded; give it to load_pairs"
        raise InvalidInputError(msg)
    return source


def _texts(
    pairs: TrainingPairs,
    documents: pl.DataFrame | None,
    query_text: Callable[[str], str | None] | None,
) -> _Texts:
    queries = query_texts(pairs.queries, query_text)
    if documents is None:
        return _Texts(queries, None)
    at = index_among(pairs.documents, documents["document_id"])
    found = documents["text"].gather(pl.Series(at).replace(-1, None))
    return _Texts(queries, found)


def _notes(
    pairs: TrainingPairs,
    examined: RowExamination,
    test: TrainingPairs | None,
    texts: pl.DataFrame | None,
) -> list[str]:
    notes = [examined.note] if examined.note else []
    if test is not None and not pairs.has_times:
        notes.append("the log has no times: the parts share no query, but are of the same time")
    if texts is None:
        notes.append("no texts were given: near-duplicates of positives are not refused")
    else:
        shown = pairs.documents.gather(np.unique(pairs.document_code))
        with_text = texts.filter(texts["text"].is_not_null())["document_id"]
        missing = int((index_among(shown, with_text) < 0).sum())
        if missing:
            notes.append(f"{missing:,} of {len(shown):,} documents of the log have no text")
    return notes
