"""OpenSearch User Behavior Insights (UBI 1.3.0) as interactions: `load_ubi`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from ..errors import InvalidInputError
from ._quarantine import Quarantine, check_format
from ._ubi.actions import checked_actions
from ._ubi.join import (
    distinct_queries,
    hits_of,
    interactions_of,
    placed,
    typed_events,
    with_hits,
    with_people,
)
from ._ubi.ordinals import check_base, ordinal_base_of, ordinal_conflicts
from ._ubi.read import read_events, read_queries
from .interaction import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import polars as pl

_SLICE_ROWS: Final = 500_000
_JSON_COLUMNS: Final = ("metadata", "query_snapshot")


@dataclass(frozen=True)
class UbiResult:
    """Interactions made from UBI documents; `load_pairs` and every other reader take it.

    ``rows_read == rows_kept + duplicates + quarantine.rows`` counts documents: a query makes as
    many impressions as it has hits, an event makes one interaction.

    Attributes
    ----------
    frame : DataFrame
        Interactions in canonical columns: impressions, then events.
    quarantine : Quarantine
        Documents that could not be used, with source, row, field, value and reason.
    rows_read, rows_kept, duplicates : int
        Documents. A duplicate repeats a query, or an event on the same object of the same query
        within 5 minutes; an event that says once more that a hit was shown is one, too.
    queries, events : int
        Documents kept of each kind.
    queries_without_hits : int
        Queries kept that have no hit list or an empty one; they make no impression.
    impressions : int
        Interactions made from hit lists.
    ordinal_base : int
        What positions in events were taken to count from: 0 or 1.
    ordinal_conflicts : int
        Events whose position differs from their object's in the hit list; the event's is kept.
    not_in_hits : int
        Events on an object that is in no hit list; their own position is all that is known.
    """

    frame: pl.DataFrame = field(repr=False)
    quarantine: Quarantine
    rows_read: int
    rows_kept: int
    duplicates: int
    queries: int
    events: int
    queries_without_hits: int
    impressions: int
    ordinal_base: int
    ordinal_conflicts: int
    not_in_hits: int

    def scan(self) -> Iterator[pl.DataFrame]:
        """Yield the interactions in slices; this makes the result a source like any other."""
        yield from self.frame.iter_slices(_SLICE_ROWS)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the interactions as dicts without empty fields, ready for `InteractionLog`."""
        for row in self.frame.iter_rows(named=True):
            record = {name: value for name, value in row.items() if value is not None}
            for name in _JSON_COLUMNS:
                if name in record:
                    record[name] = msgspec.json.decode(record[name])
            yield record

    def to_dict(self) -> dict[str, Any]:
        """Return all counts and the quarantine's reasons as plain values, ready for JSON."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.type == "int"}
        return {
            **told,
            "interactions": self.frame.height,
            "quarantined": self.quarantine.rows,
            "quarantine_reasons": self.quarantine.reasons,
        }


def load_ubi(
    queries: Any,
    events: Any,
    *,
    ordinal_base: Literal[0, 1] | None = None,
    actions: Mapping[str, str] | None = None,
    retriever_id: str | None = None,
    quarantine: str | Path | None = None,
) -> UbiResult:
    """Read OpenSearch UBI 1.3.0 queries and events into interactions.

    Every query becomes one impression for each of its hits: the position is the index in the hit
    list, ``execution_id`` the ``query_id``, ``query_snapshot`` the ``user_query`` beside the
    ``query_attributes``. Every event becomes an interaction on its object in that execution.

    Parameters
    ----------
    queries, events : path, glob, list of paths, table, dict or list of dicts
        Documents of the indices ``ubi_queries`` and ``ubi_events``: JSON lines (.jsonl, .ndjson,
        .json, also .gz and .zst), bulk files, answers of ``_search``, arrays, Parquet, tables.
        The hit list may be called ``query_response_hit_ids`` (schema and index),
        ``query_response_object_ids`` or ``query_response_objects_ids`` (older), or be
        ``query_response.objects``.
    ordinal_base : {0, 1}, optional
        What ``event_attributes.position.ordinal`` counts from: the schema leaves it open. If None,
        ordinals are compared with the index of the same object in the hit list; a base that
        explains nine in ten of them is taken. A position that differs from the hit list's is
        counted and kept: it is what the user saw. Without an ordinal the position is that in the
        hit list.
    actions : mapping of str to str, optional
        ``action_name`` -> interaction type, over the defaults: interaction types by their own
        names, ``click_through``, ``item_click``, ``product_click``, ``result_click`` -> click,
        ``item_view``, ``product_view`` -> view, ``watch`` -> long_view, ``buy`` -> purchase.
        Events with other actions go to the quarantine. A new type needs a grade later:
        ``load_pairs(result, grades={"save": 2})``.
    retriever_id : str, optional
        Written to every interaction.
    quarantine : path, optional
        File (.jsonl, .csv or .parquet) that takes the refused documents with their reasons.

    Returns
    -------
    UbiResult

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a parameter is wrong, or None as `ordinal_base` cannot be resolved.

    Notes
    -----
    An event on an object outside of the hit list, or of a query that is not there, is kept if it
    has an ordinal of its own. ``user_id`` is the event's or the query's, else the ``client_id``;
    a query without user or session takes those of its events. All documents are held in memory.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs, load_ubi
    >>> query = {"query_id": "q", "user_query": "shoes", "query_response_hit_ids": ["a", "b"]}
    >>> query["timestamp"] = "2026-01-31T12:00:00Z"
    >>> about = {"object": {"object_id": "b"}, "position": {"ordinal": 2}}
    >>> event = {"action_name": "click", "query_id": "q", "event_attributes": about}
    >>> event["timestamp"] = "2026-01-31T12:00:07Z"
    >>> result = load_ubi([query], [event])
    >>> result.ordinal_base, result.impressions, result.events
    (1, 2, 1)
    >>> pairs = load_pairs(result)
    >>> pairs.document_id.to_list(), pairs.y.tolist()
    (['a', 'b'], [0.0, 1.0])
    """
    types = checked_actions(actions)
    check_base(ordinal_base)
    _check_retriever(retriever_id)
    if quarantine is not None:
        check_format(quarantine)
    refused = Quarantine()
    told, queries_read = read_queries(queries, refused)
    done, events_read = read_events(events, refused)
    told, repeated = distinct_queries(told, refused)
    told = with_people(told, done)
    hits = hits_of(told)
    done = with_hits(typed_events(done, types, refused), hits, told)
    base = ordinal_base_of(done) if ordinal_base is None else ordinal_base
    done = placed(done, base, refused)
    frame, duplicates = interactions_of(hits, done, retriever_id)
    if quarantine is not None:
        refused.write(quarantine)
    return UbiResult(
        frame=frame,
        quarantine=refused,
        rows_read=queries_read + events_read,
        rows_kept=told.height + done.height - duplicates,
        duplicates=repeated + duplicates,
        queries=told.height,
        events=done.height - duplicates,
        queries_without_hits=int((told["hits"].list.len().fill_null(0) == 0).sum()),
        impressions=frame.height - (done.height - duplicates),
        ordinal_base=base,
        ordinal_conflicts=ordinal_conflicts(done, base),
        not_in_hits=done["index"].null_count(),
    )


def _check_retriever(retriever_id: Any) -> None:
    if retriever_id is None:
        return
    if not isinstance(retriever_id, str) or not 0 < len(retriever_id) <= MAX_ID_CHARACTERS:
        msg = f"retriever_id: expected 1 to {MAX_ID_CHARACTERS:,} characters, got {retriever_id!r}"
        raise InvalidInputError(msg)
