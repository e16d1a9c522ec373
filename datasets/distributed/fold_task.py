"""The task that folds a partition: its pairs stay in the shared folder."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from ..loading.attribution import NO_MOVES, moved_file
from ..loading.fold_partition import FoldedPartition, PartitionFold, RowFile
from ..loading.part import CHANNEL
from ..loading.row_files import row_file
from ..loading.stored_part import store_array, store_part
from .shared_files import shared_texts, stored_codes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..loading.attribution import Moves
    from ..loading.part import Part
    from ..loading.settings import LoadSettings
    from ..loading.shared_texts import SharedTexts


@dataclass(frozen=True)
class FoldPlan:
    """What the tasks that fold partitions have in common.

    Attributes
    ----------
    folder : path
        Has the shared texts; every task makes a folder of its own in it.
    names : tuple of str
        Columns of the texts.
    settings, filled, future_date
        See `PartitionFold`.
    readings : tuple of (path, int)
        Folder of each reading, and how many rows without a position come before its own.
    """

    folder: Path
    names: tuple[str, ...]
    settings: LoadSettings
    filled: dict[str, int]
    future_date: int | None
    readings: tuple[tuple[Path, int], ...]

    def fold(self) -> PartitionFold:
        """Return what partitions are folded with."""
        texts = shared_texts(self.folder, self.names)
        return PartitionFold(self.settings, texts, self.filled, self.future_date)

    def files(self, paths: Sequence[Path | None]) -> list[RowFile]:
        """Return files with their codes; `paths`: one for each reading, or None."""
        return [
            RowFile(path, stored_codes(folder, self.names), first_unplaced)
            for path, (folder, first_unplaced) in zip(paths, self.readings, strict=True)
            if path is not None
        ]


def fold_partition(plan: FoldPlan, number: int, moves: Moves = NO_MOVES) -> FoldedPartition:
    """Fold one partition; see `received` for the part."""
    folders = [folder for folder, _ in plan.readings]
    files = plan.files([row_file(folder, number) for folder in folders])
    moved = [
        moved_file(folder, number) if n in moves.readings else None
        for n, folder in enumerate(folders)
    ]
    folded = plan.fold().fold([*files, *plan.files(moved)], moves.left)
    return folded._replace(part=_stored(folded.part, plan.folder / f"part-{uuid.uuid4().hex}"))


def _stored(part: Part, folder: Path) -> Part:
    """Write a part to a new folder; what is left are counts, and the names of files."""
    stored = store_part(part, folder)
    nothing = pl.Series(dtype=pl.String)

    def array(name: str, values: Any) -> Any:
        return store_array(folder / f"execution-{name}.bin", values)

    return replace(
        stored,
        first_time=array("first_time", part.first_time),
        query=array("query", part.query),
        user=array("user", part.user),
        pairs=stored.pairs._replace(group=array("group", part.pairs.group)),
        documents=nothing,
        queries=nothing,
        channels=nothing,
        users=nothing,
    )


def received(part: Part, texts: SharedTexts, settings: LoadSettings) -> Part:
    """Return a part that a task stored, with its executions in memory and the shared texts."""
    return replace(
        part,
        first_time=part.first_time[:],
        query=part.query[:],
        user=part.user[:],
        pairs=part.pairs._replace(group=part.pairs.group[:]),
        documents=texts["feature_id"],
        queries=texts[settings.query_ids],
        channels=texts[CHANNEL],
        users=texts["user_id"],
    )
