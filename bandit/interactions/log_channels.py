"""The channels that a log names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...datasets.reading.scan import Scan
from .logged_scores import scores_of
from .source_reader import decoded

if TYPE_CHECKING:
    from ...datasets.record.mapping import InputMapping


def channels_of(source: Any, retriever_id: str, mapping: InputMapping) -> set[str]:
    """Return the channels of the rows of a retriever, and of those that name none."""
    columns = ["feature_uri", "retriever_id", "metadata"]
    channels: set[str] = set()
    for batch in Scan(source, columns=columns, mapping=mapping).batches():
        rows = batch.filter(batch["retriever_id"].fill_null(retriever_id) == retriever_id)
        channels.update(rows["feature_uri"].drop_nulls().unique().to_list())
        for text in rows["metadata"].drop_nulls().unique().to_list():
            if '"features"' in text:
                channels.update(scores_of(decoded(text).get("features")) or ())
    return channels
