"""Replay: what other fusion weights would have been worth, told from the log; and the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidInputError
from ._replay_candidates import arms_of, frozen, is_served, leave_out_own, segment_by_of
from ._replay_judgement import Judgement
from ._replay_log import read_lists
from ._replay_metrics import parse_replay_metric
from .identity import Identity
from .rewards import RewardTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ._replay_metrics import ReplayMetric
    from ._replay_report import WeightsReplay
    from .fusion_bandit import FusionBandit
    from .weights import FusionWeights

METRICS: Final = ("dcg@10", "dcg@5", "clicks@10")


def replay_weights(
    log: Any,
    candidate: Mapping[str, float] | FusionWeights | FusionBandit,
    *,
    baseline: Mapping[str, float] | FusionWeights | FusionBandit | str = "served",
    metrics: Sequence[str] = METRICS,
    examination: Sequence[float] | NDArray[np.float64] | None = None,
    rewards: Mapping[str, float] | None = None,
    retriever_id: str | None = None,
    later: bool = True,
    tolerance: float = 0.01,
    confidence: float = 0.95,
) -> WeightsReplay:
    """Estimate what other weights would have been worth, and say whether they may ship.

    The gate passes if the one-sided lower bound of the first metric's gain lies above 0, and that
    of every other metric's relative gain above -`tolerance`.

    Parameters
    ----------
    log : path, glob, table, list of dicts, or a list of paths
        Interactions with ``metadata.features[uri].score`` of every shown document and, for more
        than plain re-ranking, ``metadata.fusion``; see `Served.to_metadata` and `Fused.metadata`.
    candidate : FusionWeights, FusionBandit, or mapping of feature_uri to float
        Snapshots are judged at their mean, every segment at its own.
    baseline : "served", FusionWeights, FusionBandit, or mapping of feature_uri to float
        "served" is what was shown, experiments included.
    metrics : sequence of str
        ``dcg@K`` or ``clicks@K``; the first decides.
    examination : array-like, shape (positions,), optional
        Examination by position, the first 1; None: 1 / (position + 1).
    rewards : mapping of str to float, optional
        Interaction type -> reward, over the defaults; see `RewardTable`.
    retriever_id : str, optional
        Take rows of this retriever, and rows that name none; None: all.
    later : bool
        Leave out lists up to the newest evidence of a candidate that is a snapshot. With False
        they are used, and the gate does not pass where there are any: weights are flattered by the
        clicks they were learnt from.
    tolerance : float
        Relative loss that the other metrics' bounds must exclude.
    confidence : float
        Of one-sided bounds, above 0.5.

    Returns
    -------
    WeightsReplay

    Raises
    ------
    InvalidInputError
        If no list has scores of all its documents, none is later than the candidate's evidence, or
        a parameter is wrong.

    Notes
    -----
    A document of a query is worth r(d) when examined, whoever put it there (position-based model).
    With e_i(d) the examination of its position in list i and c_i(d) its reward there,

        V(v) = mean over lists of sum_d discount(rank of d under v) * sum_i c_i(d) / sum_i e_i(d).

    *Policy-aware*: where served weights were logged, d ranges over all documents that were shown
    for the query (and segment). Each set of weights that was served for the query is one logging
    policy, and sum_i e_i(d) / n is the document's examination under their mixture: the
    policy-aware propensity [1]_ with the balance heuristic over loggers [2]_. A document that one
    policy buried is thus known from the others, above all from ``explore_pct`` (weights uniform on
    the simplex) and ``control_pct`` (equal ones).

    What no policy ever showed remains unknown. But the served weights bound how high the candidate
    could rank it (a document that weights w left out scored no more under w than the last one
    shown), so it is known up to which rank the candidate's list is certain. Where less than half
    of the first metric stands at such ranks, where served weights never varied, where lists do not
    follow from the logged weights, or where there are fewer than 20 clusters, a statement stands
    instead of intervals, and the gate does not pass.

    *Re-ranking*: where served weights were not logged, d ranges over the documents of each list
    alone. That says what reordering the shown lists is worth; it is blind to what the candidate
    would have shown instead, so there are no intervals and nothing passes.

    Intervals are linearised: with m(d) the document's reward over its examination in the other
    lists, list i adds sum_d discount(d) m(d) and, for each display, discount / propensity *
    (c_i - e_i m). These are summed over clusters (user, else session, else execution); quantiles
    are Student's. Examination is taken as known. Candidate and baseline are estimated from the
    same lists, so the gain's error is a paired one.

    References
    ----------
    .. [1] H. Oosterhuis and M. de Rijke, "Policy-Aware Unbiased Learning to Rank for Top-k
       Rankings", SIGIR 2020.
    .. [2] A. Agarwal, S. Basu, T. Schnabel and T. Joachims, "Effective Evaluation Using Logged
       Bandit Feedback from Multiple Loggers", KDD 2017.

    Examples
    --------
    >>> rows = []
    >>> for n in range(60):
    ...     served = {"bm25": 0.8, "clip": 0.2} if n % 2 else {"bm25": 0.4, "clip": 0.6}
    ...     for position, document in enumerate("ab" if n % 2 else "ba"):
    ...         score = {"bm25": {"score": document == "a"}, "clip": {"score": document == "b"}}
    ...         score = {uri: {"score": float(s["score"])} for uri, s in score.items()}
    ...         types = ["impression", "click"] if document == "a" and n % 3 else ["impression"]
    ...         rows.append({"execution_id": f"e{n}", "user_id": f"u{n}", "feature_id": document,
    ...                      "position": position, "interaction_type": types,
    ...                      "query_snapshot": {"query": "q"}, "result_set_size": 2,
    ...                      "timestamp": "2026-01-31",
    ...                      "metadata": {"features": score, "fusion": {"weights": served}}})
    >>> found = replay_weights(rows, {"bm25": 0.9, "clip": 0.1}, tolerance=0.2)
    >>> found.method, found.passed, found.overlap.certain
    ('policy-aware', True, 1.0)
    """
    named = [parse_replay_metric(text) for text in metrics]
    _check_options(named, tolerance, confidence)
    mine, theirs = frozen(candidate), None if is_served(baseline) else frozen(baseline)
    lists = read_lists(
        log,
        arms_of(mine, theirs),
        rewards=rewards,
        segment_by=segment_by_of(mine, theirs),
        retriever_id=retriever_id,
    )
    lists, known = leave_out_own(lists, mine, later=later)
    aware = bool(lists.weighted.any())
    if aware:
        lists = lists.keep(lists.weighted, "no served weights logged")
    curve = Identity.of(RewardTable(), half_life=1.0, examination=examination)
    judgement = Judgement.of(lists, curve, mine, theirs, aware=aware)
    return judgement.report(named, tolerance, confidence, known, given=examination is not None)


def _check_options(metrics: list[ReplayMetric], tolerance: float, confidence: float) -> None:
    if not metrics:
        msg = "metrics: got none; the first one decides"
        raise InvalidInputError(msg)
    if not 0.5 < confidence < 1:
        msg = f"confidence: expected a number between 0.5 and 1, got {confidence!r}"
        raise InvalidInputError(msg)
    if not tolerance >= 0:
        msg = f"tolerance: expected a number from 0 on, got {tolerance!r}"
        raise InvalidInputError(msg)
