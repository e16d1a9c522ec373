"""Interactions to users x documents: `engagement_matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.checks import checked_number
from ...datasets.loading.load_pairs import load_pairs
from ...datasets.pairs.text_codes import alphabetical_codes, index_among
from ...datasets.pairs.training_pairs import TrainingPairs
from ...datasets.position_bias.examination import examination_of
from ...errors import InvalidInputError
from .confidence import UserDisplays, confidence
from .matrix import EngagementMatrix, EngagementReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import ArrayLike

    from ...datasets.position_bias.estimator import PositionBias
    from ...datasets.record.mapping import TimeUnit

USER: Final = "user_id"


def engagement_matrix(
    source: Any,
    *,
    impressions: Any = None,
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    half_life: float | None = None,
    now: datetime | None = None,
    drop_bots: bool = False,
    attribution: str | None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
    quarantine: str | Path | None = None,
) -> EngagementMatrix:
    """Return how confident a log makes us that each user engages with each document.

    Parameters
    ----------
    source, impressions, half_life, now, drop_bots, attribution, columns, types, position_base, \
time_unit, grades, query_key, quarantine
        As for `load_pairs`. Or `source` is `TrainingPairs`, such as those of `split_by_time`, that
        were loaded with ``context=["user_id"]``; the others are then left out.
    examination : array-like of shape (positions,), PositionBias or None
        Probability of examination at each position, relative to the first. None: the pairs' own or
        the log's own curve, or, with a log line, 1 / (position + 1) where it identifies none.
    prior_strength : float
        Examined displays that the document's rate counts as.

    Returns
    -------
    EngagementMatrix
        Users and documents are those that a display with a user names.

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, or no execution names a user.
    NoExposuresError
        If the log holds no document that was shown and not clicked.

    Notes
    -----
    Of the displays i of document d to user u, with grade g_i (0 without engagement), examination
    e_i at their position, and recency weight w_i = 2^(-age / half_life), scaled to 1 in the mean
    over executions,

        C = sum w_i g_i,    E = sum w_i e_i,    confidence = (C + k r_d) / (E + k),

    where any C > 0; k is `prior_strength`. That is the posterior mean of the grade by examined
    display under ``C ~ Poisson(E r)`` and a Gamma prior whose mean is the document's own rate,
    r_d = (C_d + k r) / (E_d + k), with sums over all users and r = C / E of the whole log. So a
    click far down counts more than one at the top, which more users get to see. Values are meant as
    confidence in the sense of Hu, Koren and Volinsky, "Collaborative Filtering for Implicit
    Feedback Datasets" (ICDM 2008).

    Negatives are the sum of w_i over displays with a negative signal (negative_feedback, skip,
    return_to_results) plus the sum of w_i e_i over the other displays without engagement.

    Examples
    --------
    >>> from rankloom.retrieval import engagement_matrix
    >>> rows = []
    >>> for user, clicked in (("ann", "b"), ("bob", "a")):
    ...     shown = {"execution_id": f"by {user}", "user_id": user}
    ...     for position, document in enumerate("ab"):
    ...         row = {**shown, "feature_id": document, "position": position}
    ...         rows.append({**row, "interaction_type": ["impression"]})
    ...         if document == clicked:
    ...             rows.append({**row, "interaction_type": ["click"]})
    >>> matrix = engagement_matrix(rows, examination=[1, 0.5])
    >>> matrix
    EngagementMatrix(2 users x 2 documents, 2 engaged, 2 with evidence against)
    >>> print(matrix.engagement.toarray().round(2))
    [[0.   0.76]
     [0.67 0.  ]]
    """
    checked_number("prior_strength", prior_strength, 0, between=True)
    if isinstance(source, TrainingPairs):
        pairs = source
    else:
        by = getattr(examination, "by", None)
        pairs = _load(
            source,
            impressions=impressions,
            context=[by] if by else [],
            columns=columns,
            types=types,
            position_base=position_base,
            time_unit=time_unit,
            grades=grades,
            query_key=query_key,
            half_life=half_life,
            now=now,
            drop_bots=drop_bots,
            attribution=attribution,
            quarantine=quarantine,
        )
    return _matrix(pairs, examination, float(prior_strength))


def _load(source: Any, context: Sequence[str], **options: Any) -> TrainingPairs:
    """Return the log's pairs with the user of every execution."""
    try:
        return load_pairs(source, builtin_features=(), context=[USER, *context], **options)
    except InvalidInputError as error:
        if str(error).startswith(f"context: {USER!r}"):
            raise _without_users() from error
        raise


def _without_users() -> InvalidInputError:
    msg = "source: no execution names a user; log user_id with the impressions or with the clicks"
    return InvalidInputError(msg)


def _matrix(pairs: TrainingPairs, examination: Any, prior_strength: float) -> EngagementMatrix:
    _check_users(pairs)
    seen = examination_of(pairs, examination, caller="engagement_matrix")
    user_ids = pairs.context[USER].drop_nulls().unique().sort()
    users = index_among(pairs.context[USER], user_ids).astype(np.int32)
    user = users[pairs.execution_index]
    kept = user >= 0
    documents, document_ids = alphabetical_codes(pairs.documents.gather(pairs.document_code[kept]))
    displays = UserDisplays(
        user=user[kept],
        document=documents,
        gain=pairs.y[kept],
        negative=pairs.negative[kept],
        examination=seen[kept],
        weight=pairs.weight[kept].astype(np.float64),
    )
    shape = (len(user_ids), len(document_ids))
    engagement, negatives = confidence(displays, shape, prior_strength)
    report = EngagementReport(
        executions=int((users >= 0).sum()),
        displays=int(kept.sum()),
        executions_without_user=int((users < 0).sum()),
        displays_without_user=int((~kept).sum()),
        users_without_engagement=int((np.diff(engagement.indptr) == 0).sum()),
        documents_without_engagement=shape[1] - len(np.unique(engagement.indices)),
        load=pairs.report,
    )
    names = user_ids.alias(USER), document_ids.alias("feature_id")
    return EngagementMatrix(engagement, negatives, *names, report)


def _check_users(pairs: TrainingPairs) -> None:
    if USER not in pairs.context:
        msg = (
            f"source: the pairs do not name users; load them by load_pairs(..., context=[{USER!r}])"
        )
        raise InvalidInputError(msg)
    if not pairs.has_positions:
        msg = (
            "source: some pairs were judged and never shown, so nothing says who engaged with "
            "them; give a log of interactions"
        )
        raise InvalidInputError(msg)
    if pairs.context[USER].is_null().all():
        raise _without_users()
