"""Training pairs in the forms of other tools: LightGBM, pandas, Parquet, svmlight.

`TrainingPairs` documents these functions where its methods call them.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ..._shared.atomic_files import write_whole
from ..._shared.threads import load_lightgbm
from ...errors import InvalidInputError, UnreadableSourceError
from .judgments import from_bytes as judgments_from_bytes
from .lightgbm_rows import lightgbm_rows
from .load_report import LoadReport
from .text_codes import alphabetical_codes

if TYPE_CHECKING:
    from pathlib import Path

    import lightgbm
    import pandas as pd

    from .training_pairs import TrainingPairs

FORMAT: Final = "rankloom.pairs/1"
_ROW_FIELDS: Final = (
    "y",
    "clicked",
    "negative",
    "position",
    "document_score",
    "age_days",
    "weight",
)


def to_lightgbm(
    pairs: TrainingPairs, *, position: bool = False, **options: Any
) -> lightgbm.Dataset:
    """Return a `lightgbm.Dataset` over the pairs' own arrays."""
    load_lightgbm()
    import lightgbm

    if position and not pairs.has_positions:
        msg = "position: these pairs have no positions; they were judged, not shown"
        raise InvalidInputError(msg)
    categorical = [pairs.feature_names.index(name) for name in pairs.categories]
    return lightgbm.Dataset(
        lightgbm_rows(pairs.X),
        **{
            "label": pairs.y,
            "group": pairs.group,
            "weight": None if (pairs.weight == 1).all() else pairs.weight,
            "position": pairs.position if position else None,
            "categorical_feature": categorical or "auto",
            **options,
        },
    )


def to_frame(pairs: TrainingPairs) -> pl.DataFrame:
    """Return one row per pair: ids, context, labels, then the features by name.

    Examples
    --------
    >>> from rankloom.datasets import load_pairs
    >>> row = {"execution_id": "e", "interaction_type": ["impression"]}
    >>> pairs = load_pairs([{**row, "feature_id": d, "position": i} for i, d in enumerate("ab")])
    >>> to_frame(pairs).select("execution_id", "document_id", "position", "y").rows()
    [('e', 'a', 0, 0.0), ('e', 'b', 1, 0.0)]
    """
    return pl.DataFrame(
        {
            **{
                name: values.gather(pairs.execution_index) for name, values in _texts(pairs).items()
            },
            "document_id": pairs.document_id,
            "time": pl.Series(pairs.time).gather(pairs.execution_index),
            **{name: getattr(pairs, name) for name in _ROW_FIELDS},
            **({} if pairs.examination is None else {"examination": pairs.examination}),
            **_feature_columns(pairs),
        }
    )


def to_pandas(pairs: TrainingPairs) -> pd.DataFrame:
    """Return `to_frame` as a pandas DataFrame, categorical features as categoricals."""
    frame = to_frame(pairs)
    return frame.with_columns(
        pl.col(name).replace_strict(
            dict(enumerate(values)), return_dtype=pl.Enum(values), default=None
        )
        for name, values in ((f"feature:{n}", v) for n, v in pairs.categories.items())
    ).to_pandas()


def to_svmlight(pairs: TrainingPairs, path: str | Path, *, documents: bool = False) -> None:
    """Write svmlight lines with ``qid:``."""
    # XGBoost's reader knows NaN with a sign alone: without one it reads the value that follows.
    numbers = [
        pl.when(pl.Series(column).is_nan())
        .then(pl.lit(f" {j}:-NaN"))
        .otherwise(pl.lit(f" {j}:") + pl.Series(column).cast(pl.String))
        for j, column in enumerate(pairs.X.T, start=1)
    ]
    lines = pl.select(
        pl.concat_str(
            pl.Series(pairs.y.astype(np.int32)).cast(pl.String),
            pl.lit(" qid:"),
            pl.Series(pairs.execution_index).cast(pl.String),
            *numbers,
            *_document_comments(pairs, documents=documents),
        ).alias("line")
    )
    write_whole(path, lambda name: lines.write_csv(name, include_header=False, quote_style="never"))


def _document_comments(pairs: TrainingPairs, *, documents: bool) -> list[pl.Expr | pl.Series]:
    if not documents:
        return []
    return [pl.lit(" #docid = "), pairs.document_id.str.replace_all(r"\s", "_")]


def to_parquet(pairs: TrainingPairs, path: str | Path) -> None:
    """Write `to_frame` to a Parquet file whose metadata holds names, categories and report."""
    frame = to_frame(pairs).with_columns(pl.Series("execution", pairs.execution_index))
    about = {
        "rankloom": json.dumps(
            {
                "format": FORMAT,
                "features": pairs.feature_names,
                "categories": pairs.categories,
                "context": list(pairs.context),
                "report": pairs.report.to_dict(),
            }
        )
    }
    if pairs.judgments is not None:
        about["judgments"] = base64.b64encode(pairs.judgments.to_bytes(pairs)).decode()
    write_whole(path, lambda name: frame.write_parquet(name, metadata=about))


def read_parquet(path: str | Path) -> dict[str, Any]:
    """Return the fields of the `TrainingPairs` that `to_parquet` wrote."""
    about, judged = _about(path)
    try:
        frame = pl.read_parquet(path)
        names = about["features"]
        first = frame["execution"].rle_id().is_first_distinct().arg_true().to_numpy()
        group = np.diff(np.append(first, len(frame))).astype(np.int32)
        query_code, queries = alphabetical_codes(frame["query_id"].gather(first))
        document_code, documents = alphabetical_codes(frame["document_id"])
        judgments = None
        if judged is not None:
            judgments, queries, documents = judgments_from_bytes(judged, queries, documents)
        return {
            "X": np.ascontiguousarray(
                frame.select(f"feature:{name}" for name in names).to_numpy(), np.float32
            ).reshape(len(frame), len(names)),
            **{name: frame[name].to_numpy() for name in _ROW_FIELDS},
            "group": group,
            "time": frame["time"].gather(first).to_numpy(),
            "execution_id": frame["execution_id"].gather(first),
            "query_code": query_code,
            "queries": queries,
            "document_code": document_code,
            "documents": documents,
            "feature_names": tuple(names),
            "categories": {name: tuple(values) for name, values in about["categories"].items()},
            "context": {name: frame[name].gather(first) for name in about["context"]},
            "examination": frame["examination"].to_numpy()
            if "examination" in frame.columns
            else None,
            "judgments": judgments,
            "report": LoadReport(**about["report"]),
        }
    except (KeyError, TypeError, pl.exceptions.PolarsError) as error:
        msg = f"path: {str(path)!r} does not hold what its own metadata says: {error!r}"
        raise UnreadableSourceError(msg) from error


def _texts(pairs: TrainingPairs) -> dict[str, pl.Series]:
    return {"execution_id": pairs.execution_id, "query_id": pairs.query_id, **pairs.context}


def _feature_columns(pairs: TrainingPairs) -> dict[str, Any]:
    """Return the features under ``feature:name``, so that none shadows a field of the pairs."""
    return {f"feature:{name}": pairs.X[:, j] for j, name in enumerate(pairs.feature_names)}


def _about(path: str | Path) -> tuple[dict[str, Any], bytes | None]:
    """Return what the metadata say of the pairs, and the judgements with them."""
    try:
        metadata = pl.read_parquet_metadata(path)
        about: dict[str, Any] = json.loads(metadata["rankloom"])
        judged = base64.b64decode(metadata["judgments"]) if "judgments" in metadata else None
    except (OSError, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        msg = f"path: {str(path)!r} is no Parquet file of training pairs: {error}"
        raise UnreadableSourceError(msg) from error
    if about.get("format") != FORMAT:
        msg = f"path: {str(path)!r} has format {about.get('format')!r}, expected {FORMAT!r}"
        raise UnreadableSourceError(msg)
    return about, judged
