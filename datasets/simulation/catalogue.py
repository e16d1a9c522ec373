"""What a simulated search can show: queries, their candidates, grades and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..pairs.training_pairs import TrainingPairs
from .clicks import relevance_of_grade

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RandomState: TypeAlias = int | np.random.Generator | None
Channels: TypeAlias = "int | Sequence[str] | Mapping[str, ArrayLike] | None"

CHANNEL_NAMES = ("mixpeek://text", "mixpeek://image", "mixpeek://audio", "mixpeek://video")
GRADE_SHARES = (0.55, 0.2, 0.13, 0.08, 0.04)


@dataclass(frozen=True)
class Candidates:
    """A catalogue in arrays; n rows, one for every candidate document of a query."""

    queries: pl.Series  # distinct queries; `query_code` (n,) points into it
    query_code: NDArray[np.int64]
    feature_id: pl.Series
    relevance: NDArray[np.float64]  # shape (n,)
    X: NDArray[np.float64]  # shape (n, n_features)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.relevance)


def simulate_catalogue(
    *,
    n_queries: int = 200,
    n_documents: int = 30,
    n_features: int = 10,
    n_channels: int = 3,
    random_state: RandomState = None,
) -> pl.DataFrame:
    """Generate queries with graded candidate documents, features and channel scores.

    Half of the features follow the hidden relevance (with growing noise), the others are noise;
    5 % of the values are NaN. A channel's score follows the relevance too; 15 % of the
    documents are missed by it (NaN). About 55, 20, 13, 8 and 4 % of the documents have grades 0
    to 4.

    Parameters
    ----------
    n_queries, n_documents : int
        Queries, and candidate documents of each.
    n_features : int
        Numeric features, named ``f0``, ``f1`` and so on.
    n_channels : int
        Channels with a score for each document; columns named like ``mixpeek://text``.
    random_state : int, numpy Generator or None

    Returns
    -------
    polars.DataFrame
        Columns query, feature_id (unique), grade (Int32), the features, the channels. Without
        query and grade it is a feature table for `load_pairs`.

    Examples
    --------
    >>> catalogue = simulate_catalogue(n_queries=2, n_documents=3, n_features=1, random_state=0)
    >>> catalogue.columns
    ['query', 'feature_id', 'grade', 'f0', 'mixpeek://text', 'mixpeek://image', 'mixpeek://audio']
    >>> catalogue["feature_id"].to_list()[:4]
    ['q0000-d000', 'q0000-d001', 'q0000-d002', 'q0001-d000']
    """
    if min(n_queries, n_documents) < 1 or min(n_features, n_channels) < 0:
        msg = (
            "n_queries and n_documents must be at least 1, n_features and n_channels at least 0; "
            f"got {n_queries}, {n_documents}, {n_features}, {n_channels}"
        )
        raise InvalidInputError(msg)
    rng = np.random.default_rng(random_state)
    hidden = rng.standard_normal(n_queries * n_documents)
    bounds = np.quantile(hidden, np.cumsum(GRADE_SHARES)[:-1])
    return pl.DataFrame(
        {
            "query": np.repeat([f"query {q:04d}" for q in range(n_queries)], n_documents),
            "feature_id": [
                f"q{q:04d}-d{d:03d}" for q in range(n_queries) for d in range(n_documents)
            ],
            "grade": np.searchsorted(bounds, hidden).astype(np.int32),
            **_features(hidden, n_features, rng),
            **_channels(hidden, n_channels, rng),
        }
    )


def _features(
    hidden: NDArray[np.float64], n: int, rng: np.random.Generator
) -> dict[str, pl.Series]:
    informative = (n + 1) // 2
    columns = {}
    for j in range(n):
        noise = rng.standard_normal(len(hidden))
        values = hidden + (1 + j) * noise if j < informative else noise
        values[rng.random(len(hidden)) < 0.05] = np.nan
        columns[f"f{j}"] = pl.Series(values)
    return columns


def _channels(
    hidden: NDArray[np.float64], n: int, rng: np.random.Generator
) -> dict[str, pl.Series]:
    columns = {}
    for j in range(n):
        name = CHANNEL_NAMES[j] if j < len(CHANNEL_NAMES) else f"mixpeek://channel-{j}"
        values = hidden + (1.5 + j) * rng.standard_normal(len(hidden))
        values[rng.random(len(hidden)) < 0.15] = np.nan
        columns[name] = pl.Series(values)
    return columns


def candidates_of(catalogue: pl.DataFrame | TrainingPairs) -> Candidates:
    """Return the arrays of a catalogue, or raise if it is not one."""
    if isinstance(catalogue, TrainingPairs):
        return _of_pairs(catalogue)
    if not isinstance(catalogue, pl.DataFrame):
        got = type(catalogue).__name__
        msg = f"catalogue: expected a polars DataFrame or TrainingPairs, got {got}"
        raise InvalidInputError(msg)
    missing = [name for name in ("query", "feature_id", "grade") if name not in catalogue.columns]
    if missing or catalogue.is_empty():
        msg = (
            f"catalogue: expected rows with query, feature_id, grade and numeric features; "
            f"got {catalogue.height} rows and columns {catalogue.columns}"
        )
        raise InvalidInputError(msg)
    queries = catalogue["query"].cast(pl.String)
    names = queries.unique(maintain_order=True)
    code = queries.replace_strict(names, np.arange(len(names)), return_dtype=pl.Int64)
    return Candidates(
        queries=names,
        query_code=code.to_numpy(),
        feature_id=catalogue["feature_id"].cast(pl.String),
        relevance=_relevance(catalogue["grade"].to_numpy()),
        X=catalogue.select(pl.col(feature_columns(catalogue)).cast(pl.Float64)).to_numpy(),
    )


def feature_columns(catalogue: pl.DataFrame) -> list[str]:
    """Return the numeric columns that are neither the grade nor a channel."""
    return [
        name
        for name, dtype in catalogue.schema.items()
        if dtype.is_numeric() and name != "grade" and "://" not in name
    ]


def channel_scores(
    catalogue: pl.DataFrame | TrainingPairs,
    candidates: Candidates,
    channels: Channels,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Return every channel's score, min-max normalised over all candidates of each query.

    Normalised over the shown documents only, a third of what fusion can learn would be lost.
    """
    raw: Mapping[str, ArrayLike]
    if isinstance(channels, int):
        generated = _channels(candidates.relevance, channels, rng)
        raw = {name: values.to_numpy() for name, values in generated.items()}
    elif isinstance(channels, Mapping):
        raw = channels
    else:
        raw = _channel_columns(catalogue, channels)
    return {name: _normalised(name, scores, candidates) for name, scores in raw.items()}


def _channel_columns(
    catalogue: pl.DataFrame | TrainingPairs, names: Sequence[str] | None
) -> dict[str, NDArray[np.float64]]:
    columns = catalogue.columns if isinstance(catalogue, pl.DataFrame) else []
    chosen = [name for name in columns if "://" in name] if names is None else list(names)
    unknown = [name for name in chosen if name not in columns]
    if unknown or not isinstance(catalogue, pl.DataFrame):
        if not chosen:
            return {}
        msg = f"channels: {unknown} are no columns of the catalogue; give a dict name -> scores"
        raise InvalidInputError(msg)
    return {name: catalogue[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in chosen}


def _normalised(name: str, scores: ArrayLike, candidates: Candidates) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(candidates),):
        msg = f"channels[{name!r}]: expected {len(candidates)} scores, got shape {values.shape}"
        raise InvalidInputError(msg)
    low = np.full(len(candidates.queries), np.inf)
    high = -low
    np.fmin.at(low, candidates.query_code, values)
    np.fmax.at(high, candidates.query_code, values)
    span = np.where(high > low, high - low, 1.0)[candidates.query_code]
    result: NDArray[np.float64] = (values - low[candidates.query_code]) / span
    return result


def _relevance(grade: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.issubdtype(grade.dtype, np.number) or np.isnan(grade).any():
        msg = f"catalogue: grade must be a number >= 0 in every row, got {grade.dtype} with gaps"
        raise InvalidInputError(msg)
    return relevance_of_grade(grade)


def _of_pairs(pairs: TrainingPairs) -> Candidates:
    used, code = np.unique(pairs.query_code, return_inverse=True)
    return Candidates(
        queries=pairs.queries.gather(used),
        query_code=np.repeat(code.astype(np.int64), pairs.group),
        feature_id=pairs.document_id,
        relevance=_relevance(pairs.y.astype(np.float64)),
        X=pairs.X.astype(np.float64),
    )
