"""Simulated events written out as the canonical columns of an interaction log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ._simulated_events import CODE, FLAWS, SOUND, TYPE_LISTS
from ._simulated_sessions import SECOND, hex_ids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._catalogue import Candidates
    from ._simulated_events import Events, Served
    from ._simulated_sessions import Sessions

LIST_FEATURE_ID = "list"
"""Stands in for the document in rows that speak of the whole list."""


@dataclass(frozen=True)
class World:
    """Everything that the rows of a log refer to."""

    candidates: Candidates
    scores: NDArray[np.float64]
    channels: dict[str, NDArray[np.float64]]
    served: Served
    sessions: Sessions
    retriever_id: str
    id_prefix: str
    metadata: bool


def interaction_frame(world: World, events: Events, rng: np.random.Generator) -> pl.DataFrame:
    """Return one row per event; strings are gathered from small tables, never written twice."""
    of_list = events.cell < 0
    list_size = world.served.row.shape[1]
    execution = np.where(of_list, -1 - events.cell, events.cell // list_size)
    row = np.where(of_list, -1, world.served.row.ravel()[events.cell])
    time = pl.Series(events.time).cast(pl.Datetime("us"))
    arrival = rng.integers(SECOND // 20, 2 * SECOND, len(events))
    frame = pl.DataFrame(
        {
            "feature_id": _gather(world.candidates.feature_id, row, LIST_FEATURE_ID),
            "interaction_type": pl.Series(list(map(list, TYPE_LISTS))).gather(events.code),
            "position": np.where(of_list, 0, events.cell % list_size).astype(np.int32),
            "metadata": _metadata(world, execution, row),
            **_of_execution(world, execution, rng),
            "document_score": _document_score(world, execution, row),
            "result_set_size": _result_set_size(world, execution, events.code),
            "feature_uri": _gather(_credited(world), row, None),
            "occurred_at": time,
            "timestamp": (time.cast(pl.Int64) + arrival).cast(pl.Datetime("us")),
            "interaction_id": hex_ids(len(events), rng, world.id_prefix),
        }
    )
    return _spoilt(frame, events.flaw)


def _gather(table: pl.Series, index: NDArray[np.int64], absent: str | None) -> pl.Series:
    """Return table[index]; index -1 answers `absent`."""
    whole = pl.concat([table, pl.Series([absent], dtype=pl.String)])
    return whole.gather(np.where(index < 0, len(table), index))


def _of_execution(
    world: World, execution: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, pl.Series]:
    sessions = world.sessions
    users = pl.select("user-" + pl.int_range(sessions.n_users).cast(pl.String).str.zfill(6))
    session_ids = hex_ids(sessions.n_sessions, rng, world.id_prefix)
    execution_ids = hex_ids(len(sessions.time), rng, world.id_prefix)
    return {
        "user_id": users.to_series().gather(sessions.user[execution]),
        "session_id": session_ids.gather(sessions.session[execution]),
        "execution_id": execution_ids.gather(execution),
        "retriever_id": pl.repeat(world.retriever_id, len(execution), eager=True),
        "query_snapshot": _snapshots(world).gather(world.served.query[execution]),
    }


def _snapshots(world: World) -> pl.Series:
    return pl.Series([json.dumps({"query": text}) for text in world.candidates.queries])


def _document_score(
    world: World, execution: NDArray[np.int64], row: NDArray[np.int64]
) -> pl.Series:
    scores = world.scores[row, world.served.ranker[execution]]
    return pl.Series(np.where(row < 0, np.nan, scores), nan_to_null=True)


def _result_set_size(
    world: World, execution: NDArray[np.int64], code: NDArray[np.int8]
) -> NDArray[np.int32]:
    size = np.bincount(world.candidates.query_code)[world.served.query[execution]]
    return np.where(code == CODE["zero_results",], 0, size).astype(np.int32)


def _credited(world: World) -> pl.Series:
    """Return the channel that scores each candidate highest; null where none found it."""
    if not world.channels:
        return pl.Series([None] * len(world.candidates), dtype=pl.String)
    scores = np.column_stack(list(world.channels.values()))
    best = np.where(np.isnan(scores), -1, scores).argmax(axis=1)
    missed = np.isnan(scores).all(axis=1)
    return _gather(pl.Series(list(world.channels)), np.where(missed, -1, best), None)


def _metadata(world: World, execution: NDArray[np.int64], row: NDArray[np.int64]) -> pl.Series:
    """Return JSON with the context, the ranker and each channel's score.

    Only combinations that occur are written, each once: rows share their text.
    """
    if not world.metadata:
        return pl.repeat(None, len(row), dtype=pl.String, eager=True)
    n_rankers = world.scores.shape[1]
    surroundings = world.sessions.context * n_rankers + world.served.ranker
    n_surroundings = len(world.sessions.contexts) * n_rankers
    key = (row + 1) * n_surroundings + surroundings[execution]
    used = np.zeros((len(world.candidates) + 1) * n_surroundings, dtype=np.bool_)
    used[key] = True
    occurring = np.flatnonzero(used)
    heads = pl.Series(
        [
            json.dumps({**context, "ranker": f"ranker-{ranker}"})[:-1]
            for context in world.sessions.contexts
            for ranker in range(n_rankers)
        ]
    )
    head = heads.gather(occurring % n_surroundings)
    tail = _gather(_channel_json(world), occurring // n_surroundings - 1, "}")
    return (head + tail).gather((np.cumsum(used) - 1)[key])


def _channel_json(world: World) -> pl.Series:
    """Return each candidate's ``, "features": {...}}``, the end of its metadata."""
    pieces = []
    for name, scores in world.channels.items():
        score = pl.Series(scores.round(5), nan_to_null=True).cast(pl.String)
        pieces.append(pl.lit(f'{json.dumps(name)}: {{"score": ') + pl.lit(score) + pl.lit("}"))
    if not pieces:
        return pl.repeat("}", len(world.candidates), eager=True)
    joined = pl.concat_str(pieces, separator=", ", ignore_nulls=True)
    return pl.select(pl.lit(', "features": {') + joined + pl.lit("}}")).to_series()


def _spoilt(frame: pl.DataFrame, flaw: NDArray[np.int8]) -> pl.DataFrame:
    """Break the rows that are to be quarantined; the types stay the canonical ones."""
    if (flaw == SOUND).all():
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
