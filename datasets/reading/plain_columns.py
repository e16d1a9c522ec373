"""Columns of binary, map and extension types as the text, lists and structs that they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ..record.fault import Fault, FaultError
from ..record.ids import binary_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAP: Final[Any] = getattr(pl, "Map", None)
_EXTENSION: Final[Any] = getattr(pl, "BaseExtension", None)
_CONTROL: Final = r"[\x00-\x1f\x7f]"


def plain_schema(schema: Mapping[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the types of columns after `plain_frame`."""
    return {name: _plain_type(dtype) for name, dtype in schema.items()}


def plain_frame(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[int, Fault]]]:
    r"""Return a frame in plain types, without the rows whose bytes are no text, and their faults.

    Text may be JSON. Sixteen bytes that are no printable text are a UUID.

    Examples
    --------
    >>> frame = pl.DataFrame({"user_id": [b"u1", b"\xff"], "metadata": [b"{}", b"{}"]})
    >>> plain, faults = plain_frame(frame)
    >>> plain.rows(), faults[0][0], faults[0][1].reason
    ([('u1', '{}')], 1, 'not valid UTF-8')
    """
    unusual = [name for name, dtype in frame.schema.items() if _plain_type(dtype) != dtype]
    faults: dict[int, Fault] = {}
    for name in unusual:
        column, bad = _plain_column(frame[name])
        frame = frame.with_columns(column)
        faults = bad | faults
    if not faults:
        return frame, []
    good = ~pl.Series(range(frame.height)).is_in(list(faults))
    return frame.filter(good), sorted(faults.items())


def _plain_type(dtype: pl.DataType) -> pl.DataType:
    if isinstance(dtype, pl.Binary):
        return pl.String()
    if _MAP is not None and isinstance(dtype, _MAP):
        fields: Any = dtype
        return pl.List(pl.Struct({"key": fields.key, "value": fields.value}))
    if _EXTENSION is not None and isinstance(dtype, _EXTENSION):
        extension: Any = dtype
        return _plain_type(extension.ext_storage())
    return dtype


def _plain_column(column: pl.Series) -> tuple[pl.Series, dict[int, Fault]]:
    dtype = column.dtype
    if isinstance(dtype, pl.Binary):
        return _text_of_bytes(column)
    if _MAP is not None and isinstance(dtype, _MAP):
        return column.cast(_plain_type(dtype)), {}
    return _plain_column(column.ext.storage()) if _plain_type(dtype) != dtype else (column, {})


def _text_of_bytes(column: pl.Series) -> tuple[pl.Series, dict[int, Fault]]:
    try:
        texts = column.cast(pl.String)
        uuids = (column.bin.size() == 16) & texts.str.contains(_CONTROL)
        if not uuids.any():
            return texts, {}
    except pl.exceptions.PolarsError:
        pass
    if column.bin.size().drop_nulls().eq(16).all():
        return _uuids(column), {}
    return _one_by_one(column)


def _uuids(column: pl.Series) -> pl.Series:
    digits = column.bin.encode("hex")
    return digits.str.replace(r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", "${1}-${2}-${3}-${4}-${5}")


def _one_by_one(column: pl.Series) -> tuple[pl.Series, dict[int, Fault]]:
    faults: dict[int, Fault] = {}
    texts: list[str | None] = []
    for row, value in enumerate(column.to_list()):
        try:
            texts.append(None if value is None else binary_text(column.name, value))
        except FaultError as error:
            texts.append(None)
            faults[row] = error.fault
    return pl.Series(column.name, texts, pl.String), faults
