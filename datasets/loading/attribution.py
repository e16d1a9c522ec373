"""Rows without an execution and a position, whose displays may lie in any partition.

Each partition is asked for the last display that it has of such a row's document to its user. A row
goes to the partition with the last one of all, where it is then placed as it would be in one
process: the displays there are some of all, and the last one is among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl

from ...errors import InvalidInputError
from ..pairs.placement import display_rows
from ..pairs.text_codes import ranks, recode
from ..reading.displays import find_last_displays
from .row_files import MISSING, attributable_file, partition_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..pairs.row_reader import LogRows
    from .fold_partition import PartitionFold, RowFile

ASKING: Final = np.dtype(
    [
        ("number", np.int64),
        ("time", np.int64),
        ("user", np.int32),
        ("document", np.int32),
        ("home", np.int32),
        ("reading", np.int32),
    ]
)
"""A row that asks for a display: its number among all rows without a position; its time in
microseconds; its user and its document among the shared texts; the partition that it is in, by its
session; the reading that read it."""

_BYTES_PER_ROW: Final = 250
"""Memory that such a row takes while its display is looked for."""
_PENDING: Final = 1_000_000
"""Displays that are kept beside the best ones before they are compared."""


def check_attributable(rows: int, memory: int, parameter: str) -> None:
    """Raise where so many rows that may be attributed do not fit half of the memory.

    `memory`: bytes. `parameter`: what gives more of it.
    """
    needed = rows * _BYTES_PER_ROW
    if needed > memory // 2:
        msg = (
            f"attribution: {rows:,} rows name neither an execution nor a position; to find their "
            f"displays takes {needed / 1e9:.1f} GB of memory, more than half of the "
            f"{memory / 1e9:.1f} GB there are. {parameter}, log execution_id with these rows, or "
            "leave out attribution"
        )
        raise InvalidInputError(msg)


def asking_rows(files: Sequence[RowFile], partitions: int, fold: PartitionFold) -> NDArray[Any]:
    """Return the rows of all readings that ask for a display; `ASKING`, by number.

    `files`: the `attributable_file` of each reading, with its codes.
    """
    found = [np.empty(0, ASKING)]
    for reading, file in enumerate(files):
        found += _asking_of(file, reading, partitions)
    asking = np.concatenate(found)
    fold.date(asking["time"])
    return asking


def _asking_of(file: RowFile, reading: int, partitions: int) -> list[NDArray[Any]]:
    import pyarrow as pa

    found = []
    with pa.OSFile(str(file.path), "rb") as opened, pa.ipc.open_stream(opened) as stream:
        for batch in stream:
            rows = np.empty(len(batch), ASKING)
            rows["number"] = batch["unplaced"].to_numpy() + file.first_unplaced
            rows["time"] = batch["time"].to_numpy()
            rows["user"] = recode(batch["user"].to_numpy(), file.codes["user_id"])
            rows["document"] = recode(batch["feature_id"].to_numpy(), file.codes["feature_id"])
            rows["home"] = _partitions_of_sessions(batch["session_id"], partitions)
            rows["reading"] = reading
            found.append(rows)
    return found


def _partitions_of_sessions(sessions: Any, partitions: int) -> NDArray[np.int32]:
    """Return the partitions of rows without an execution; `sessions`: an Arrow dictionary."""
    of_text = partition_of(pl.Series(sessions.dictionary, dtype=pl.String), partitions)
    codes = sessions.indices.fill_null(MISSING).to_numpy()
    return np.where(codes < 0, np.int32(0), np.append(of_text, np.int32(0))[codes])


def last_displays(
    fold: PartitionFold,
    files: Sequence[RowFile],
    partition: int,
    asking: NDArray[Any],
    window: int,
) -> pl.DataFrame:
    """Return the last displays that a partition has for the rows that ask.

    As `find_last_displays` does, with ``number`` in the place of ``row``, and texts. `files`: of
    the partition.
    """
    rows, unplaced = fold.rows(files)
    others = asking[asking["home"] != partition]
    # Those of whose documents and users there is no row have no display here.
    others = others[
        _named(rows.codes["feature_id"], others["document"])
        & _named(rows.user - np.int32(1), others["user"])
    ]
    signals, query_key = fold.settings.signals, fold.settings.query_ids
    frame = display_rows(
        rows, signals, query_key, attributes=True, documents=np.asarray(others["document"])
    )
    number = np.full(len(rows) + len(others), MISSING, np.int64)
    number[: len(rows)][rows.position < 0] = unplaced
    number[len(rows) :] = others["number"]
    asked = pl.DataFrame(
        {
            "row": np.arange(len(rows), len(number)),
            "document": others["document"],
            "user": recode(np.asarray(others["user"]), ranks(rows.texts["user_id"])),
            "time": others["time"],
            "of_document": np.ones(len(others), np.bool_),
        }
    )
    found = find_last_displays(pl.concat([frame, asked], how="diagonal_relaxed"), window)
    return found.with_columns(
        pl.Series("number", number[found["row"].to_numpy()]),
        *(_named_again(found[name], rows, f"{name}_id") for name in ("execution", "session")),
    ).drop("row")


def _named(codes: NDArray[np.int32], asked: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of the codes that are asked for some row has."""
    there = np.zeros(max(int(codes.max(initial=-1)), int(asked.max(initial=-1))) + 2, np.bool_)
    there[codes] = True
    return np.asarray(there[asked])


def _named_again(alphabetical: pl.Series, rows: LogRows, column: str) -> pl.Series:
    """Return the texts of alphabetical numbers."""
    return rows.texts[column].sort().gather(alphabetical).alias(alphabetical.name)


def destinations(
    asking: NDArray[Any], found: Iterable[tuple[int, pl.DataFrame]]
) -> NDArray[np.int32]:
    """Return the partition to which each row goes that asks for a display; shape (k,).

    `asking`: by number. `found`: partitions, and what `last_displays` found in them.
    """
    best = _LastDisplays()
    settled = [np.empty(0, np.int64)]
    for partition, displays in found:
        attributed = pl.col("attributed")
        settled.append(displays.filter(~attributed)["number"].to_numpy())
        best.add(partition, displays.filter(attributed))
    partitions = np.array(asking["home"])
    numbers, partitions_of_best = best.finish()
    partitions[np.searchsorted(asking["number"], numbers)] = partitions_of_best
    at_home = np.isin(asking["number"], np.concatenate(settled))
    return np.where(at_home, asking["home"], partitions)


class _LastDisplays:
    """The last display of each row among those of several partitions, and its partition."""

    def __init__(self) -> None:
        schema = {
            "number": pl.Int64(),
            "shown_at": pl.Int64(),
            "position": pl.Int32(),
            "execution": pl.String(),
            "session": pl.String(),
            "partition": pl.Int32(),
        }
        self._best = pl.DataFrame(schema=schema)
        self._pending: list[pl.DataFrame] = []

    def add(self, partition: int, displays: pl.DataFrame) -> None:
        """Add those of a partition."""
        numbered = displays.with_columns(pl.lit(partition).alias("partition"))
        schema = self._best.schema
        self._pending.append(numbered.select(pl.col(n).cast(kind) for n, kind in schema.items()))
        if sum(map(len, self._pending)) > len(self._best) + _PENDING:
            self._compare()

    def _compare(self) -> None:
        order = ["number", "shown_at", "position", "execution", "session"]
        latest_first = [name == "shown_at" for name in order]
        self._best = (
            pl.concat([self._best, *self._pending])
            .sort(order, descending=latest_first, nulls_last=True)
            .unique("number", keep="first", maintain_order=True)
        )
        self._pending.clear()

    def finish(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the numbers of rows, and the partitions of their last displays."""
        self._compare()
        return self._best["number"].to_numpy(), self._best["partition"].to_numpy()


class Moves(NamedTuple):
    """What changes for one partition.

    `left`: numbers of its rows that go to others. `readings`: those of which it gets rows.
    """

    left: NDArray[np.int64]
    readings: tuple[int, ...]


NO_MOVES: Final = Moves(np.empty(0, np.int64), ())


def move_rows(
    folders: Sequence[Path], asking: NDArray[Any], partition: NDArray[np.int32]
) -> dict[int, Moves]:
    """Write rows whose partition changes to `moved_file`; return what changes, by partition.

    `folders`: of each reading. `asking`, `partition`: see `destinations`.
    """
    moved = asking["home"] != partition
    target = np.where(moved, partition, MISSING).astype(np.int32)
    leaving = asking[moved]
    left = {home: leaving["number"][leaving["home"] == home] for home in _distinct(leaving["home"])}
    readings: dict[int, list[int]] = {}
    for reading in _distinct(leaving["reading"]):
        own = target[asking["reading"] == reading]
        for number in _write_moved(folders[reading], own):
            readings.setdefault(number, []).append(reading)
    return {
        number: Moves(left.get(number, NO_MOVES.left), tuple(readings.get(number, ())))
        for number in {*left, *readings}
    }


def _distinct(values: NDArray[np.int32]) -> list[int]:
    found: list[int] = np.unique(values).tolist()
    return found


def _write_moved(folder: Path, target: NDArray[np.int32]) -> list[int]:
    """Write rows of a reading to the files of their partitions, -1 to none; return which ones."""
    import pyarrow as pa

    path = attributable_file(folder)
    with pa.OSFile(str(path), "rb") as opened, pa.ipc.open_stream(opened) as stream:
        schema, table = stream.schema, stream.read_all()
    plain = [pa.field(f.name, _plain(f.type)) for f in schema]
    table = table.cast(pa.schema(plain))
    numbers = [number for number in _distinct(target) if number >= 0]
    for number in numbers:
        rows = table.take(pa.array(np.flatnonzero(target == number))).combine_chunks()
        columns = [
            column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
            for field, column in zip(schema, rows.columns, strict=True)
        ]
        with (
            pa.OSFile(str(moved_file(folder, number)), "wb") as file,
            pa.ipc.new_stream(file, schema) as writer,
        ):
            writer.write_table(pa.table(columns, schema=schema))
    return numbers


def _plain(kind: Any) -> Any:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def moved_file(folder: Path, number: int) -> Path:
    """Return the file of the rows of a reading that go to a partition which is not their own."""
    return folder / f"moved-{number:05d}.arrows"
