"""Rows of a log as evidence: which are live, and what of them a reward table does not know."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..datasets.interaction import InteractionType
from ._learning import NOTEWORTHY, counts_of
from ._reading import read_columns

if TYPE_CHECKING:
    from ._update_report import UpdateReport
    from .evidence import Evidence
    from .rewards import RewardTable

_LEFT_OUT = (*NOTEWORTHY, "list_level")


def fold_rows(into: Evidence, frame: pl.DataFrame) -> Counter[str]:
    """Fold rows of a log, live ones as live, and return what was left out, by name."""
    left_out: Counter[str] = Counter()
    known = known_types(frame, into.rewards)
    left_out["unknown_types"] = frame.height - known.height
    for live in (True, False):
        part = known.filter(pl.col("live") == live).drop("live", "seq")
        if part.height:
            left_out.update(counts_of(_fold(into, part, live=live), _LEFT_OUT))
    return left_out


def known_types(frame: pl.DataFrame, rewards: RewardTable) -> pl.DataFrame:
    """Take types that have no reward off the rows; rows that have no other are left out."""
    names = [*InteractionType, *rewards.own_types]
    strange = pl.col("interaction_type").list.eval(~pl.element().is_in(names)).list.any()
    if not frame.select(strange.any()).item():
        return frame
    kept = pl.col("interaction_type").list.eval(pl.element().filter(pl.element().is_in(names)))
    return frame.with_columns(kept).filter(pl.col("interaction_type").list.len() > 0)


def _fold(into: Evidence, frame: pl.DataFrame, *, live: bool) -> UpdateReport:
    read = read_columns(frame, into.arms, into.identity, into.rewards)
    columns = replace(read.columns, live=np.full(len(read.columns), live))
    return read.reported(into.update(columns))
