"""Judgement lists as files: TREC qrels, OpenSearch, Quepid, or a table with everything known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from ..._shared.atomic_files import write_whole
from ...datasets.record.query_keys import digest_of, words_of
from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable


def write_judgments(frame: pl.DataFrame, path: str | Path, name: str) -> None:
    """Write rows ``query_id``, ``feature_id``, ``grade`` and more; see `JudgmentList.write`."""
    check_format(name)
    FORMATS[name](frame, Path(path))


def check_format(name: str) -> None:
    """Raise where `name` is none of `FORMATS`."""
    if name not in FORMATS:
        msg = f"format: got {name!r}, expected one of {', '.join(FORMATS)}."
        raise InvalidInputError(msg + did_you_mean(name, FORMATS))


def with_words(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with ``query``: what the user typed, where the query is nothing else.

    Queries that would share their words, such as with and without a filter, keep their ids.
    """
    ids = frame["query_id"].unique(maintain_order=True)
    words = pl.Series([words_of(each) or each for each in ids], dtype=pl.String)
    words = words.zip_with(words.is_unique(), ids)
    return frame.with_columns(pl.col("query_id").replace_strict(ids, words).alias("query"))


def _trec(frame: pl.DataFrame, path: Path) -> None:
    spaced = frame["feature_id"].str.contains(r"\s")
    if spaced.any():
        example = frame["feature_id"].filter(spaced)[0]
        msg = f"format: qrels cannot hold {example!r}: its fields end at spaces. Use 'quepid'"
        raise InvalidInputError(msg)
    ids = frame["query_id"].unique(maintain_order=True)
    topics = ids
    if ids.str.contains(r"\s").any():
        topics = pl.Series([digest_of(each) for each in ids], dtype=pl.String)
        named = pl.DataFrame({"topic": topics, "query_id": ids})
        write_whole(
            f"{path}.queries.tsv",
            lambda name: named.write_csv(name, separator="\t", quote_style="never"),
        )
    topic = frame["query_id"].replace_strict(ids, topics)
    lines = frame.select(topic, pl.lit("0").alias("iteration"), "feature_id", "grade")
    write_whole(
        path,
        lambda name: lines.write_csv(
            name, separator=" ", include_header=False, quote_style="never"
        ),
    )


def _opensearch(frame: pl.DataFrame, path: Path) -> None:
    rows = with_words(frame).group_by("query", maintain_order=True)
    ratings = [
        {
            "query": str(query),
            "ratings": [
                {"docId": document, "rating": f"{grade:.3f}"}
                for document, grade in own.select("feature_id", "grade").rows()
            ],
        }
        for (query,), own in rows
    ]
    body = {
        "name": path.stem,
        "description": "Relevance estimated from clicks and judgements by rankloom",
        "type": "IMPORT_JUDGMENT",
        "judgmentRatings": ratings,
    }
    text = json.dumps(body, ensure_ascii=False, indent=1)
    write_whole(path, lambda name: Path(name).write_text(text, encoding="utf-8"))


def _quepid(frame: pl.DataFrame, path: Path) -> None:
    named = with_words(frame).select("query", docid="feature_id", rating="grade")
    write_whole(path, named.write_csv)


def _csv(frame: pl.DataFrame, path: Path) -> None:
    write_whole(path, with_words(frame).write_csv)


FORMATS: Final[dict[str, Callable[[pl.DataFrame, Path], None]]] = {
    "trec": _trec,
    "opensearch": _opensearch,
    "quepid": _quepid,
    "csv": _csv,
}
