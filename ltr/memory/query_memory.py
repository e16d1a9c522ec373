"""Memory of queries: what clicks said of each document, mixed with the ranker's score."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np

from ..._shared.checks import checked_number
from ..._shared.digests import sha256_hex
from ..._shared.ids import stable_id
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...datasets.pairs.training_pairs import TrainingPairs
from ...errors import InvalidInputError, StateMismatchError
from ..exposure.frequency_bands import BANDS
from . import files
from .estimates import CountingRules, estimate, prior_of
from .evidence import Evidence, ids_of
from .examination import ExaminationTable, checked_click_model, log_examination
from .judged import unshown_sums
from .names import no_names
from .part_evidence import part_evidence, production_scores
from .reports import memory_summary, memory_table
from .served import ServedMemory, query_ids
from .sums import add
from .table import LeftOut, limited, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from mmap import mmap
    from pathlib import Path

    import polars as pl
    from numpy.typing import ArrayLike, NDArray

    from ...datasets.distributed.part_pairs import PairParts
    from ...datasets.position_bias.estimator import PositionBias
    from .estimates import Estimates
    from .judged import JudgeEvidence
    from .names import Names
    from .replay import MemoryReport
    from .state import Removed
    from .strength import Strength
    from .sums import QueryDocumentSums
    from .units import Units

    Floats = NDArray[np.float64]

logger = logging.getLogger("rankloom")

PRODUCTION: Final = "production's order"
SCORES: Final = "scores"


class QueryMemory:
    """What was clicked for each query, corrected for position, as far as it predicts later clicks.

    Of a document d that was shown for a query, with gains C and examinations E of all its
    displays, decayed by age, the relevance is

        r = (C + k p) / (E + k),

    the posterior mean under ``C ~ Poisson(E r)`` and a Gamma prior of mean p and strength k
    (empirical Bayes; Efron, "Large-Scale Inference", 2010, chapter 1). p is the score of a ranker
    as P(click | examined), calibrated on the log, and k what predicts later clicks best. So
    rare queries follow the ranker and frequent ones their clicks. Queries that were never logged,
    and bands of frequency in which clicks do not predict later clicks better than the ranker, keep
    the ranker's order exactly.

    Judgements of the pairs (``load_pairs(judgments=...)``) add to C and E: a grade counts as so
    many clicks in so many examinations as its source agrees with clicks, and as it predicts them
    beside the ranker's score. Documents and queries that were judged and never shown are served,
    too, the queries as those shown least.

    Parameters
    ----------
    half_life : float, optional
        Days after which evidence weighs half, counted from the newest evidence.
    examination : array-like of shape (positions,), PositionBias or None
        As of `Ranker`; where nothing identifies a curve, 1 / (position + 1) is assumed. Of each
        position one factor is estimated in addition, see `rankloom.ltr.memory.calibration`.
    click_model : {"auto", "pbm", "ubm", "dbn"}
        Where the curve is neither given nor in the pairs: whether the examination depends on the
        position alone or on the clicks of the execution, too. "auto": what the ranker that is the
        prior chose by likelihood; "pbm" without one.
    gains : sequence of float, optional
        Gain of each grade, the last one for all higher grades; 0 and 1, clicks, by default.
    clip : float
        Smallest examination counted of a click: none weighs more than 1 / clip.
    max_queries : int or None
        Most queries served: those with the most impressions.
    max_documents : int or None
        Most documents of a query: those examined most.
    source : str, optional
        Name of this process's evidence when memories are merged, different for every process
        that learns by itself; random if None.

    Attributes
    ----------
    examination_ : ExaminationTable
        Examination by position or by the clicks around it, which `update` uses, and its source.
    judgments_ : dict of str to JudgeEvidence
        By source of judgements, what its grades count as and of how many documents they are.
    strength_ : Strength
        k, and how well memory predicts, by frequency band of the query (1, 5, 20 and 100 earlier
        impressions and more).
    served_bands_ : tuple of bool
        Whether queries of each band are served by memory.
    left_out_ : LeftOut
        Queries and documents beyond the caps.
    notes_ : list of str

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> documents = simulate_catalogue(n_queries=20, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=2000, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"))
    >>> memory = QueryMemory().fit(pairs, prior=pairs.document_score)
    >>> memory.strength_.predicts
    True
    >>> query = pairs.query_id[0]
    >>> best = memory.table().filter(query_id=query)["feature_id"][0]
    >>> memory.relevance(query, [best, "never shown"], prior=[0.0, 0.0]).argmax()
    np.int64(0)
    """

    def __init__(
        self,
        *,
        half_life: float | None = None,
        examination: ArrayLike | PositionBias | None = None,
        click_model: Literal["auto", "pbm", "ubm", "dbn"] = "auto",
        gains: Sequence[float] | None = None,
        clip: float = 0.05,
        max_queries: int | None = 1_000_000,
        max_documents: int | None = 1_000,
        source: str | None = None,
    ) -> None:
        for name, value in (("max_queries", max_queries), ("max_documents", max_documents)):
            if value is not None:
                checked_number(name, value, 1, whole=True)
        if half_life is not None:
            checked_number("half_life", half_life, 0, 1e6, between=True)
        checked_number("clip", clip, 0, 1, between=True)
        rules = CountingRules(half_life, _checked_gains(gains), float(clip))
        checked_click_model(click_model)
        self.examination, self.click_model = examination, click_model
        self.max_queries, self.max_documents = max_queries, max_documents
        self.source = source or uuid.uuid4().hex
        self.evidence: Evidence | None = Evidence(rules, self.source)
        self._names_served: dict[str, Names] | None = None
        self.rules = rules
        self.examination_ = ExaminationTable(np.ones(1), None, "pbm", "given")
        self.prior_kind_ = PRODUCTION
        self._warned = False
        self.left_out_ = LeftOut(0, 0)
        self.notes_: list[str] = []
        self._estimates: Estimates | None = None
        self._served: ServedMemory | None = None

    # Learning

    def fit(
        self, pairs: TrainingPairs, prior: Any = None, *, held_out: ArrayLike | None = None
    ) -> Self:
        """Learn from pairs alone, and estimate calibration and strength.

        Parameters
        ----------
        pairs : TrainingPairs
            With positions; left as they are. With a context column user_id a user's part can be
            deleted later. Their judgements are taken in, too.
        prior : Ranker, array-like of shape (n,), or None
            What ranks documents that have no clicks: a ranker, its scores of the pairs, or None
            for production's own order, that is P(click | examined) by logged position.
        held_out : array-like of shape (n,), optional
            Scores of the pairs by a prior of the same kind that did not learn from them, NaN where
            it did; `held_out_scores` makes them. The strength is then that which predicts clicks
            that the prior has not seen. A ranker that learnt from these pairs knows their clicks;
            without this it gets some two to three times the strength.

        Raises
        ------
        InvalidInputError
            If a parameter is wrong, or there is nothing to learn from.
        """
        _check_pairs(pairs)
        unseen = None if held_out is None else _checked_scores(held_out, len(pairs))
        evidence = self.evidence = Evidence(self.rules, self.source)
        self._estimates, self._served, self.notes_ = None, None, []
        click_model = self.click_model
        if click_model == "auto":
            click_model = getattr(getattr(prior, "choice_", None), "click_model", None) or "pbm"
        self.examination_, examined = log_examination(pairs, self.examination, click_model)
        if self.examination_.source == "assumed":
            self.notes_.append("the log identifies no examination curve: 1 / (position + 1)")
        self.prior_kind_ = _kind_of(prior)
        evidence.add(pairs, examined, self.prior_scores(pairs, prior))
        if unseen is None:
            return self.estimate()
        tested = Evidence(self.rules, self.source)
        tested.add(pairs, examined, unseen)
        return self._estimate(tested.state.units)

    def fit_parts(self, parts: PairParts) -> Self:
        """Learn as `fit` from a log whose pairs stay with the workers of a cluster.

        Production's order is the prior. What comes here is a unit for each (execution, document),
        as a fitted memory has it.

        Parameters
        ----------
        parts : rankloom.datasets.distributed.PairParts

        Raises
        ------
        InvalidInputError
            If `examination` is not given, or there is nothing to learn from. A curve may be
            fitted before, by `rankloom.datasets.distributed.fit_position_bias`.
        ClusterError
            If workers died again and again.
        """
        if self.examination is None:
            msg = (
                "examination: expected a curve for a log in parts, got None; "
                "rankloom.datasets.distributed.fit_position_bias fits one"
            )
            raise InvalidInputError(msg)
        evidence = Evidence(self.rules, self.source)
        found = [
            each
            for each in parts.run("remember", part_evidence, evidence, self.examination)
            if each is not None
        ]
        for each in found:
            evidence.merge(each.evidence)
        tables = [each.examination for each in found]
        self.evidence, self.prior_kind_ = evidence, PRODUCTION
        self._estimates, self._served, self.notes_ = None, None, []
        # That of the part with the deepest position; curves hold their last value beyond.
        self.examination_ = max(tables, key=lambda table: len(table.curve))
        return self.estimate()

    def update(self, pairs: TrainingPairs, prior: Any = None) -> int:
        """Add pairs, each (execution, document) once, in any order; return how many were refused.

        Calibration and strength stay as they are until `estimate`. Refused are pairs of executions
        before the cut-off of `compact`, and of what was deleted.

        Parameters
        ----------
        pairs : TrainingPairs
        prior : Ranker, array-like of shape (n,), or None
            As for `fit`; None where scores are not known, too.

        Raises
        ------
        InvalidInputError
            If the memory is not fitted, or was saved for serving only.
        StateMismatchError
            If another ranker scored the earlier pairs.
        """
        _check_pairs(pairs)
        self._check_fitted()
        evidence = self._evidence
        unknown = prior is None and self.prior_kind_ != PRODUCTION
        scores = None if unknown else self.prior_scores(pairs, prior)
        refused = evidence.add(pairs, self.examination_.of(pairs), scores)
        self._served = None
        return refused

    def estimate(self) -> Self:
        """Estimate calibration and strength again, from the units that are not compacted.

        The strength is by the scores of the prior as they are: `held_out` of `fit` is not kept.
        """
        return self._estimate(None)

    def _estimate(self, held_out: Units | None) -> Self:
        evidence = self._evidence
        units = evidence.state.units
        if not len(units.document):
            return self
        judged = evidence.state.judged
        self._estimates, sums = estimate(units, self.rules, evidence.reference, judged, held_out)
        self._serve(evidence.with_compacted(sums))
        return self

    def merge(self, other: QueryMemory) -> None:
        """Add what another memory learnt; commutative, associative, and each unit once.

        Sums of compacted units are taken once for each source, those with the later cut-off.
        Calibration and strength stay those of this memory until `estimate`.

        Raises
        ------
        StateMismatchError
            If half-life, gains, clip or the ranker differ.
        """
        self._check_fitted()
        mine, theirs = ((each.rules, each.prior_kind_) for each in (self, other))
        if mine != theirs:
            msg = f"other: learnt with {theirs}, this memory with {mine}; learn again from the log"
            raise StateMismatchError(msg)
        self._evidence.merge(other.learnt())
        self._served = None

    def compact(self, before: dt.datetime) -> int:
        """Turn this source's units before a moment into sums; return how many there were.

        Sums take less space, but pairs of executions before that moment are refused from then on,
        they no longer count for `estimate`, and a user's part of them cannot be deleted.
        """
        aware = before if before.tzinfo else before.replace(tzinfo=dt.UTC)
        moment = np.datetime64(aware.astimezone(dt.UTC).replace(tzinfo=None), "us")
        count = self._evidence.compact(
            int(moment.astype(np.int64)),
            self.estimates.calibration,
            self.max_queries,
            self.max_documents,
        )
        self._served = None
        return count

    def forget(
        self, *, query: Any = None, feature_id: str | None = None, user_id: str | None = None
    ) -> Removed:
        """Delete everything known of a query, a document or a user, up to the newest evidence.

        Merges with older copies do not bring it back. Units know their user if the pairs had the
        context column user_id. Compacted sums do not: there a user's part stays, so compact later
        than deletions have to be possible, or build the memory again from the log.

        Parameters
        ----------
        query : str or dict, optional
            A query snapshot or id.
        feature_id, user_id : str, optional
            Just one of the three.

        Returns
        -------
        Removed
            ``units``, ``sums`` and ``judgments`` that are gone, and ``unknown``, the compacted
            units whose users are not known.
        """
        self._check_fitted()
        given: dict[str, Any] = {"query": query, "document": feature_id, "user": user_id}
        named = [kind for kind, value in given.items() if value is not None]
        if len(named) != 1:
            msg = f"forget: expected one of query, feature_id and user_id, got {len(named)}"
            raise InvalidInputError(msg)
        (kind,) = named
        keys = query_ids(query) if kind == "query" else [stable_id(str(given[kind]))]
        removed = [self._evidence.forget(kind, key) for key in keys]
        self._served = None
        return max(removed)

    # Serving

    def relevance(
        self, query: Any, feature_ids: Sequence[str], prior: ArrayLike | None = None
    ) -> Floats:
        """Return P(click | examined) of documents for a query.

        Parameters
        ----------
        query : str or dict
            A query snapshot, or a query id of the pairs.
        feature_ids : sequence of str, length n
        prior : array-like of shape (n,), optional
            The ranker's scores of the documents; where the memory was fitted without a ranker,
            None: the documents are in production's order. Scores of another scale than those that
            it was fitted with are warned of, once.

        Returns
        -------
        ndarray of float64, shape (n,)
            The calibrated prior where the query is not served by memory.
        """
        scores = self._scores_of(feature_ids, prior)
        known = self.served.relevance(query, feature_ids, scores)
        return self.estimates.calibration(scores) if known is None else known

    def rescore(
        self, query: Any, feature_ids: Sequence[str], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the relevance of documents, or the scores as they are where memory has none.

        So documents of a query that memory does not serve keep the order of their scores exactly.
        """
        known = self.served.relevance(query, feature_ids, scores)
        return scores if known is None else known.astype(np.float32)

    def _scores_of(self, feature_ids: Sequence[str], prior: ArrayLike | None) -> Floats:
        n = len(feature_ids)
        if prior is None and self.prior_kind_ == PRODUCTION:
            return -np.arange(n, dtype=np.float64)
        scores = np.asarray([] if prior is None else prior, dtype=np.float64)
        if scores.shape != (n,) or not np.isfinite(scores).all():
            got = "none" if prior is None else f"shape {scores.shape}"
            msg = f"prior: expected {n} finite scores, one for each document, got {got}"
            raise InvalidInputError(msg)
        if not self._warned and not self.estimates.calibration.covers(scores):
            self._warned = True
            bins = self.estimates.calibration.score
            logger.warning(
                "prior: scores from %.4g to %.4g, where this memory is calibrated on %.4g to %.4g. "
                "They seem to be of another scale, on which the prior means nothing: give the "
                "scores that it was fitted with, of %s",
                *(scores.min(), scores.max(), bins[0], bins[-1], self.prior_kind_),
            )
        return scores

    def check_prior(self, prior: Any) -> None:
        """Raise StateMismatchError unless the memory is calibrated on this prior's scores.

        Scores without a ranker may be anyone's: they are taken, and so is a ranker where the
        memory was fitted with scores.
        """
        self._check_fitted()
        kind = _kind_of(prior)
        kinds = {kind, self.prior_kind_}
        if len(kinds) > 1 and (PRODUCTION in kinds or SCORES not in kinds):
            msg = (
                f"prior: this memory is calibrated on {self.prior_kind_}, not on {kind}; "
                "fit it with the scores that it is to be served with"
            )
            raise StateMismatchError(msg)

    # Replay

    def evaluate(self, pairs: TrainingPairs, prior: Any = None, **options: Any) -> MemoryReport:
        """Replay later pairs by memory and by the prior alone; see `evaluate_memory`."""
        from .replay import evaluate_memory

        return evaluate_memory(self, pairs, prior, **options)

    def restrict(self, report: MemoryReport) -> Self:
        """Serve only the bands of queries in which a report's lower bound is above 0."""
        self._estimates = self.estimates.restricted(report.passed_bands)
        self._served = ServedMemory(self.served.table, self._estimates)
        return self

    def relevance_of_pairs(
        self, pairs: TrainingPairs, scores: NDArray[np.floating]
    ) -> tuple[NDArray[np.int64], Floats]:
        """Return the memory's number of each execution's query, -1 for none, and rows' relevance.

        Every band counts, whether or not it is served. `scores`: the prior's, shape (n,).
        """
        query, document = ids_of(pairs)
        of_row = query[pairs.query_code][pairs.execution_index]
        number, relevance = self.served.relevance_of_pairs(
            of_row, document[pairs.document_code], scores
        )
        return number[pairs.offsets[:-1]], relevance

    def corrected_gains(self, pairs: TrainingPairs) -> Floats:
        """Return the gain of every row over its examination, as this memory counts both."""
        gain = self.rules.gain(np.clip(pairs.y, 0, 255).astype(np.uint8))
        examined = np.maximum(self.examination_.at(pairs.position), self.rules.clip)
        return np.asarray(gain / (examined * self.estimates.calibration.factor_at(pairs.position)))

    def prior_scores(self, pairs: TrainingPairs, prior: Any) -> NDArray[np.floating]:
        """Return the prior's scores of pairs: given, by a ranker, or by production's order."""
        if prior is None and self.prior_kind_ == PRODUCTION:
            return production_scores(pairs)
        if prior is None:
            msg = f"prior: expected what this memory was fitted with, {self.prior_kind_}, got None"
            raise InvalidInputError(msg)
        if self._estimates is not None:
            self.check_prior(prior)
        scores = np.asarray(prior.predict(pairs) if hasattr(prior, "predict") else prior)
        if scores.shape != (len(pairs),) or not np.isfinite(scores).all():
            msg = (
                f"prior: expected a Ranker or {len(pairs):,} finite scores, one for each pair, got "
                f"shape {scores.shape}"
            )
            raise InvalidInputError(msg)
        return scores

    @property
    def latest(self) -> int | None:
        """Time of the newest evidence in microseconds since 1970; None without times."""
        return None if self.evidence is None else self.evidence.state.latest

    # Reports

    def table(self, *, confidence: float = 0.90) -> pl.DataFrame:
        """Return what is known of every (query, document), most relevant first.

        Parameters
        ----------
        confidence : float
            Of the interval, by the quantiles of the Gamma posterior of shape C + k p and rate
            E + k.

        Returns
        -------
        polars.DataFrame
            Columns query_id, feature_id, clicks (C), exposure (E), judged_clicks, judged_exposure
            (what judgements add to C and E), prior (p), relevance, lower, upper. Ids are
            hexadecimal digits where the memory was saved without names.
        """
        return memory_table(self.served, self._names, confidence)

    def summary(self) -> str:
        """Return sizes, strength and evidence by band, and judgements, as lines of text."""
        lines = memory_summary(self.served, self.prior_kind_, self.examination_)
        if any(self.left_out_):
            queries, documents = self.left_out_
            lines.append(f"left out by the caps: {queries:,} queries, {documents:,} documents")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes_)])

    def __repr__(self) -> str:
        if self._estimates is None:
            return "QueryMemory(not fitted)"
        table = self.served.table
        return f"QueryMemory({len(table.query):,} queries, {len(table.document):,} documents)"

    @property
    def strength_(self) -> Strength:
        """The prior's strength and the evidence for it, by band."""
        return self.estimates.strength

    @property
    def judgments_(self) -> dict[str, JudgeEvidence]:
        """What the grades of each source count as, with the scale that predicts clicks best."""
        return self.estimates.judgments.by_source

    @property
    def served_bands_(self) -> tuple[bool, ...]:
        """Whether each band is served."""
        return self.estimates.served

    # Files

    def save(self, path: str | Path, *, serving: bool = False, names: bool = True) -> None:
        """Write one file, whole or not at all.

        Parameters
        ----------
        path : str or Path
        serving : bool
            Whether to leave the units out. Such a file serves, but takes no further evidence.
        names : bool
            Whether the texts of queries and documents are in it, which `table` shows.
        """
        files.save(path, self.to_bytes(serving=serving, names=names))

    def to_bytes(self, *, serving: bool = False, names: bool = True) -> bytes:
        """Return what `save` writes."""
        served = self.served
        header = {
            "rules": [self.rules.half_life, list(self.rules.gains), self.rules.clip],
            "estimates": self.estimates.to_dict(),
            "examination": self.examination_.to_dict(),
            "prior": self.prior_kind_,
            "limits": [self.max_queries, self.max_documents],
            "left_out": list(self.left_out_),
            "source": self.source,
            "notes": self.notes_,
        }
        state = None if serving or self.evidence is None else self.evidence.state
        return files.dump(header, served.table, self._names if names else None, state)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the memory that `save` wrote; its arrays are mapped, not read into memory.

        Load files only from writers that you trust: the digest finds damage, not tampering.

        Raises
        ------
        UnreadableSourceError
            If there is no such file.
        IntegrityError
            If it is damaged, cut off, or of another format.
        """
        return cls._of(files.load(path))

    @classmethod
    def load_bytes(cls, data: mmap | bytes) -> Self:
        """Return the memory that `to_bytes` gave; raises IntegrityError if it is damaged."""
        return cls._of(files.parse(data))

    @classmethod
    def _of(cls, stored: files.Stored) -> Self:
        header = stored.header
        half_life, gains, clip = header["rules"]
        queries, documents = header["limits"]
        memory = cls(
            half_life=half_life,
            gains=gains,
            clip=clip,
            max_queries=queries,
            max_documents=documents,
            source=header["source"],
        )
        memory._names_served = stored.names
        if stored.state is None or memory.evidence is None:
            memory.evidence = None
        else:
            memory.evidence.state = stored.state
            memory.evidence.names = stored.names or memory.evidence.names
        memory.examination_ = stored.examination
        memory.prior_kind_ = header["prior"]
        memory.notes_ = list(header["notes"])
        memory.left_out_ = LeftOut(*header["left_out"])
        memory._estimates = stored.estimates
        memory._served = ServedMemory(stored.table, stored.estimates)
        return memory

    # State

    @property
    def estimates(self) -> Estimates:
        """Calibration, strength and the bands that are served."""
        self._check_fitted()
        assert self._estimates is not None  # noqa: S101 - checked above
        return self._estimates

    @property
    def _names(self) -> dict[str, Names]:
        known = self._names_served if self.evidence is None else self.evidence.names
        return {"query": no_names(), "document": no_names()} if known is None else known

    @property
    def served(self) -> ServedMemory:
        """What is served; made anew after a change."""
        if self._served is None:
            self._serve(self._evidence.sums(self.estimates.calibration))
        assert self._served is not None  # noqa: S101 - made above
        return self._served

    def learnt(self) -> Evidence:
        """Return the evidence; raises InvalidInputError where the file had none."""
        return self._evidence

    def _serve(self, sums: QueryDocumentSums) -> None:
        judged, evidence = self._evidence.state.judged, self.estimates.judgments
        if judged:
            sums = add([(sums, 1.0), (unshown_sums(judged), 1.0)])
        kept, self.left_out_ = limited(sums, self.max_queries, self.max_documents)
        counted = evidence.counted(judged, kept) if judged else None
        table = table_of(kept, prior_of(kept, self.estimates.calibration), counted)
        self._served = ServedMemory(table, self.estimates)

    @property
    def _evidence(self) -> Evidence:
        if self.evidence is None:
            msg = (
                "this memory was saved for serving only and takes no evidence; load the whole "
                "file, or build it again from the log"
            )
            raise InvalidInputError(msg)
        return self.evidence

    def _check_fitted(self) -> None:
        if self._estimates is None:
            msg = "this QueryMemory is not fitted yet; call fit(pairs), or QueryMemory.load(path)"
            raise InvalidInputError(msg)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        if self._estimates is None:
            return Summary(repr(self))
        bands = zip(BANDS, self.strength_.bands, self.served_bands_, strict=True)
        rows = [(f"{low}+", b.queries, b.strength, b.gain, b.z, served) for low, b, served in bands]
        names = ["impressions", "queries", "prior strength", "log-likelihood gained a query", "z"]
        return Summary(repr(self), [Table.of([*names, "served"], rows)], self.notes_)


def _kind_of(prior: Any) -> str:
    """Return what scores are calibrated on: production's order, scores, or one ranker's model."""
    if prior is None:
        return PRODUCTION
    booster = getattr(prior, "booster_", None)
    if booster is None:
        return SCORES
    return f"ranker {sha256_hex(booster.model_to_string().encode())[:12]}"


def _check_pairs(pairs: Any) -> None:
    if not isinstance(pairs, TrainingPairs):
        msg = f"pairs: expected TrainingPairs (see load_pairs), got {type(pairs).__name__}"
        raise InvalidInputError(msg)
    if not pairs.has_positions:
        msg = "pairs: memory needs the position of every document; these pairs have none"
        raise InvalidInputError(msg)


def _checked_scores(held_out: ArrayLike, rows: int) -> Floats:
    scores = np.asarray(held_out, dtype=np.float64)
    if scores.shape != (rows,) or np.isinf(scores).any() or np.isnan(scores).all():
        msg = (
            f"held_out: expected {rows:,} scores, one for each pair, finite for some and NaN for "
            f"others (see held_out_scores), got shape {scores.shape}"
        )
        raise InvalidInputError(msg)
    return scores


def _checked_gains(gains: Sequence[float] | None) -> tuple[float, ...]:
    values = (0.0, 1.0) if gains is None else tuple(map(float, gains))
    if len(values) < 2 or values[0] != 0 or not np.isfinite(values).all() or min(values) < 0:
        msg = f"gains: expected 0 and then a gain of at least 0 for each grade, got {gains!r}"
        raise InvalidInputError(msg)
    return values
