"""The interaction record: its fields, types, columns and limits."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads annotations at run time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import polars as pl

MAX_ID_CHARACTERS: Final = 1_024
"""Longest id or feature_uri."""

MAX_TEXT_CHARACTERS: Final = 1_000_000
"""Longest metadata or query_snapshot, as JSON text."""

MAX_DEPTH: Final = 64
"""Deepest nesting of JSON that is read."""

MAX_TYPES: Final = 64
"""Most interaction types at once, built-in ones included: each is a bit of 64."""

MAX_LINE_BYTES: Final = 8_000_000
"""Longest line of JSON."""

MAX_INT32: Final = 2**31 - 1
"""Highest position and result_set_size."""


class InteractionType(StrEnum):
    """Built-in interaction types; the order is that of their bits and never changes."""

    IMPRESSION = "impression"
    VIEW = "view"
    CLICK = "click"
    DWELL = "dwell"
    POSITIVE_FEEDBACK = "positive_feedback"
    NEGATIVE_FEEDBACK = "negative_feedback"
    PURCHASE = "purchase"
    ADD_TO_CART = "add_to_cart"
    WISHLIST = "wishlist"
    LONG_VIEW = "long_view"
    SHARE = "share"
    BOOKMARK = "bookmark"
    QUERY_REFINEMENT = "query_refinement"
    ZERO_RESULTS = "zero_results"
    FILTER_TOGGLE = "filter_toggle"
    SKIP = "skip"
    RETURN_TO_RESULTS = "return_to_results"


LIST_LEVEL_TYPES: Final[frozenset[str]] = frozenset(
    {
        InteractionType.QUERY_REFINEMENT,
        InteractionType.ZERO_RESULTS,
        InteractionType.FILTER_TOGGLE,
    },
)
"""Types that describe the whole list; they make neither a pair nor an exposure."""

ID_COLUMNS: Final = (
    "feature_id",
    "user_id",
    "session_id",
    "execution_id",
    "retriever_id",
    "feature_uri",
    "interaction_id",
)
"""Columns of short text; whole numbers are cast to text."""

TIME_COLUMNS: Final = ("occurred_at", "timestamp")
"""Times in the order in which they date the event."""

RECOMMENDED: Final = (
    "execution_id",
    "session_id",
    "user_id",
    "query_snapshot",
    "document_score",
    "feature_uri",
    "result_set_size",
)
"""Optional fields that later steps need; reports say how many rows carry them, or have a time."""

DUPLICATE_WINDOW: Final = 5 * 60 * 1_000_000
"""Microseconds within which a row repeats another.

A row is a duplicate if an earlier one with the same (execution_id, feature_id, set of types) was
kept at most this long before it, in the order of event time, ties by interaction_id. Rows without
an execution_id or a time are never duplicates. The rule is applied in three forms, which a test
compares: to frames (`mark_duplicates`), by the fold of `load_pairs`, and by the log's insert.
"""


class Interaction(msgspec.Struct, kw_only=True, omit_defaults=True, repr_omit_defaults=True):
    """One interaction of a user with a document in a result list.

    The constructor checks nothing; `parse_interaction` and `InteractionLog.record` do.

    Attributes
    ----------
    feature_id : str
        The document; its alias in input is ``document_id``.
    interaction_type : list of str
        At least one type.
    position : int
        0-based position at which the document was shown.
    metadata : dict, optional
        ``metadata["features"][feature_uri]["score"]`` is a channel's score as fused.
    user_id, session_id, execution_id, retriever_id : str, optional
    query_snapshot : str, dict or list, optional
        The query as text or as JSON.
    document_score : float, optional
        Finite score that the production system gave.
    result_set_size : int, optional
        At least 1; 0 only together with ``zero_results``.
    feature_uri : str, optional
        The retrieval channel that found the document.
    occurred_at : datetime, optional
        When it happened, in UTC, if that is not when it was recorded.
    interaction_id : str, optional
        Given by the store unless the sender gives one.
    deduplicated : bool
        Whether the store dropped it as a duplicate.
    timestamp : datetime, optional
        When the store recorded it, in UTC.
    warning : str, optional
        What the sender should know.
    """

    feature_id: str
    interaction_type: list[str]
    position: int
    metadata: dict[str, Any] | None = None
    user_id: str | None = None
    session_id: str | None = None
    execution_id: str | None = None
    retriever_id: str | None = None
    query_snapshot: Any = None
    document_score: float | None = None
    result_set_size: int | None = None
    feature_uri: str | None = None
    occurred_at: dt.datetime | None = None
    interaction_id: str | None = None
    deduplicated: bool = False
    timestamp: dt.datetime | None = None
    warning: str | None = None


def canonical_schema() -> dict[str, pl.DataType]:
    """Return the canonical columns and their polars types, in order.

    Times are UTC without a zone. ``metadata`` is a JSON object as text, ``query_snapshot`` JSON
    or plain text.

    Examples
    --------
    >>> canonical_schema()["position"]
    Int32
    """
    import polars as pl

    return {
        "feature_id": pl.String(),
        "interaction_type": pl.List(pl.String()),
        "position": pl.Int32(),
        "metadata": pl.String(),
        "user_id": pl.String(),
        "session_id": pl.String(),
        "execution_id": pl.String(),
        "retriever_id": pl.String(),
        "query_snapshot": pl.String(),
        "document_score": pl.Float64(),
        "result_set_size": pl.Int32(),
        "feature_uri": pl.String(),
        "occurred_at": pl.Datetime("us"),
        "timestamp": pl.Datetime("us"),
        "interaction_id": pl.String(),
    }
