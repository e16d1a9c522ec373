"""Interactions to features of affinity: `affinity_features`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...datasets.behaviour.displays import read_displays
from ...datasets.pairs.text_codes import index_among
from ...datasets.reading.displays import attribution_window
from ...datasets.record.mapping import InputMapping
from ...datasets.record.signals import SignalTable
from ...datasets.record.times import microseconds
from ...errors import InvalidInputError
from ..neighbours.parameters import check_method, check_neighbours
from .kernels import Moments
from .past import FEATURES, AffinitySettings, Past, features_by_block

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike
    from scipy import sparse

    from ...datasets.position_bias.estimator import PositionBias
    from ...datasets.record.mapping import TimeUnit


@dataclass(frozen=True)
class UserAffinity:
    """Affinity as of one moment, for new executions; `affinity_features` returns it.

    Attributes
    ----------
    as_of : datetime
        UTC; events before it were counted.
    past : Past
        What users engaged with before.
    """

    as_of: dt.datetime
    past: Past

    @cached_property
    def _neighbours(self) -> sparse.csr_matrix:
        moment = np.array([microseconds(self.as_of)])
        return self.past.neighbours(int(self.past.settings.fitted_at(moment)[0]))

    def features(self, feature_ids: Sequence[Any], *, user_id: str | None) -> pl.DataFrame:
        """Return what a new execution at `as_of` would get: one row per candidate, in order.

        Parameters
        ----------
        feature_ids : sequence of str or int
            The candidates.
        user_id : str or None
            None: features are missing. A user never seen has an empty history.

        Returns
        -------
        DataFrame
            ``feature_id``, then the features by the names and in the order of
            `affinity_features`.
        """
        ids = pl.Series("feature_id", [str(each) for each in feature_ids], pl.String)
        document = index_among(ids, self.past.document_ids)
        user = index_among(pl.Series([user_id], dtype=pl.String), self.past.user_ids)
        features = np.zeros((len(ids), len(FEATURES)), np.float32)
        if user_id is None:
            features[:] = np.nan
        elif user[0] >= 0:
            # Of a document never seen nothing is similar: its sums are 0.
            moments = Moments(
                np.array([0, len(ids)]),
                user.astype(np.int32),
                np.array([microseconds(self.as_of)]),
                np.maximum(document, 0).astype(np.int32),
            )
            features = self.past.features(moments, self._neighbours)
            features[document < 0, :2] = 0.0
        return pl.DataFrame([ids, *_columns(features)])

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        counts = {
            "displays": len(self.past.user),
            "users": len(self.past.user_ids),
            "documents": len(self.past.document_ids),
        }
        return Summary(
            f"UserAffinity: as of {self.as_of:%Y-%m-%d %H:%M}", [Table.of_counts(counts)]
        )


@overload
def affinity_features(
    source: Any,
    *,
    impressions: Any = None,
    method: Literal["cosine", "bm25"] = "bm25",
    n_neighbours: int = 100,
    half_life: float = 30.0,
    refit_every: str = "7d",
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    as_of: None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> pl.DataFrame: ...


@overload
def affinity_features(
    source: Any,
    *,
    impressions: Any = None,
    method: Literal["cosine", "bm25"] = "bm25",
    n_neighbours: int = 100,
    half_life: float = 30.0,
    refit_every: str = "7d",
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    as_of: dt.datetime,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> UserAffinity: ...


def affinity_features(
    source: Any,
    *,
    impressions: Any = None,
    method: Literal["cosine", "bm25"] = "bm25",
    n_neighbours: int = 100,
    half_life: float = 30.0,
    refit_every: str = "7d",
    examination: ArrayLike | PositionBias | None = None,
    prior_strength: float = 10.0,
    as_of: dt.datetime | None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    query_key: Callable[[Any], str] | str | None = None,
) -> pl.DataFrame | UserAffinity:
    """Return how similar each shown document is to what its user engaged with before.

    Only rows strictly before an execution's first event count for it: the user's engagement up to
    then, and the similarity of documents up to the last multiple of `refit_every`. So a ranker
    learns from the features as it will meet them; `as_of` returns them for serving.

    Parameters
    ----------
    source, impressions, columns, types, position_base, time_unit, grades, query_key
        As for `load_pairs`; every execution needs a time. Rows that name no execution are not
        attributed to displays.
    method : {"cosine", "bm25"}
        Similarity of documents by the users who engage with both; see `SimilarItems`.
    n_neighbours : int
        Similar documents that are kept of each.
    half_life : float
        Days after which engagement counts half.
    refit_every : str
        How often the similarity is found anew, such as ``"1d"`` or ``"7d"``; counted from 1970, so
        that no later row moves it.
    examination : array-like of shape (positions,), PositionBias or None
        Probability of examination at each position, relative to the first. None: the log's own
        curve, or, with a log line, 1 / (position + 1) where it identifies none. A curve fitted on
        this log is the one thing that depends on later rows: give one to exclude that, too.
    prior_strength : float
        Examined displays that a document's rate counts as; see `engagement_matrix`.
    as_of : datetime, optional
        Return the features as of this moment instead, for new executions. Naive means UTC.

    Returns
    -------
    DataFrame
        ``execution_id``, ``feature_id`` and columns of Float32 for ``load_pairs(features=...)``;
        NaN without a user. With engagement i of the user, of age a_i, weight w_i = 2^(-a_i /
        half_life), and similarity s: ``affinity_user_document``, the sum of w_i s(i, d);
        ``affinity_user_document_highest``, the highest s(i, d); ``affinity_user_history``, the sum
        of w_i. A document is not similar to itself: `behaviour_features` counts what the user did
        with it.
    UserAffinity
        With `as_of`.

    Raises
    ------
    InvalidInputError
        If a parameter is wrong, an execution has no time, or none has a user.
    NoExposuresError
        If the log holds no document that was shown and not clicked.

    Examples
    --------
    >>> from rankloom.retrieval import affinity_features
    >>> rows = []
    >>> for day, user, clicked in ((1, "ann", "ab"), (2, "bob", "a"), (20, "bob", "")):
    ...     shown = {"execution_id": f"e{day}", "user_id": user, "timestamp": f"2026-01-{day:02}"}
    ...     for position, document in enumerate("abc"):
    ...         row = {**shown, "feature_id": document, "position": position}
    ...         rows.append({**row, "interaction_type": ["impression"]})
    ...         if document in clicked:
    ...             rows.append({**row, "interaction_type": ["click"]})
    >>> table = affinity_features(rows, method="cosine", examination=[1, 0.5, 0.3])
    >>> table.tail(3).select("feature_id", pl.col("affinity_user_document") > 0).rows()
    [('a', False), ('b', True), ('c', False)]
    """
    check_method(method, ("cosine", "bm25"))
    check_neighbours(n_neighbours)
    checked_number("half_life", half_life, 0, between=True)
    checked_number("prior_strength", prior_strength, 0, between=True)
    if as_of is not None and not isinstance(as_of, dt.datetime):
        msg = f"as_of: expected a datetime such as datetime(2026, 1, 31, tzinfo=UTC), got {as_of!r}"
        raise InvalidInputError(msg)
    period = attribution_window(refit_every, "refit_every")
    if period is None:
        msg = "refit_every: expected hours or days such as '12h' or '7d', got None"
        raise InvalidInputError(msg)
    displays = read_displays(
        source,
        impressions,
        signals=SignalTable(grades),
        mapping=InputMapping.of(columns, types, position_base, time_unit),
        query_key=query_key,
        category=None,
        context=[by] if (by := getattr(examination, "by", None)) else [],
        caller="affinity_features",
    )
    if "user_id" not in displays.keys:
        msg = "source: no row names a user; log user_id with the impressions or with the clicks"
        raise InvalidInputError(msg)
    settings = AffinitySettings(
        method, n_neighbours, float(prior_strength), float(half_life), period
    )
    past = Past.of(displays, displays.examination(examination, "affinity_features"), settings)
    if as_of is not None:
        return UserAffinity(as_of if as_of.tzinfo else as_of.replace(tzinfo=dt.UTC), past)
    features = features_by_block(past, displays.columns.group, displays.executions.first_time)
    ids = displays.executions.ids.gather(displays.execution).alias("execution_id")
    documents = displays.documents.gather(displays.columns.document).alias("feature_id")
    return pl.DataFrame([ids, documents, *_columns(features)])


def _columns(features: np.ndarray[Any, np.dtype[np.float32]]) -> list[pl.Series]:
    return [
        pl.Series(name, np.ascontiguousarray(features[:, i])) for i, name in enumerate(FEATURES)
    ]
