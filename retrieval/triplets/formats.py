"""Triplets in the layouts that sentence-transformers' trainer and Hugging Face's datasets take.

The trainer hands columns to a loss by their order, except one of the names label, labels, score and
scores, which it takes as the label: a file holds only columns that a loss is to see.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, get_args

import polars as pl

from ..._shared.atomic_files import write_whole
from ...errors import InvalidInputError, did_you_mean

Layout = Literal["triplets", "scored", "labelled"]

SUFFIXES: Final = (".parquet", ".jsonl", ".ndjson")
_PARTS: Final = ("train", "test")


def check_format(path: str | Path, part: str, layout: str) -> None:
    """Raise InvalidInputError unless these can be written."""
    for name, value, known in (
        ("part", part, _PARTS),
        ("layout", layout, get_args(Layout)),
    ):
        if value not in known:
            msg = f"{name}: expected one of {list(known)}, got {value!r}."
            raise InvalidInputError(msg + did_you_mean(str(value), known))
    if Path(path).suffix not in SUFFIXES:
        msg = f"path: expected a name that ends in one of {list(SUFFIXES)}, got {str(path)!r}"
        raise InvalidInputError(msg)


def write_triplets(frame: pl.DataFrame, path: str | Path, part: str, layout: str) -> int:
    """Write a part of the triplets and return the number of rows; see `TrainingTriplets.write`."""
    check_format(path, part, layout)
    chosen = frame.filter(frame["part"] == part)
    if not chosen.height:
        msg = f"part: there are no triplets in {part!r}; a lower confidence gives more"
        raise InvalidInputError(msg)
    if chosen["positive"].null_count():
        msg = "path: these triplets have no texts; give training_triplets the table documents="
        raise InvalidInputError(msg)
    rows = laid_out(chosen, layout)
    if Path(path).suffix == ".parquet":
        write_whole(path, rows.write_parquet)
    else:
        write_whole(path, rows.write_ndjson)
    return rows.height


def laid_out(triplets: pl.DataFrame, layout: str) -> pl.DataFrame:
    """Return the columns of a layout.

    Examples
    --------
    >>> row = {"query": "boots", "positive": "Warm boots", "negative": "Sandals", "margin": 0.5}
    >>> laid_out(pl.DataFrame([row]), "labelled").rows()
    [('boots', 'Warm boots', 1), ('boots', 'Sandals', 0)]
    """
    anchor = pl.col("query").alias("anchor")
    if layout == "labelled":
        both = [
            triplets.select(anchor, pl.col(name).alias("document"), label=pl.lit(label))
            for name, label in (("positive", 1), ("negative", 0))
        ]
        return pl.concat(both).unique(maintain_order=True)
    columns = triplets.select(anchor, "positive", "negative", score="margin")
    return columns if layout == "scored" else columns.drop("score")
