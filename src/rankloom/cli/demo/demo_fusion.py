"""The part of `rankloom demo` that learns the weights of the retrieval channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fusion.state_options import unlogged
from ..output import counted, table
from .retrievers import RETRIEVER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from ...bandit import FusionBandit, LearningCurve

STEPS = 4


def fusion_lines(catalogue: pl.DataFrame, log: Path, snapshot: Path) -> list[str]:
    """Learn from a log, write the snapshot, and return the lines to print.

    `catalogue`: what the log was simulated with: channels' scores and true grades.
    """
    from ...bandit import FusionBandit, learning_curve

    channels = [name for name in catalogue.columns if "://" in name]
    bandit = FusionBandit(channels, retriever_id=RETRIEVER)
    with unlogged():
        report = bandit.update(log)
    bandit.snapshot().save(snapshot)
    curve = learning_curve(log, bandit, steps=STEPS)
    equal = dict.fromkeys(channels, 1 / len(channels))
    before, after = (true_ndcg(catalogue, weights).mean() for weights in (equal, bandit.mean()))
    return [
        f"{counted(report.units_opened, 'document')} of executions are evidence for the channels.",
        "Thompson sampling draws weights from the posterior; these are its means.",
        *_curve(curve),
        "",
        *_channels(catalogue, bandit),
        f"True NDCG@10 of fused candidates: {before:.3f} with equal weights, {after:.3f} learnt.",
        f"snapshot for services -> {snapshot}",
    ]


def true_ndcg(catalogue: pl.DataFrame, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the NDCG@10 of every query's candidates, fused, by the true grades."""
    import numpy as np

    from ...bandit import fuse_columns
    from ...ltr import ndcg

    queries = catalogue["query"].rle()
    group = queries.struct.field("len").to_numpy().astype(np.int64)
    scores = catalogue.select(list(weights)).to_numpy()
    row, channel = np.nonzero(~np.isnan(scores))
    query = np.repeat(np.arange(len(group)), group)
    fused = fuse_columns(
        query[row], channel, row, scores[row, channel], list(weights.values()), k=None
    )
    total = np.zeros(len(scores))  # a document that no channel found
    total[fused.document] = fused.score
    return ndcg(catalogue["grade"].to_numpy(), total, group)


def _curve(curve: LearningCurve) -> list[str]:
    rows = [
        (
            f"{executions:,}",
            *(f"{mean:.2f} ({low:.2f}-{high:.2f})" for mean, low, high in zip(*ends, strict=True)),
        )
        for executions, *ends in zip(
            curve.executions, curve.weights, curve.lower, curve.upper, strict=True
        )
    ]
    return table(["lists learnt", *curve.feature_uris], rows)


def _channels(catalogue: pl.DataFrame, bandit: FusionBandit) -> list[str]:
    """Show the weight of every channel and the quality of its own ranking."""
    rows = [
        (channel, f"{weight:.3f}", f"{true_ndcg(catalogue, {channel: 1.0}).mean():.3f}")
        for channel, weight in bandit.mean().items()
    ]
    return table(["channel", "learnt weight", "true NDCG@10 alone"], rows)
