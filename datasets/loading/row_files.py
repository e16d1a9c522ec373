"""Valid rows of a log in partitions on disk: all rows of an execution are in one of them.

A partition is an Arrow stream. Its rows hold numbers: codes of texts that all partitions share, and
ids of executions and sessions as dictionaries of each block.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import polars as pl

from ..._shared.text_ids import stable_ids_of
from ..pairs.fold import CARRIED, NO_TIME
from ..pairs.interner import Interner
from ..pairs.row_reader import LogRows
from ..pairs.text_codes import recode
from .open_files import allow_open_files
from .shared_texts import OF_PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa
    from numpy.typing import NDArray

    from .settings import LoadSettings
    from .shared_texts import SharedTexts

MISSING: Final = -1
_NUMBERS: Final[dict[str, Any]] = {
    "types": np.uint64,
    "time": np.int64,
    "position": np.int32,
    "user": np.int32,
    "unplaced": np.int64,
    "from_impressions": np.bool_,
}
_CARRIED: Final = [name for name in CARRIED if name != "feature_uri"]


def partition_of(ids: pl.Series, partitions: int) -> NDArray[np.int32]:
    """Return the partition of every execution or session by its id: blake2b-64 modulo their number.

    Examples
    --------
    >>> import polars as pl
    >>> partition_of(pl.Series(["e1", "e2", "e1"]), 4).tolist()
    [3, 2, 3]
    """
    return (stable_ids_of(ids) % np.uint64(partitions)).astype(np.int32)


def partitions_of_rows(rows: pl.DataFrame, partitions: int) -> NDArray[np.int32]:
    """Return the partition of every row: of its execution, else of its session, else the first."""
    partition = np.zeros(len(rows), np.int32)
    for name in reversed(OF_PARTS):  # an execution's id decides where there is one
        ids = Interner()
        codes = ids.add(rows[name])
        known = codes >= 0
        partition[known] = partition_of(ids.texts(), partitions)[codes[known]]
    return partition


class RowFiles:
    """Writes rows to the partitions of a folder; a context manager that closes them.

    Parameters
    ----------
    folder : path
        Gets the files ``00000.arrows`` and so on.
    partitions : int
    names : sequence of str
        Columns of text whose codes are those of all rows of a reading.
    attributed : uint64, optional
        Bitmask of types: rows of these that name a user and have a time, but neither an execution
        nor a position, are in `attributable_file` too.

    Attributes
    ----------
    rows : ndarray of int64, shape (partitions,)
        Rows of each partition so far.
    attributable : int
        Rows in `attributable_file`.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int,
        names: Sequence[str],
        attributed: np.uint64 | None = None,
    ) -> None:
        self._folder, self._partitions = folder, partitions
        self._names = [name for name in names if name not in OF_PARTS]
        self._attributed = attributed
        self._unplaced = 0
        self._writers: list[Any] = []
        self._stack = ExitStack()
        self.rows = np.zeros(partitions, np.int64)
        self.attributable = 0

    def __enter__(self) -> Self:
        """Create the files; raises `InvalidInputError` where a process may not open so many."""
        import pyarrow as pa

        allow_open_files(self._partitions)
        paths = [row_file(self._folder, number) for number in range(self._partitions)]
        if self._attributed is not None:
            paths.append(attributable_file(self._folder))
        with ExitStack() as stack:
            for path in paths:
                file = stack.enter_context(pa.OSFile(str(path), "wb"))
                self._writers.append(stack.enter_context(pa.ipc.new_stream(file, self._schema())))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._stack.__exit__(kind, error, trace)

    def write(self, rows: LogRows, *, from_impressions: bool) -> None:
        """Append a block of `RowReader.read_in_blocks`."""
        columns, ids, partition = self._columns(rows, from_impressions=from_impressions)
        order = np.argsort(partition, kind="stable")
        ends = np.cumsum(np.bincount(partition, minlength=self._partitions))
        columns = {name: values[order] for name, values in columns.items()}
        of_ids: dict[str, _IdsByPartition | _IdsByUse] = {
            name: _IdsByPartition(*ids[name], self._partitions) for name in OF_PARTS
        }
        if "session_id" in rows.codes:  # as context, a session has rows in many partitions
            of_ids["session_id"] = _IdsByUse(rows.texts["session_id"])
        self.rows += np.diff(ends, prepend=0)
        for number in np.flatnonzero(np.diff(ends, prepend=0)).tolist():
            part = slice(ends[number - 1] if number else 0, ends[number])
            chosen = {name: values[part] for name, values in columns.items()}
            self._append(number, chosen, of_ids)
        if self._attributed is not None:
            self._append_attributable(columns, rows.texts)

    def _append(
        self,
        number: int,
        columns: Mapping[str, NDArray[Any]],
        of_ids: Mapping[str, _IdsByPartition | _IdsByUse],
    ) -> None:
        """Append rows to one of the files."""
        import pyarrow as pa

        schema = self._schema()
        arrays = [
            of_ids[name].array(columns[name], number) if name in OF_PARTS else pa.array(values)
            for name in schema.names
            for values in (columns[name],)
        ]
        self._writers[number].write_batch(pa.record_batch(arrays, schema=schema))

    def _append_attributable(
        self, columns: Mapping[str, NDArray[Any]], texts: Mapping[str, pl.Series]
    ) -> None:
        """Append the rows that may be attributed to a display of their user, in their order."""
        attributable = (
            (columns["position"] < 0)
            & (columns["execution_id"] < 0)
            & (columns["user"] >= 0)
            & (columns["time"] != NO_TIME)
            & ((columns["types"] & self._attributed) != 0)
        )
        at = np.flatnonzero(attributable)
        if not len(at):
            return
        at = at[np.argsort(columns["unplaced"][at])]
        chosen = {name: values[at] for name, values in columns.items()}
        self._append(self._partitions, chosen, {name: _IdsByUse(texts[name]) for name in OF_PARTS})
        self.attributable += len(at)

    def _columns(
        self, rows: LogRows, *, from_impressions: bool
    ) -> tuple[
        dict[str, NDArray[Any]], dict[str, tuple[pl.Series, NDArray[np.int32]]], NDArray[np.int32]
    ]:
        """Return the columns of all rows, ids with their partitions, and the rows' partitions."""
        session = np.full(len(rows), MISSING, np.int32)
        session[rows.without_execution] = rows.session
        session = rows.codes.get("session_id", session)
        codes = {"execution_id": rows.codes["execution_id"], "session_id": session}
        ids = {
            name: (rows.texts[name], partition_of(rows.texts[name], self._partitions))
            for name in OF_PARTS
        }
        partition = np.zeros(len(rows), np.int32)
        for name in reversed(OF_PARTS):  # an execution's id decides where there is one
            known = codes[name] >= 0
            partition[known] = ids[name][1][codes[name][known]]
        unplaced = np.full(len(rows), MISSING, np.int64)
        without = rows.position < 0
        unplaced[without] = self._unplaced + np.arange(np.count_nonzero(without))
        self._unplaced += int(np.count_nonzero(without))
        carried = {name: rows.carried[:, CARRIED.index(name)] for name in _CARRIED}
        columns: dict[str, NDArray[Any]] = {
            **codes,
            **{name: rows.codes[name] for name in self._names},
            **carried,
            "types": rows.types,
            "time": rows.time,
            "position": rows.position,
            "user": rows.user - np.int32(1),
            "unplaced": unplaced,
            "from_impressions": np.full(len(rows), from_impressions),
        }
        return columns, ids, partition

    def _types(self) -> dict[str, Any]:
        """Return the numpy types of the columns that hold numbers."""
        codes = dict.fromkeys(self._names, np.int32)
        return {**codes, **dict.fromkeys(_CARRIED, np.float64), **_NUMBERS}

    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        ids = dict.fromkeys(OF_PARTS, pa.dictionary(pa.int32(), pa.large_string()))
        numbers = {name: pa.from_numpy_dtype(kind) for name, kind in self._types().items()}
        return pa.schema(list((ids | numbers).items()))


class _IdsByPartition:
    """The ids of a block, each partition's together, and their new codes."""

    def __init__(self, ids: pl.Series, partition: NDArray[np.int32], partitions: int) -> None:
        order = np.argsort(partition, kind="stable")
        self._starts = np.concatenate(
            [[0], np.cumsum(np.bincount(partition, minlength=partitions))]
        )
        self._ids = ids.gather(order).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._place = np.empty(len(order), np.int32)
        self._place[order] = np.arange(len(order), dtype=np.int32)

    def array(self, codes: NDArray[np.int32], number: int) -> Any:
        """Return codes of ids of one partition as an Arrow dictionary."""
        import pyarrow as pa

        start, end = self._starts[number], self._starts[number + 1]
        new = recode(codes, self._place) - np.int32(start)
        indices = pa.array(new, mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, self._ids[int(start) : int(end)])


class _IdsByUse:
    """The ids of a block, of which each partition gets those that its rows use."""

    def __init__(self, ids: pl.Series) -> None:
        self._ids = ids.to_arrow(compat_level=pl.CompatLevel.oldest())

    def array(self, codes: NDArray[np.int32], number: int) -> Any:
        """Return codes of ids as an Arrow dictionary."""
        import pyarrow as pa

        del number
        used, new = np.unique(codes, return_inverse=True)
        missing = int(len(used) > 0 and used[0] < 0)
        indices = pa.array(new.astype(np.int32) - np.int32(missing), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, self._ids.take(pa.array(used[missing:])))


def row_file(folder: Path, number: int) -> Path:
    """Return the file of a partition."""
    return folder / f"{number:05d}.arrows"


def attributable_file(folder: Path) -> Path:
    """Return the file of the rows that may belong to a display of any partition."""
    return folder / "attributable.arrows"


class PartitionRows:
    """Rows of one partition, gathered from the files of one or several readings.

    Parameters
    ----------
    texts : SharedTexts
        What the codes of the rows stand for.
    settings : LoadSettings
    """

    def __init__(self, texts: SharedTexts, settings: LoadSettings) -> None:
        self._texts, self._settings = texts, settings
        self._ids = {name: Interner() for name in OF_PARTS}
        self._columns: dict[str, list[NDArray[Any]]] = {}

    def add(
        self, path: Path, codes: Mapping[str, NDArray[np.int32]], first_unplaced: int = 0
    ) -> None:
        """Add a file.

        `codes`: code in the file -> code among the shared texts, by column. `first_unplaced`: how
        many rows without a position come before those of this reading.
        """
        import pyarrow as pa

        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as stream:
            for name, kind in zip(stream.schema.names, stream.schema.types, strict=True):
                dtype = np.int32 if name in OF_PARTS else kind.to_pandas_dtype()
                for column in self._made_of(name):
                    self._columns.setdefault(column, [np.empty(0, dtype)])
            for batch in stream:
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    for made in self._made_of(name):
                        values = self._values(made, column, codes)
                        if made == "unplaced" and first_unplaced:
                            values = np.where(values < 0, values, values + first_unplaced)
                        self._columns[made].append(values)

    def _made_of(self, name: str) -> tuple[str, ...]:
        """Return the columns of rows that a column of a file gives."""
        ids = self._settings.query_ids
        return (name, ids) if name == self._settings.query_text != ids else (name,)

    def _values(
        self, name: str, column: Any, codes: Mapping[str, NDArray[np.int32]]
    ) -> NDArray[Any]:
        if name in OF_PARTS:
            known = self._ids[name].add(pl.Series(column.dictionary))
            return recode(column.indices.fill_null(MISSING).to_numpy(), known)
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        if name == "user":
            name = "user_id"
        return recode(values, codes[name]) if name in codes else values

    def finish(
        self, filled: Mapping[str, int], moved: NDArray[np.int64] | None = None
    ) -> tuple[LogRows, NDArray[np.int64]]:
        """Return the rows, and the number of each row without a position among all such rows.

        `filled`: recommended field -> rows of the whole log that have it. `moved`: numbers of rows
        that are left out, as another partition has them.
        """
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        self._columns.clear()
        if moved is not None and len(moved):
            kept = ~np.isin(columns["unplaced"], moved)
            columns = {name: values[kept] for name, values in columns.items()}
        # Rows of the interactions come before those of the impressions.
        order = np.argsort(columns["from_impressions"], kind="stable")
        if (np.diff(order) != 1).any():
            columns = {name: values[order] for name, values in columns.items()}
        without = np.flatnonzero(columns["execution_id"] < 0)
        channel = columns["feature_uri"]
        carried = np.stack(
            [
                np.where(channel < 0, np.nan, channel) if name == "feature_uri" else columns[name]
                for name in CARRIED
            ],
            axis=1,
        )
        taken = {*_NUMBERS, *_CARRIED}
        if "session_id" not in self._settings.context:
            taken.add("session_id")
        rows = LogRows(
            codes={name: values for name, values in columns.items() if name not in taken},
            texts={
                **self._texts.texts,
                **{name: ids.texts() for name, ids in self._ids.items()},
            },
            types=columns["types"],
            time=columns["time"],
            position=columns["position"],
            carried=carried,
            without_execution=without,
            session=columns["session_id"][without],
            user=columns["user"] + np.int32(1),
            filled=dict(filled),
            shared=frozenset(self._texts.texts),
            shown_from=int(np.count_nonzero(~columns["from_impressions"])),
        )
        unplaced = columns["unplaced"]
        return rows, unplaced[unplaced >= 0]
