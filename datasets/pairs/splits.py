"""Training and test parts that never cut an execution."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from ..._shared.checks import checked_number
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .training_pairs import TrainingPairs


def split_by_time(
    pairs: TrainingPairs, *, test_fraction: float = 0.2, at: datetime | None = None
) -> tuple[TrainingPairs, TrainingPairs]:
    """Return the earlier executions and the later ones.

    Parameters
    ----------
    pairs : TrainingPairs
    test_fraction : float
        Share of the executions that goes to the later part; those of one moment stay together.
    at : datetime, optional
        Where to cut instead: executions from this moment on are the later part. Naive means UTC.

    Returns
    -------
    tuple of TrainingPairs
        Earlier, later.

    Raises
    ------
    InvalidInputError
        If the pairs have no times, or a part would be empty.
    """
    if not pairs.has_times:
        msg = (
            "pairs: the log has no times for some executions, so it cannot be split by time. Add "
            "occurred_at or timestamp, or use split_by_query"
        )
        raise InvalidInputError(msg)
    later = pairs.time >= (_moment(at) if at else _quantile(pairs, test_fraction))
    return _parts(pairs, later)


def split_by_query(
    pairs: TrainingPairs, *, test_fraction: float = 0.2, salt: str = ""
) -> tuple[TrainingPairs, TrainingPairs]:
    """Return two parts that share no query; judgements go with their queries.

    A query's side is a fixed function of its id: blake2b-64 of salt and id, as a fraction of
    2^64. Another log with the same query puts it on the same side.

    Parameters
    ----------
    pairs : TrainingPairs
    test_fraction : float
        Expected share of the queries in the second part.
    salt : str
        Another salt gives another split.

    Returns
    -------
    tuple of TrainingPairs
        Training, test.

    Raises
    ------
    InvalidInputError
        If a part would be empty.
    """
    checked_number("test_fraction", test_fraction, 0, 1, between=True)

    def is_second(code: NDArray[np.int32]) -> NDArray[np.bool_]:
        used, index = np.unique(code, return_inverse=True)
        sides = [
            query_fraction(salt, query) < test_fraction for query in pairs.queries.gather(used)
        ]
        return np.array(sides, dtype=bool)[index]

    first, second = _parts(pairs, is_second(pairs.query_code))
    if pairs.judgments is None:
        return first, second
    judged = is_second(pairs.judgments.query_code)
    return (
        replace(first, judgments=pairs.judgments.take(~judged)),
        replace(second, judgments=pairs.judgments.take(judged)),
    )


def query_fraction(salt: str, query: str) -> float:
    """Return a number from 0 to below 1, a fixed function of a query's id: see `split_by_query`."""
    digest = hashlib.blake2b(f"{salt}\x00{query}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _moment(at: datetime) -> np.datetime64:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "us")


def _quantile(pairs: TrainingPairs, test_fraction: float) -> np.datetime64:
    checked_number("test_fraction", test_fraction, 0, 1, between=True)
    first_of_test = int(np.floor(pairs.n_executions * (1 - test_fraction)))
    moment: np.datetime64 = np.sort(pairs.time)[min(first_of_test, pairs.n_executions - 1)]
    return moment


def _parts(
    pairs: TrainingPairs, second: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[TrainingPairs, TrainingPairs]:
    if second.all() or not second.any():
        msg = (
            f"pairs: one part of the split would hold all {pairs.n_executions} executions; "
            "choose another fraction or moment, or load more data"
        )
        raise InvalidInputError(msg)
    return pairs.take(~second), pairs.take(second)
