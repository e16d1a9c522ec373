"""Evaluation from logs: the value of a ranking, estimated from what other rankers showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from .log_evaluation import CLIP, LogEvaluation
from .metrics import LogMetric, parse_log_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from ...datasets.pairs.training_pairs import TrainingPairs
    from ...datasets.position_bias.estimator import PositionBias
    from .report import CounterfactualReport

CLIPS = (0.0, 0.003, 0.01, 0.03, 0.1)


def evaluate_from_logs(
    pairs: TrainingPairs,
    scores: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    metric: str | LogMetric = "dcg@10",
    examination: ArrayLike | PositionBias | None = None,
    candidates: Any = None,
    propensity: ArrayLike | None = None,
    pool: Literal["auto", "query", "execution"] = "auto",
    clip: float = CLIP,
    clips: Sequence[float] = CLIPS,
    confidence: float = 0.90,
    cluster: str = "auto",
    require_overlap: bool = True,
) -> CounterfactualReport:
    """Estimate the value of a ranking from logged interactions, and its gain over a baseline.

    The value is ``V = E[sum_d w(d) r(d)]`` over the log's executions: w(d) is the metric's discount
    at the rank that the ranking gives to document d of the execution's query, r(d) the expected
    gain of d when examined, which the position-based model takes to depend on query and document
    alone.

    Parameters
    ----------
    pairs : TrainingPairs
        Logged lists with positions; later than what the ranker was trained on.
    scores : array-like, shape (n,)
        The candidate's scores of the rows of pairs or, where they are given, of the candidates.
    baseline : array-like, shape (n,), optional
        Other scores to compare with; by default what production showed, where it showed it.
    metric : str or LogMetric
        dcg@K, precision@K or clicks@K.
    examination : array-like of shape (positions,), PositionBias or None
        Probability of examination by position, relative to the first. None: `pairs.examination`
        where it is set, else the log's own curve; where it is not identified, the estimates
        assume 1 / (position + 1) and have no intervals.
    candidates : table, optional
        Columns query_id and feature_id: everything that could have been shown for the log's
        queries, one row each. By default a query's documents are those that the log ever showed
        for it, and the value is that of ranking these.
    propensity : array-like, shape (n,), optional
        Probability that the document is examined in an execution of its query, where the logging
        policy is known: the sum over positions of P(shown at position) * examination(position),
        over all rankers that were logged. By default the log's own frequency of it, which
        production's value rests on in any case. Not with pool="execution".
    pool : {"auto", "query", "execution"}
        "query": rank all documents of the query, by the mean of a document's scores. "execution":
        reorder what each execution showed. "auto" is "query", but "execution" where scores of one
        (query, document) differ between executions, as those of features of the user do: a report
        with pool="query" then has no intervals, for nothing says how documents would have been
        scored where they were not shown.
    clip : float
        Smallest propensity counted, from 0 to 1. Below it the doubly robust estimate depends on
        its model, and the others are too small.
    clips : sequence of float
        Further clips to report.
    confidence : float
        Of two-sided intervals; their lower end holds with (1 + confidence) / 2.
    cluster : str
        What intervals take to be independent. "auto": the user, else the session, as far as
        `pairs.context` holds user_id and session_id, else the execution. "execution", or another
        column of the context.
    require_overlap : bool
        Whether too little overlap (see Notes) takes the intervals away. With False it becomes a
        note: for callers who know that the given examination curve is right.

    Returns
    -------
    CounterfactualReport

    Raises
    ------
    InvalidInputError
        If pairs have no positions, or a parameter is wrong.

    Notes
    -----
    A document is examined in an execution of its query with the propensity
    ``rho(d) = sum_k pi(k | d) e(k)``, over all rankers that were logged [1]_. With
    c the gain of a display and m(d) a model of r(d):

    - IPS [2]_: mean over executions of ``sum w c / rho``;
    - SNIPS [3]_: that, times the mean of ``sum_d w`` over the mean of ``sum w e / rho``;
    - doubly robust [4]_: mean of ``sum_d w m + sum w (c - e m) / rho``.

    Where scores of one (query, document) differ between executions, its relevance may, too; then
    rho is the examination e of the display itself, as in [2]_.

    Intervals are linearised: every execution's influence is summed over its cluster, and Student's
    t is used. They take the examination curve as known, unless features contributed to it
    (`PositionBias`): its errors then enter, as the changes of an estimate by one standard error of
    the log curve in each of up to four uncorrelated directions. Instead of an interval there is a
    statement where part of the candidate's top k was never shown (or has the propensity 0), and
    where documents were always shown at one position, as under one deterministic ranker, and the
    curve is not by features: everything then depends on it, and the log cannot contradict it.

    The model of the doubly robust estimate is fitted on the clusters of the other four of five
    folds. With estimated propensities all three estimates come down to each document's gains over
    its examinations, and differ by clipping and folds only; with known propensities they differ.
    Every execution counts the same: `pairs.weight` is not used.

    References
    ----------
    .. [1] H. Oosterhuis and M. de Rijke, "Policy-Aware Unbiased Learning to Rank for Top-k
       Rankings", SIGIR 2020.
    .. [2] T. Joachims, A. Swaminathan and T. Schnabel, "Unbiased Learning-to-Rank with Biased
       Feedback", WSDM 2017.
    .. [3] A. Swaminathan and T. Joachims, "The Self-Normalized Estimator for Counterfactual
       Learning", NeurIPS 2015.
    .. [4] H. Oosterhuis, "Doubly-Robust Estimation for Correcting Position-Bias in Click Feedback
       for Unbiased Learning to Rank", TOIS 2023.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> documents = simulate_catalogue(n_queries=20, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=2000, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"), context=["user_id"])
    >>> report = evaluate_from_logs(pairs, pairs.document_score)
    >>> report.metric, report.clustered_by, report.identified
    ('DCG@10', 'user', True)
    """
    named = metric if isinstance(metric, LogMetric) else parse_log_metric(metric)
    prepared = LogEvaluation.prepare(
        pairs,
        examination=examination,
        candidates=candidates,
        propensity=propensity,
        pool=pool,
        clip=clip,
        clips=clips,
        confidence=confidence,
        cluster=cluster,
        require_overlap=require_overlap,
    )
    return prepared.report(scores, baseline, named)
