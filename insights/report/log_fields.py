"""Which retrievers, channels and fields of metadata the rows of a log name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...bandit.interactions.logged_scores import scores_of
from ...bandit.interactions.source_reader import decoded
from ...datasets.reading.scan import Scan
from ...datasets.record.interaction import canonical_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from ...datasets.record.mapping import InputMapping

MAX_TEXTS: Final = 20_000
"""Distinct texts of metadata that are parsed."""

_COLUMNS: Final = ("position", "retriever_id", "feature_uri", "metadata")


@dataclass(frozen=True)
class LogFields:
    """What rows name beside documents and queries.

    Attributes
    ----------
    retrievers : dict of str to int
        retriever_id -> valid rows, the most frequent first.
    channels : tuple of str
        Every feature_uri, and every channel whose score stands in the metadata; in order.
    metadata : frozenset of str
        Fields whose values are texts, numbers or truth values.
    column_filled : bool
        Whether any row fills the column asked for.
    """

    retrievers: dict[str, int]
    channels: tuple[str, ...]
    metadata: frozenset[str]
    column_filled: bool = False


def find_fields(source: Any, mapping: InputMapping, column: str | None = None) -> LogFields:
    """Read a source once; of metadata the first `MAX_TEXTS` distinct texts count.

    `column`: one to look for beside, of any name.
    """
    named = [] if column is None else [column]
    own = [name for name in named if name in canonical_schema()]
    extra = [name for name in named if name not in own]
    columns = {*_COLUMNS, *own}
    scan = Scan(source, columns=columns, extra=extra, mapping=mapping, positions="optional")
    filled = False
    retrievers: Counter[str] = Counter()
    channels: set[str] = set()
    texts: set[str] = set()
    for batch in scan.batches():
        retrievers.update(dict(batch["retriever_id"].drop_nulls().value_counts().rows()))
        channels.update(batch["feature_uri"].drop_nulls().unique())
        filled = filled or (column is not None and batch[column].null_count() < batch.height)
        if len(texts) < MAX_TEXTS:
            texts.update(_distinct(batch["metadata"])[: MAX_TEXTS - len(texts)])
    scored, names = _metadata_fields(texts)
    ordered = sorted(retrievers.items(), key=lambda pair: (-pair[1], pair[0]))
    return LogFields(dict(ordered), tuple(sorted(channels | scored)), frozenset(names), filled)


def _distinct(metadata: pl.Series) -> list[str]:
    return metadata.drop_nulls().unique(maintain_order=True).to_list()


def _metadata_fields(texts: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the channels with scores, and the fields with plain values."""
    channels: set[str] = set()
    names: set[str] = set()
    for text in texts:
        fields = decoded(text)
        channels.update(scores_of(fields.get("features")) or ())
        names.update(name for name, value in fields.items() if isinstance(value, str | int | float))
    return channels, names
