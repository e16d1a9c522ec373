"""OpenSearch User Behavior Insights (UBI 1.0.0 to 1.3.0) as interactions: `load_ubi`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl

from ...._shared.summary import Summary, Table, summary_text
from ...._shared.summary_html import summary_html
from ....errors import InvalidInputError
from ...reading.quarantine import Quarantine, check_format
from ...record.interaction import MAX_ID_CHARACTERS
from .actions import checked_actions
from .hit_lists import distinct_queries, hits_of, with_people, with_sizes
from .join import interactions_of, placed, typed_events, with_hits
from .ordinal_base import OrdinalBase, check_base, ordinal_conflicts, with_base
from .read import read_events, read_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

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
        within 5 minutes; so does an event that reports once more that a hit was shown.
    queries, events : int
        Documents kept of each kind.
    queries_without_hits : int
        Queries kept that have no hit list or an empty one; they make no impression.
    reused_query_ids : int
        Query ids under which several lists came; each list is an execution.
    impressions : int
        Interactions made from hit lists.
    ordinal_base : int, "hits" or None
        What positions in events count from: 0 or 1; "hits" where they were not used; None where
        it differs within the log, see `ordinal_bases`.
    ordinal_bases : dict of str to int
        Part of the events, such as ``"application 'shop'"`` -> what their positions count from.
    ordinal_conflicts : int
        Events whose position differs from their object's in the hit list; the event's is kept.
    unusable_ordinals : int
        Events whose position is no whole number from 0 on; they have that of the hit list.
    not_in_hits : int
        Events on an object that is in no hit list; their ordinal is all that is known.
    """

    frame: pl.DataFrame = field(repr=False)
    quarantine: Quarantine
    rows_read: int
    rows_kept: int
    duplicates: int
    queries: int
    events: int
    queries_without_hits: int
    reused_query_ids: int
    impressions: int
    ordinal_base: OrdinalBase | None
    ordinal_bases: dict[str, int]
    ordinal_conflicts: int
    unusable_ordinals: int
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
        counts = {f.name: getattr(self, f.name) for f in fields(self)[2:]}
        return {
            **counts,
            "interactions": self.frame.height,
            "quarantined": self.quarantine.rows,
            "quarantine_reasons": self.quarantine.reasons,
        }

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return `frame`."""
        return self.frame

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        numbers = (int, str, type(None))
        counts = {
            f.name.replace("_", " "): getattr(self, f.name)
            for f in fields(self)[3:]
            if isinstance(getattr(self, f.name), numbers)
        }
        return Summary(
            f"UbiResult: {self.frame.height:,} interactions of {self.rows_read:,} documents",
            [
                Table.of_counts(counts),
                Table.of_counts(self.ordinal_bases, "positions count from"),
                Table.of_counts(self.quarantine.reasons, "quarantined because"),
            ],
        )


def load_ubi(
    queries: Any,
    events: Any,
    *,
    ordinal_base: OrdinalBase | None = None,
    actions: Mapping[str, str] | None = None,
    retriever_id: str | None = None,
    quarantine: str | Path | None = None,
) -> UbiResult:
    """Read OpenSearch UBI queries and events, schemas 1.0.0 to 1.3.0, into interactions.

    Every query becomes one impression for each of its hits: the position is the index in the hit
    list (plus ``from``, ``offset`` or ``start`` of the ``query_attributes``), ``execution_id`` the
    ``query_id``, ``query_snapshot`` the ``user_query`` and the ``query_attributes``. Every event
    becomes an interaction on its object in that execution.

    Parameters
    ----------
    queries, events : path, glob, list of paths, table, dict or list of dicts
        Documents of the indices ``ubi_queries`` and ``ubi_events``: JSON lines (.jsonl, .ndjson,
        .json), CSV (.csv, .tsv), all also .gz and .zst, bulk files, answers of ``_search``,
        arrays, Parquet, tables. Objects may also be dotted columns
        (``event_attributes.object.object_id``) or JSON text; a hit list in CSV is JSON, or ids
        separated by commas or ``|``. It may be called ``query_response_hit_ids`` (schema and
        index), ``query_response_object_ids`` or ``query_response_objects_ids`` (older), or be
        ``query_response.objects``. Times are ISO 8601 or a number since 1970, in seconds,
        milliseconds, microseconds or nanoseconds as its size shows.
    ordinal_base : {0, 1, "hits"}, optional
        What ``event_attributes.position.ordinal`` (or its ``index``, before 1.3.0) counts from:
        the schema leaves it open. If None, ordinals are compared with the index of the same
        object in the hit list; a base that explains nine in ten of them is taken, for each
        application, or before and after a change, if it is not one for all. A position that
        differs from the hit list's is counted and kept: it is what the user saw. "hits" takes
        the positions of the hit lists alone, and so do events without a usable ordinal.
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
    Several lists under one ``query_id``, as type-ahead searches send them, are several
    executions: the earliest is named by the id, the others ``id#2`` and so on. An event belongs to
    the list that holds its object, that has its ``user_query``, and that is the latest before it.
    Lists of one query whose offsets continue each other are its pages and stay one execution.

    An event on an object outside of the hit list, or of a query that is not there, is kept if it
    has a usable ordinal. ``user_id`` is the event's or the query's, else the ``client_id``;
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
    all_queries, queries_read = read_queries(queries, refused)
    all_events, events_read = read_events(events, refused)
    shown = with_sizes(with_people(distinct_queries(all_queries), all_events))
    hits = hits_of(shown)
    done = with_hits(typed_events(all_events, types, refused), hits, shown)
    done, bases = with_base(done, ordinal_base)
    done = placed(done, refused)
    frame, duplicates = interactions_of(hits, done, retriever_id)
    if quarantine is not None:
        refused.write(quarantine)
    by_id = shown.group_by("query_id").agg(pl.col("execution_id").n_unique())
    return UbiResult(
        frame=frame,
        quarantine=refused,
        rows_read=queries_read + events_read,
        rows_kept=shown.height + done.height - duplicates,
        duplicates=all_queries.height - shown.height + duplicates,
        queries=shown.height,
        events=done.height - duplicates,
        queries_without_hits=int((shown["hits"].list.len().fill_null(0) == 0).sum()),
        reused_query_ids=int((by_id["execution_id"] > 1).sum()),
        impressions=frame.height - (done.height - duplicates),
        ordinal_base="hits" if ordinal_base == "hits" else _single(bases),
        ordinal_bases=bases,
        ordinal_conflicts=ordinal_conflicts(done),
        unusable_ordinals=done["ordinal_fault"].len() - done["ordinal_fault"].null_count(),
        not_in_hits=done["index"].null_count(),
    )


def _single(bases: dict[str, int]) -> OrdinalBase | None:
    """Return the base that all parts share, None if they differ."""
    values = set(bases.values())
    return (1 if 1 in values else 0) if len(values) == 1 else None


def _check_retriever(retriever_id: Any) -> None:
    if retriever_id is None:
        return
    if not isinstance(retriever_id, str) or not 0 < len(retriever_id) <= MAX_ID_CHARACTERS:
        msg = f"retriever_id: expected 1 to {MAX_ID_CHARACTERS:,} characters, got {retriever_id!r}"
        raise InvalidInputError(msg)
