"""Whether interactions and impressions speak of the same executions and documents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ..quality.notes import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..pairs.row_reader import LogRows

MAX_ABSENT: Final = 0.05
"""Share of the interactions' executions, or documents, that impressions may lack without a note."""


@dataclass(frozen=True)
class IdCounts:
    """Distinct ids of one kind on both sides; counts of executions add up over parts of a log.

    Attributes
    ----------
    logged, shown : int
        Ids that the interactions have, and that the impressions have.
    absent : int
        Ids of the interactions that the impressions lack.
    example, shown_example : str
        The first of the absent ids, and of those shown, in alphabetical order; "" without any.
    """

    logged: int = 0
    shown: int = 0
    absent: int = 0
    example: str = ""
    shown_example: str = ""

    @classmethod
    def of(cls, logged: pl.Series, shown: pl.Series) -> IdCounts:
        """Count two series of distinct ids."""
        absent = logged.filter(~logged.is_in(shown.implode()))
        first = [str(ids.min()) if len(ids) else "" for ids in (absent, shown)]
        return cls(len(logged), len(shown), len(absent), *first)

    def __add__(self, other: IdCounts) -> IdCounts:
        """Return the counts of both parts."""
        examples = [
            min(filter(None, pair), default="")
            for pair in (
                (self.example, other.example),
                (self.shown_example, other.shown_example),
            )
        ]
        return IdCounts(
            self.logged + other.logged,
            self.shown + other.shown,
            self.absent + other.absent,
            *examples,
        )

    def notes(self, noun: str) -> list[str]:
        """Return what to say of ids of the interactions that the impressions do not have."""
        if not self.shown or self.absent <= MAX_ABSENT * self.logged:
            return []
        part = share(self.absent, self.logged, f"{noun} of the interactions")
        note = (
            f"impressions: {part} do not occur in the impressions, such as {self.example!r}, while "
            f"these have {noun} such as {self.shown_example!r}. If the same ids are written in two "
            "ways, align them"
        )
        return [note]


@dataclass(frozen=True, eq=False)
class IdsMet:
    """The ids of a part of a log on both sides: executions counted, documents by name."""

    executions: IdCounts
    documents_logged: pl.Series
    documents_shown: pl.Series

    @classmethod
    def of(cls, rows: LogRows) -> IdsMet:
        """Compare the rows before `LogRows.shown_from` with the others."""
        executions, documents = (
            [
                rows.texts[name].gather(np.unique(codes[codes >= 0]))
                for codes in np.split(rows.codes[name], [rows.shown_from])
            ]
            for name in ("execution_id", "feature_id")
        )
        return cls(IdCounts.of(*executions), *documents)


def notes_of(parts: Sequence[IdsMet]) -> list[str]:
    """Return what to say of the parts of a log together."""
    if not parts:
        return []
    executions = reduce(IdCounts.__add__, (part.executions for part in parts))
    documents = IdCounts.of(
        pl.concat([part.documents_logged for part in parts]).unique(),
        pl.concat([part.documents_shown for part in parts]).unique(),
    )
    return executions.notes("executions") + documents.notes("documents")
