"""Replay: what other fusion weights would have been worth, from the log; and the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...errors import InvalidInputError
from ..base.identity import Identity
from ..base.rewards import RewardTable
from .candidates import (
    arms_of,
    fixed_weights,
    is_served,
    segment_by_of,
    without_own_evidence,
)
from .evaluation import ReplayEvaluation
from .logged_lists import read_lists
from .metrics import parse_replay_metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ...datasets.record.mapping import InputMapping
    from ..fusion_bandit import FusionBandit
    from ..serving.fusion_weights import FusionWeights
    from .metrics import ReplayMetric
    from .report import WeightsReplay

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
    mapping: InputMapping | None = None,
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
        Snapshots are evaluated at their mean, every segment at its own, and every query of which a
        bandit, or the snapshot that it has just made, has evidence. That is of earlier lists alone
        unless `later` is False.
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
    mapping : InputMapping, optional
        How the columns, types, positions and times of the log become those of interactions.

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
    A document of a query is worth r(d) when examined, in whichever list (position-based model).
    With e_i(d) the examination of its position in list i and c_i(d) its reward there,

        V(v) = mean over lists of sum_d discount(rank of d under v) * sum_i c_i(d) / sum_i e_i(d).

    *Policy-aware*: where served weights were logged, d ranges over all documents that were shown
    for the query (and segment). Each set of weights that was served for the query is one logging
    policy, and sum_i e_i(d) / n is the document's examination under their mixture: the
    policy-aware propensity [1]_ with the balance heuristic over loggers [2]_. A document that one
    policy ranked low is thus known from the others, above all from ``explore_pct`` (weights
    uniform on the simplex) and ``control_pct`` (equal ones).

    What no policy ever showed remains unknown. But the served weights bound how high the candidate
    could rank it (a document that weights w left out scored no more under w than the last one
    shown), so it is known up to which rank the candidate's list is certain. Where less than half
    of the first metric is at such ranks, where served weights never varied, where lists do not
    follow from the logged weights, or where there are fewer than 20 clusters, a statement replaces
    the intervals, and the gate does not pass.

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
    >>> replay = replay_weights(rows, {"bm25": 0.9, "clip": 0.1}, tolerance=0.2)
    >>> replay.method, replay.passed, replay.overlap.certain
    ('policy-aware', True, 1.0)
    """
    parsed = [parse_replay_metric(text) for text in metrics]
    _check_options(parsed, tolerance, confidence)
    weights, other = fixed_weights(candidate), None
    if not is_served(baseline):
        other = fixed_weights(baseline)
    lists = read_lists(
        log,
        arms_of(weights, other),
        rewards=rewards,
        segment_by=segment_by_of(weights, other),
        retriever_id=retriever_id,
        mapping=mapping,
    )
    lists, own_lists = without_own_evidence(lists, weights, later=later)
    policy_aware = bool(lists.weighted.any())
    if policy_aware:
        lists = lists.select(lists.weighted, "no served weights logged")
    curve = Identity.of(RewardTable(), half_life=1.0, examination=examination)
    evaluation = ReplayEvaluation.of(
        lists, curve, weights, other, policy_aware=policy_aware, own_lists=own_lists
    )
    return evaluation.report(parsed, tolerance, confidence, assumed_curve=examination is None)


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
