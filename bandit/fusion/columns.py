"""The fusion of `fuse` over many queries at once, from columns of codes, in one vectorised pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError
from .combine import FusedColumns, Hits, by_list, check_options, combine
from .normalise import check_method

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .normalise import Floats, FusionMethod, Integers


def fuse_columns(
    query: ArrayLike,
    channel: ArrayLike,
    document: ArrayLike,
    score: ArrayLike,
    weights: ArrayLike,
    *,
    method: FusionMethod = "min_max",
    k: int | None = 10,
    rank_constant: float = 60,
) -> FusedColumns:
    """Fuse the result lists of many queries; for one query at a time see `fuse`, also for formulas.

    Parameters
    ----------
    query, channel, document : array-like of int, shape (n,)
        One row for each document that a channel found for a query, in any order: codes from 0.
        Ties go to the lower document code, so number the documents in string order of their ids,
        as ``np.unique(ids, return_inverse=True)`` does.
    score : array-like of float, shape (n,)
        Higher is better; finite.
    weights : array-like of float, shape (C,) or (queries, C)
        Weights of the channels 0 to C - 1, for all queries or for each; finite, at least 0, at
        least one of a row above 0.
    method, k, rank_constant
        As in `fuse`.

    Returns
    -------
    FusedColumns
        A query without rows has none here either.

    Raises
    ------
    InvalidInputError
        If lengths disagree, a code is negative or has no weight, a score is not finite, a weight is
        not such a number, or a document is twice in one list.

    Examples
    --------
    >>> fused = fuse_columns(query=[0, 0, 0, 1], channel=[0, 0, 1, 1], document=[0, 1, 1, 0],
    ...                      score=[3.0, 1.0, 0.2, 0.4], weights=[0.7, 0.3])
    >>> fused.query, fused.document, fused.score
    (array([0, 0, 1]), array([0, 1, 0]), array([0.7, 0.3, 0.3]))
    """
    check_method(method)
    check_options(k, rank_constant)
    hits = _hits(query, channel, document, score)
    checked = _weights(weights)
    _check_range("channel", hits.channel, checked.shape[-1])
    if checked.ndim == 2:
        _check_range("query", hits.query, len(checked))
    hits = by_list(hits)
    _check_repeats(hits)
    return combine(hits, checked, method, k, rank_constant)


def _hits(query: ArrayLike, channel: ArrayLike, document: ArrayLike, score: ArrayLike) -> Hits:
    columns = Hits(
        _codes("query", query),
        _codes("channel", channel),
        _codes("document", document),
        _floats("score", score, dimensions=(1,)),
    )
    lengths = dict(zip(Hits._fields, map(len, columns), strict=True))
    if len(set(lengths.values())) > 1:
        msg = f"query, channel, document, score: expected one length, got {lengths}"
        raise InvalidInputError(msg)
    return columns


def _codes(name: str, values: ArrayLike) -> Integers:
    codes = np.asarray(values)
    if codes.ndim != 1 or (codes.dtype.kind not in "iu" and len(codes) > 0):
        got = f"{codes.ndim} dimensions of {codes.dtype}"
        msg = f"{name}: expected one dimension of whole numbers, got {got}"
        raise InvalidInputError(msg)
    whole = codes.astype(np.int64, copy=False)
    if len(whole) and whole.min() < 0:  # also where an unsigned code does not fit
        row = int(whole.argmin())
        msg = f"{name}: codes count from 0 to 2**63 - 1, got {codes[row]} in row {row}"
        raise InvalidInputError(msg)
    return whole


def _floats(name: str, values: ArrayLike, dimensions: tuple[int, ...]) -> Floats:
    numbers = np.asarray(values)
    if numbers.ndim not in dimensions or numbers.dtype.kind not in "iuf":
        allowed = " or ".join(map(str, dimensions))
        got = f"{numbers.ndim} of {numbers.dtype}"
        msg = f"{name}: expected numbers in {allowed} dimensions, got {got}"
        raise InvalidInputError(msg)
    if not np.isfinite(numbers).all():
        where = np.argwhere(~np.isfinite(numbers))[0].tolist()
        msg = f"{name}: expected finite numbers, got {numbers[tuple(where)]} at {where}"
        raise InvalidInputError(msg)
    return numbers.astype(np.float64, copy=False)


def _weights(weights: ArrayLike) -> Floats:
    checked = _floats("weights", weights, dimensions=(1, 2))
    if checked.shape[-1] == 0 or (checked < 0).any():
        msg = f"weights: expected numbers >= 0, one for each channel, got {checked!r}"
        raise InvalidInputError(msg)
    if not (checked > 0).any(axis=-1).all():
        msg = "weights: all of one row are 0; at least one channel needs a weight above 0"
        raise InvalidInputError(msg)
    return checked


def _check_range(name: str, codes: Integers, size: int) -> None:
    if len(codes) and codes.max() >= size:
        row = int(codes.argmax())
        msg = f"{name}: got code {codes.max()} in row {row}, but weights hold only {size}"
        raise InvalidInputError(msg)


def _check_repeats(hits: Hits) -> None:
    same = np.ones(max(len(hits.query) - 1, 0), dtype=np.bool_)
    for codes in (hits.query, hits.channel, hits.document):
        same &= codes[1:] == codes[:-1]
    if same.any():
        query, channel, document = (codes[int(same.argmax())] for codes in hits[:3])
        msg = (
            f"document: {document} is twice in the list of query {query}, channel {channel}; "
            f"give it once, with its best score"
        )
        raise InvalidInputError(msg)
