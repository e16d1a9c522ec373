"""Arrow columns in the types that polars holds: extensions as their storage, views as lists."""

from __future__ import annotations

import uuid
from typing import Any

import polars as pl


def polars_type(dtype: Any) -> pl.DataType:
    """Return the type that `polars_series` gives a column of an Arrow type.

    Types that polars has none for, such as unions, become Object.

    Examples
    --------
    >>> import pyarrow as pa
    >>> polars_type(pa.list_(pa.string_view())), polars_type(pa.list_(pa.uuid()))
    (List(String), List(String))
    """
    import pyarrow as pa

    plain = _plain_type(dtype)
    if not _is_known(plain):
        return pl.Object()
    return pl.DataFrame(pa.schema([("", plain)]).empty_table()).dtypes[0]


def polars_series(name: str, column: Any) -> pl.Series:
    """Return an Arrow array as a series; UUIDs within lists, structs and maps become text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    while isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_run_end_encoded(column.type):
        column = pc.call_function("run_end_decode", [column])
    plain = _plain_type(column.type)
    if not _is_known(plain):
        return pl.Series(name, column.to_pylist(), pl.Object)
    if plain is not column.type and plain != column.type:
        # Value by value: Arrow's casts of list views lose values, those of UUIDs give bytes.
        column = pa.array(list(map(_plain_value, column.to_pylist())), plain)
    return pl.DataFrame(pa.table([column], [name])).to_series()


def _plain_type(dtype: Any) -> Any:
    """Return an Arrow type without extensions, views of lists, run ends and 256-bit decimals."""
    import pyarrow as pa

    if isinstance(dtype, pa.BaseExtensionType):
        return _plain_type(dtype.storage_type)
    if pa.types.is_run_end_encoded(dtype):
        return _plain_type(dtype.value_type)
    if pa.types.is_decimal256(dtype):
        return pa.decimal128(38, min(dtype.scale, 38))
    return dtype if _is_plain(dtype) else _plain_nested(dtype)


def _plain_nested(dtype: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, _nested_type(field.type)) for field in dtype])
    if pa.types.is_map(dtype):
        return pa.map_(_nested_type(dtype.key_type), _nested_type(dtype.item_type))
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(_nested_type(dtype.value_type), dtype.list_size)
    return pa.large_list(_nested_type(dtype.value_type))


def _nested_type(dtype: Any) -> Any:
    import pyarrow as pa

    return pa.string() if isinstance(dtype, pa.UuidType) else _plain_type(dtype)


def _is_plain(dtype: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    is_other = (
        isinstance(dtype, pa.BaseExtensionType)
        or types.is_list_view(dtype)
        or types.is_large_list_view(dtype)
        or types.is_run_end_encoded(dtype)
        or types.is_decimal256(dtype)
    )
    return not is_other and all(map(_is_plain, _inner_types(dtype)))


def _is_known(dtype: Any) -> bool:
    """Return whether polars has a type for a plain one and for what it holds."""
    import pyarrow as pa

    if pa.types.is_union(dtype) or pa.types.is_interval(dtype):
        return False
    return all(map(_is_known, _inner_types(dtype)))


def _inner_types(dtype: Any) -> list[Any]:
    import pyarrow as pa

    if pa.types.is_map(dtype):
        return [dtype.key_type, dtype.item_type]
    if pa.types.is_struct(dtype):
        return [field.type for field in dtype]
    holds_values = pa.types.is_nested(dtype) and not pa.types.is_union(dtype)
    return [dtype.value_type] if holds_values else []


def _plain_value(value: Any) -> Any:
    """Return a nested value with its UUIDs as text."""
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain_value(each) for key, each in value.items()}
    if isinstance(value, list):
        return list(map(_plain_value, value))
    # An entry of a map.
    return tuple(map(_plain_value, value)) if isinstance(value, tuple) else value
