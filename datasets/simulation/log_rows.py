"""Simulated events written out as the canonical columns of an interaction log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from .events import CODE, FLAWS, NO_FLAW, TYPE_LISTS
from .sessions import SECOND, hex_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .catalogue import Candidates
    from .events import Events, Served
    from .sessions import Sessions

LIST_FEATURE_ID = "list"
"""The feature_id of rows about the whole list, which the record format requires."""


@dataclass(frozen=True)
class Simulation:
    """Everything that the rows of a log refer to."""

    candidates: Candidates
    scores: NDArray[np.float64]
    channels: dict[str, NDArray[np.float64]]
    served: Served
    sessions: Sessions
    retriever_id: str
    id_prefix: str
    metadata: bool


def interaction_frame(
    simulation: Simulation, events: Events, rng: np.random.Generator
) -> pl.DataFrame:
    """Return one row per event; strings are gathered from small tables, never written twice."""
    of_list = events.cell < 0
    list_size = simulation.served.row.shape[1]
    execution = np.where(of_list, -1 - events.cell, events.cell // list_size)
    row = np.where(of_list, -1, simulation.served.row.ravel()[events.cell])
    time = pl.Series(events.time).cast(pl.Datetime("us"))
    arrival = rng.integers(SECOND // 20, 2 * SECOND, len(events))
    frame = pl.DataFrame(
        {
            "feature_id": _gather(simulation.candidates.feature_id, row, LIST_FEATURE_ID),
            "interaction_type": pl.Series(list(map(list, TYPE_LISTS))).gather(events.code),
            "position": np.where(of_list, 0, events.cell % list_size).astype(np.int32),
            "metadata": _metadata(simulation, execution, row),
            **_of_execution(simulation, execution, rng),
            "document_score": _document_score(simulation, execution, row),
            "result_set_size": _result_set_size(simulation, execution, events.code),
            "feature_uri": _gather(_credited(simulation), row, None),
            "occurred_at": time,
            "timestamp": (time.cast(pl.Int64) + arrival).cast(pl.Datetime("us")),
            "interaction_id": hex_ids(len(events), rng, simulation.id_prefix),
        }
    )
    return _with_flaws(frame, events.flaw)


def _gather(table: pl.Series, index: NDArray[np.int64], absent: str | None) -> pl.Series:
    """Return table[index], `absent` where the index is -1."""
    extended = pl.concat([table, pl.Series([absent], dtype=pl.String)])
    return extended.gather(np.where(index < 0, len(table), index))


def _of_execution(
    simulation: Simulation, execution: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, pl.Series]:
    sessions = simulation.sessions
    users = pl.select("user-" + pl.int_range(sessions.n_users).cast(pl.String).str.zfill(6))
    session_ids = hex_ids(sessions.n_sessions, rng, simulation.id_prefix)
    execution_ids = hex_ids(len(sessions.time), rng, simulation.id_prefix)
    return {
        "user_id": users.to_series().gather(sessions.user[execution]),
        "session_id": session_ids.gather(sessions.session[execution]),
        "execution_id": execution_ids.gather(execution),
        "retriever_id": pl.repeat(simulation.retriever_id, len(execution), eager=True),
        "query_snapshot": _snapshots(simulation).gather(simulation.served.query[execution]),
    }


def _snapshots(simulation: Simulation) -> pl.Series:
    return pl.Series([json.dumps({"query": text}) for text in simulation.candidates.queries])


def _document_score(
    simulation: Simulation, execution: NDArray[np.int64], row: NDArray[np.int64]
) -> pl.Series:
    scores = simulation.scores[row, simulation.served.ranker[execution]]
    return pl.Series(np.where(row < 0, np.nan, scores), nan_to_null=True)


def _result_set_size(
    simulation: Simulation, execution: NDArray[np.int64], code: NDArray[np.int8]
) -> NDArray[np.int32]:
    size = np.bincount(simulation.candidates.query_code)[simulation.served.query[execution]]
    return np.where(code == CODE["zero_results",], 0, size).astype(np.int32)


def _credited(simulation: Simulation) -> pl.Series:
    """Return the channel that scores each candidate highest; null where none found it."""
    if not simulation.channels:
        return pl.Series([None] * len(simulation.candidates), dtype=pl.String)
    scores = np.column_stack(list(simulation.channels.values()))
    best = np.where(np.isnan(scores), -1, scores).argmax(axis=1)
    missed = np.isnan(scores).all(axis=1)
    return _gather(pl.Series(list(simulation.channels)), np.where(missed, -1, best), None)


def _metadata(
    simulation: Simulation, execution: NDArray[np.int64], row: NDArray[np.int64]
) -> pl.Series:
    """Return JSON with the context, the ranker and each channel's score.

    Only combinations that occur are written, each once: rows share their text.
    """
    if not simulation.metadata:
        return pl.repeat(None, len(row), dtype=pl.String, eager=True)
    n_rankers = simulation.scores.shape[1]
    setting = simulation.sessions.context * n_rankers + simulation.served.ranker
    n_settings = len(simulation.sessions.contexts) * n_rankers
    key = (row + 1) * n_settings + setting[execution]
    # Marking the keys costs one pass; np.unique would sort them.
    used = np.zeros((len(simulation.candidates) + 1) * n_settings, dtype=np.bool_)
    used[key] = True
    occurring = np.flatnonzero(used)
    heads = pl.Series(
        [
            json.dumps({**context, "ranker": f"ranker-{ranker}"})[:-1]
            for context in simulation.sessions.contexts
            for ranker in range(n_rankers)
        ]
    )
    head = heads.gather(occurring % n_settings)
    tail = _gather(_channel_json(simulation), occurring // n_settings - 1, "}")
    return (head + tail).gather((np.cumsum(used) - 1)[key])


def _channel_json(simulation: Simulation) -> pl.Series:
    """Return each candidate's ``, "features": {...}}``, the end of its metadata."""
    pieces = []
    for name, scores in simulation.channels.items():
        score = pl.Series(scores.round(5), nan_to_null=True).cast(pl.String)
        pieces.append(pl.lit(f'{json.dumps(name)}: {{"score": ') + pl.lit(score) + pl.lit("}"))
    if not pieces:
        return pl.repeat("}", len(simulation.candidates), eager=True)
    joined = pl.concat_str(pieces, separator=", ", ignore_nulls=True)
    return pl.select(pl.lit(', "features": {') + joined + pl.lit("}}")).to_series()


def _with_flaws(frame: pl.DataFrame, flaw: NDArray[np.int8]) -> pl.DataFrame:
    """Break the rows that are to be quarantined; the types stay the canonical ones."""
    if (flaw == NO_FLAW).all():
        return frame
    values: dict[str, tuple[str, object]] = {
        "negative position": ("position", -1),
        "unknown type": ("interaction_type", ["teleport"]),
        "empty feature_id": ("feature_id", ""),
        "infinite score": ("document_score", float("inf")),
        "no type": ("interaction_type", []),
        "negative result_set_size": ("result_set_size", -1),
        "no feature_id": ("feature_id", None),
        "no position": ("position", None),
    }
    for number, name in enumerate(FLAWS):
        column, value = values[name]
        broken = pl.lit(pl.Series([value], dtype=frame.schema[column])).first()
        hit = pl.lit(pl.Series(flaw == number))
        frame = frame.with_columns(
            pl.when(hit).then(broken).otherwise(pl.col(column)).alias(column)
        )
    return frame
