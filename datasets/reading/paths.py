"""Paths, globs and folders as files, each with what the names of its folders say."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from ...errors import UnreadableSourceError
from .lake_folders import refuse_lake_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file_path import FilePath

_PARTITION: Final = re.compile(r"([^=/\\]+)=([^/\\]*)")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"


def paths_of(source: str | os.PathLike[str], parameter: str = "source") -> list[Path]:
    """Return the file, those in the folder, or those that match the glob, in order.

    Files and folders whose names begin with a dot or an underscore are left out of folders, as
    Spark and Hive do.

    Raises
    ------
    UnreadableSourceError
        If the text is no path, or a glob or a folder has no file.
    """
    text = os.fspath(source)
    if isinstance(text, str) and _URL.match(text):
        call = "InteractionLog" if text.startswith(("sqlite:", "postgres")) else "pl.scan_parquet"
        msg = (
            f"{parameter}: {text[:200]!r} is a URL, not a path. Give a local path, or what reads "
            f"the URL: {call}({text[:200]!r})"
        )
        raise UnreadableSourceError(msg)
    path = Path(text).expanduser()
    try:
        is_folder = path.is_dir()
        if not is_folder and (path.exists() or not glob.has_magic(text)):
            return [path]
    except (OSError, ValueError) as error:
        msg = f"{parameter}: {text[:200]!r} is no path: {error}"
        raise UnreadableSourceError(msg) from error
    if is_folder:
        return _files_in(path, parameter)
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - the pattern may be absolute
    files = [name for name in found if not name.is_dir()]
    if not files:
        msg = f"{parameter}: no file matches {text!r}.{_advice(path)}"
        raise UnreadableSourceError(msg)
    return files


def _advice(pattern: Path) -> str:
    """Return what to do about a glob without a match whose folder holds folders."""
    folder = pattern.parent
    if not folder.is_dir() or not any(each.is_dir() for each in folder.iterdir()):
        return ""
    return f" {str(folder)!r} holds folders: give {str(folder)!r} or '{folder}/**/{pattern.name}'"


def _files_in(folder: Path, parameter: str) -> list[Path]:
    markers = (
        path for name in ("_delta_log", "metadata", ".hoodie") for path in (folder / name).glob("*")
    )
    refuse_lake_table(str(folder), (path.relative_to(folder).as_posix() for path in markers))
    found = sorted(_walk(folder))
    if not found:
        msg = f"{parameter}: the folder {str(folder)!r} holds no file"
        raise UnreadableSourceError(msg)
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def partitions(path: FilePath) -> dict[str, str]:
    """Return the columns that folders named ``key=value`` give to a file, as Hive writes them.

    Examples
    --------
    >>> partitions(Path("log/device=mobile/city=New%20York/part-0.parquet"))
    {'device': 'mobile', 'city': 'New York'}
    """
    found = (_PARTITION.fullmatch(name) for name in path.parts[:-1])
    pairs = {unquote(match[1]): unquote(match[2]) for match in found if match is not None}
    return {key: value for key, value in pairs.items() if value != _NO_VALUE}


def check_file(path: Path) -> None:
    """Refuse what is no readable regular file."""
    try:
        if path.is_dir():
            msg = f"{path}: this is a folder"
            raise UnreadableSourceError(msg)
        if not path.exists():
            msg = f"{path}: no such file"
            raise UnreadableSourceError(msg)
        if not path.is_file():
            msg = f"{path}: not a regular file"
            raise UnreadableSourceError(msg)
        with path.open("rb"):
            pass
    except ValueError as error:
        msg = f"source: {str(path)[:200]!r} is no path: {error}"
        raise UnreadableSourceError(msg) from error
    except PermissionError as error:
        msg = f"{path}: not readable: {error}"
        raise UnreadableSourceError(msg) from error
