"""The task that looks for the displays of rows without an execution in one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..loading.attribution import asking_rows, destinations, last_displays, move_rows
from ..loading.row_files import attributable_file, row_file
from .cluster import run_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import polars as pl
    from distributed import Client, Future
    from numpy.typing import NDArray

    from ..loading.attribution import Moves
    from .fold_task import FoldPlan


def attribute(
    client: Client,
    plan: FoldPlan,
    shared: Future[FoldPlan],
    rows: NDArray[np.int64],
    window: int,
    advance: Callable[[int], None],
) -> dict[int, Moves]:
    """Send rows that are attributed to displays to their partitions; return what changes there.

    `shared`: the plan on the workers. `rows`: of each partition; `advance` gets them.
    """
    numbers = np.flatnonzero(rows).tolist()
    folders = [folder for folder, _ in plan.readings]
    files = plan.files([attributable_file(folder) for folder in folders])
    asking = asking_rows(files, len(rows), plan.fold())
    path = plan.folder / "asking.npy"
    np.save(path, asking)
    calls = [(shared, number, path, window) for number in numbers]

    def found() -> Iterator[tuple[int, pl.DataFrame]]:
        results = run_tasks(client, "attribute", _last_displays, calls)
        for number, displays in zip(numbers, results, strict=True):
            yield number, displays
            advance(int(rows[number]))

    return move_rows(folders, asking, destinations(asking, found()))


def _last_displays(plan: FoldPlan, number: int, path: Path, window: int) -> pl.DataFrame:
    asking: Any = np.load(path, mmap_mode="r")
    files = plan.files([row_file(folder, number) for folder, _ in plan.readings])
    return last_displays(plan.fold(), files, number, asking, window)
