"""Parquet and Arrow files of object stores, of which only what is used is transferred."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from .arrow_input import RepeatedInput, stream_errors
from .parquet import read_footer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .remote_files import RemoteFile

_BATCH_ROWS: Final = 65_536


def remote_parquet(path: RemoteFile) -> RepeatedInput:
    """Return a Parquet file, read row group by row group in the columns that are asked for.

    Raises
    ------
    UnreadableSourceError
        If the file is missing, truncated or of another format, or may not be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = str(path)
    with closing(path.open_for_ranges()) as file, stream_errors(name):
        footer = read_footer(file, path.size, name)
        metadata = pq.read_metadata(pa.BufferReader(footer))
        schema = metadata.schema.to_arrow_schema()

    def start(columns: Sequence[str]) -> Iterator[Any]:
        with closing(path.open_for_ranges()) as file:
            table = pq.ParquetFile(file, metadata=metadata, pre_buffer=True)
            # One row group after the other: what is buffered of several stays in memory.
            for group in range(metadata.num_row_groups):
                yield from table.iter_batches(_BATCH_ROWS, [group], list(columns))

    return RepeatedInput(name, schema, start, metadata.num_rows)


def remote_arrow(path: RemoteFile) -> RepeatedInput:
    """Return an Arrow file, or a stream of record batches.

    Raises
    ------
    UnreadableSourceError
        As by `remote_parquet`.
    """
    import pyarrow as pa

    name = str(path)

    def start(_: Sequence[str] = ()) -> Iterator[Any]:
        with closing(path.open_for_ranges()) as file:
            is_file = file.read(6) == b"ARROW1"
            file.seek(0)
            if is_file:
                table = pa.ipc.open_file(file)
                yield from (table.get_batch(i) for i in range(table.num_record_batches))
            else:
                yield from pa.ipc.open_stream(file)

    with closing(path.open_for_ranges()) as file, stream_errors(name):
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        schema = reader.schema
    return RepeatedInput(name, schema, start)
