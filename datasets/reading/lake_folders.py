"""Folders of lake tables, which also hold files that the tables no longer consist of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TABLES: Final = {
    r"_delta_log/.*": ("a Delta table", "deltalake.DeltaTable({!r})"),
    r"metadata/[^/]*\.metadata\.json": ("an Iceberg table", "a scan of it by PyIceberg"),
    r"\.hoodie/.*": ("a Hudi table", "a reader of it"),
}


def refuse_lake_table(folder: str, files: Iterable[str]) -> None:
    """Raise if a folder is that of a lake table.

    Parameters
    ----------
    folder : str
        For the message.
    files : iterable of str
        Paths below the folder, separated by slashes.

    Raises
    ------
    InvalidInputError
        With what to give instead.

    Examples
    --------
    >>> refuse_lake_table("log", ["part-0.parquet", "day=1/part-0.parquet"])
    """
    for file in files:
        for pattern, (kind, instead) in _TABLES.items():
            if re.fullmatch(pattern, file):
                msg = (
                    f"{folder}: this is the folder of {kind}, which may hold rows that were "
                    f"deleted from the table. Give {instead.format(folder)}"
                )
                raise InvalidInputError(msg)
