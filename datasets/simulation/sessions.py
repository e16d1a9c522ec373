"""Who searched when: users, sessions, devices and times of simulated executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from .clicks import true_examination

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import ArrayLike, NDArray

Context: TypeAlias = Mapping[str, Mapping[str, Any]]

DEFAULT_CONTEXT: Context = {"device": {"desktop": 0.5, "mobile": 0.4, "tablet": 0.1}}
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EXECUTIONS_A_SESSION = 2.5
BUSY_AT_HOUR = 20


@dataclass(frozen=True)
class Sessions:
    """One entry per execution: its time, session, user and context."""

    time: NDArray[np.int64]  # shape (executions,): UTC microseconds, ascending
    # shape (executions,): `context` numbers the combinations in `contexts`
    session: NDArray[np.int64]
    user: NDArray[np.int64]  # shape (executions,)
    context: NDArray[np.int64]  # shape (executions,)
    contexts: list[dict[str, str]]  # combination of context values, as written to the metadata
    n_sessions: int
    n_users: int


def simulate_sessions(
    n_executions: int,
    *,
    context: Context,
    start: datetime,
    days: float,
    n_users: int,
    rng: np.random.Generator,
) -> Sessions:
    """Spread executions over sessions of a few, minutes apart, at the hours people search."""
    lengths = rng.geometric(1 / EXECUTIONS_A_SESSION, size=n_executions)
    session = np.repeat(np.arange(n_executions), lengths)[:n_executions]
    n_sessions = int(session[-1]) + 1
    pause = np.clip(rng.exponential(3 * MINUTE, n_executions), MINUTE / 2, 20 * MINUTE)
    since = np.cumsum(pause)
    first = np.searchsorted(session, np.arange(n_sessions))
    begin = _start_times(n_sessions, start, days, rng)
    time = (begin[session] + since - since[first][session]).astype(np.int64)
    share, contexts = _combinations(context)
    order = np.argsort(time, kind="stable")
    chosen = session[order]
    return Sessions(
        time=time[order],
        session=chosen,
        user=rng.integers(0, n_users, n_sessions)[chosen],
        context=rng.choice(len(share), n_sessions, p=share)[chosen],
        contexts=contexts,
        n_sessions=n_sessions,
        n_users=n_users,
    )


def examination_by_context(
    context: Context, examination: float | ArrayLike | None, list_size: int
) -> NDArray[np.float64]:
    """Return the true examination curve of every combination; shape (combinations, positions)."""
    curves = []
    for combination in _combinations(context)[1]:
        given = [
            options["examination"]
            for name, value in combination.items()
            if isinstance(options := context[name][value], Mapping) and "examination" in options
        ]
        if len(given) > 1:
            msg = f"context: more than one column gives an examination curve for {combination}"
            raise InvalidInputError(msg)
        curves.append(true_examination(list_size, given[0] if given else examination))
    return np.array(curves)


def hex_ids(n: int, rng: np.random.Generator, prefix: str = "") -> pl.Series:
    """Return n random ids of 32 hexadecimal digits, as fast as 16 n random bytes."""
    words = rng.integers(0, 2**64, size=(n, 2), dtype=np.uint64)
    raw = pl.Series(words.view(np.uint8).reshape(n, 16)).cast(pl.List(pl.UInt8)).cast(pl.Binary)
    ids = raw.bin.encode("hex")
    return ids if not prefix else pl.select(pl.lit(prefix) + pl.lit(ids)).to_series()


def _start_times(
    n: int, start: datetime, days: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the times at which sessions start: any day, by the share of each hour of the day."""
    busy = 1 + 0.8 * np.cos((np.arange(24) - BUSY_AT_HOUR) * np.pi / 12)
    hour = rng.choice(24, n, p=busy / busy.sum())
    of_day = (hour * HOUR + rng.integers(0, HOUR, n)) / DAY
    day = rng.integers(0, max(int(days), 1), n)
    offset = (day + of_day) if days >= 1 else of_day * days
    naive = start if start.tzinfo is None else start.astimezone(UTC).replace(tzinfo=None)
    begin = int(np.datetime64(naive, "us").astype(np.int64))
    return begin + (offset * DAY).astype(np.int64)


def _combinations(context: Context) -> tuple[NDArray[np.float64], list[dict[str, str]]]:
    """Return the share and the values of each combination of independent context columns."""
    combinations: list[tuple[float, dict[str, str]]] = [(1.0, {})]
    for name, values in context.items():
        shares = {
            value: _share(name, value, options, len(values)) for value, options in values.items()
        }
        total = sum(shares.values())
        if not total > 0:
            msg = f"context[{name!r}]: expected at least one value with a share above 0"
            raise InvalidInputError(msg)
        combinations = [
            (share * shares[value] / total, {**chosen, name: value})
            for share, chosen in combinations
            for value in values
        ]
    share = np.array([share for share, _ in combinations])
    return share / share.sum(), [chosen for _, chosen in combinations]


def _share(name: str, value: str, options: Any, n: int) -> float:
    share = options.get("share", 1 / n) if isinstance(options, Mapping) else options
    if not isinstance(share, int | float) or not 0 <= share < float("inf"):
        msg = (
            f"context[{name!r}][{value!r}]: expected a share, or a dict with 'share' and "
            f"'examination', got {options!r}"
        )
        raise InvalidInputError(msg)
    return float(share)
