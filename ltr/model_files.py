"""A saved ranker on disk: a folder that is whole at every moment, and checked before it is used.

The folder holds ``model-<sha12>.txt`` (LightGBM's text) and ``manifest.json``. Nothing in it is a
pickle. A rename is atomic for a file but not for a folder, so the model is named by its content
and the manifest, which names it, is replaced last: a crash leaves the old version or the new one.

The hashes find damage, not tampering: load models only from writers that you trust.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .._files import TEMPORARY, flush_folder, write_whole
from ..errors import IntegrityError, InvalidInputError, StoreError, UnreadableSourceError
from ._training import neutral_names

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "rankloom-ranker"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

_MODEL_NAME = re.compile(r"model-([0-9a-f]{12})\.txt")
_LARGEST_MANIFEST = 256 << 20
_MEND = "train and save again, or restore the folder from a copy"


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size in bytes and SHA-256 of one file of the folder."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a loaded ranker must know beyond LightGBM's text.

    Attributes
    ----------
    features : list of str
        Real names in the model's order.
    categories : dict of str to list of str
        Categorical feature -> categories in the order of their codes.
    grades : list of int
        Distinct grades that were trained on.
    parameters : dict
        The ranker's own parameters, plain values.
    debias : dict
        Mode, examination curve and where it came from.
    training_period : list of str, or None
        First and last time (UTC, ISO 8601) of the executions; None without times.
    training_report : dict
        Rows, executions, what was left out, rounds, criterion.
    library_versions : dict of str to str
    files : dict of str to StoredFile
    """

    features: list[str]
    categories: dict[str, list[str]]
    grades: list[int]
    parameters: dict[str, Any]
    debias: dict[str, Any]
    training_period: list[str] | None
    training_report: dict[str, Any]
    library_versions: dict[str, str]
    files: dict[str, StoredFile] = {}


def write_model(folder: str | Path, model_text: str, manifest: Manifest) -> None:
    """Save a model so that a reader, or a crash, never meets half of it.

    Parameters
    ----------
    folder : str or Path
        Made if absent. An older model in it is replaced.
    model_text : str
        LightGBM's text.
    manifest : Manifest
        Its `files` are filled in here.

    Raises
    ------
    InvalidInputError
        If the path is a file, or a value of the manifest is no plain value.
    StoreError
        If the disk refuses.
    """
    path = Path(folder)
    content = model_text.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"model-{sha256[:12]}.txt"
    stored = {name: StoredFile(len(content), sha256)}
    manifest_text = _manifest_text(msgspec.structs.replace(manifest, files=stored))
    if path.exists() and not path.is_dir():
        msg = f"folder: {str(path)!r} is a file; give the path of a folder"
        raise InvalidInputError(msg)
    try:
        _make_folder(path)
        with _locked(path, exclusive=True):
            _replace(path / name, content)
            _replace(path / MANIFEST, manifest_text)
            _remove_leftovers(path, keep=name)
    except OSError as error:
        msg = f"cannot save the model in {str(path)!r}: {error}; the old version, if any, stands"
        raise StoreError(msg) from error


def read_model(folder: str | Path) -> tuple[str, Manifest]:
    """Return LightGBM's text and the manifest, after checking everything that can be checked.

    Version, the manifest's own digest, presence, size and SHA-256 of the model, and that model
    and manifest speak of the same features in the same order.

    Raises
    ------
    UnreadableSourceError
        If there is no such folder, or no model in it.
    IntegrityError
        If anything in it is damaged, of another format, or newer than this version reads.
    """
    path = Path(folder)
    try:
        return _read_checked(path)
    except (IntegrityError, UnreadableSourceError):
        if not path.is_dir():
            raise
    with _locked(path, exclusive=False):  # perhaps a save fell between manifest and model
        return _read_checked(path)


def _read_checked(path: Path) -> tuple[str, Manifest]:
    manifest = _parsed(_read(path / MANIFEST, path), path / MANIFEST)
    return _read_text(path, manifest), manifest


@contextmanager
def _locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Keep two savers from removing each other's files, and a second look from meeting a save.

    The lock dies with its process. Where the system or the disk has none, nothing is locked.
    """
    try:
        import fcntl

        descriptor = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):  # Windows, or a folder that may not be listed
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


# Writing


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        flush_folder(path.parent)


def _replace(target: Path, content: bytes) -> None:
    write_whole(target, lambda name: Path(name).write_bytes(content))


def _remove_leftovers(path: Path, keep: str) -> None:
    """Remove models that no manifest names and what a killed save left behind."""
    for entry in path.iterdir():
        old_model = _MODEL_NAME.fullmatch(entry.name) and entry.name != keep
        if old_model or entry.name.startswith(TEMPORARY):
            entry.unlink(missing_ok=True)


def _manifest_text(manifest: Manifest) -> bytes:
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **msgspec.to_builtins(manifest)}
    try:
        return _canonical({**content, "digest": _digest(content)})
    except (TypeError, ValueError) as error:
        msg = f"the manifest holds a value that JSON cannot hold: {error}"
        raise InvalidInputError(msg) from error


def _canonical(content: dict[str, Any]) -> bytes:
    """One text for one content, so that no byte of a manifest can change unnoticed."""
    text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(content)).hexdigest()


# Reading


def _read(file: Path, folder: Path) -> bytes:
    try:
        if file.stat().st_size > _LARGEST_MANIFEST and file.name == MANIFEST:
            msg = f"{str(file)!r} is larger than any manifest; {_MEND}"
            raise IntegrityError(msg)
        return file.read_bytes()
    except OSError as error:
        known = "no model folder" if not folder.is_dir() else f"no readable {file.name}"
        msg = f"{str(folder)!r}: {known} ({error.strerror}); give a folder that Ranker.save wrote"
        raise UnreadableSourceError(msg) from error


def _parsed(raw: bytes, file: Path) -> Manifest:
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        msg = f"{str(file)!r} is not a manifest (no JSON: {error}); {_MEND}"
        raise IntegrityError(msg) from error
    _check_version(content, file)
    content.pop("format")
    content.pop("format_version")
    _check_digest(content, raw, file)
    content.pop("digest")
    try:
        return msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        msg = f"{str(file)!r} does not follow format version {FORMAT_VERSION}: {error}; {_MEND}"
        raise IntegrityError(msg) from error


def _check_version(content: Any, file: Path) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        msg = f"{str(file)!r} is not the manifest of a saved ranker; {_MEND}"
        raise IntegrityError(msg)
    version = content.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        msg = (
            f"{str(file)!r} has format version {version}; this rankloom reads up to "
            f"{FORMAT_VERSION}: upgrade rankloom, or save with the version in use here"
        )
        raise IntegrityError(msg)
    if type(version) is not int or version != FORMAT_VERSION:
        msg = f"{str(file)!r} has no known format version (got {version!r}); {_MEND}"
        raise IntegrityError(msg)


def _check_digest(content: dict[str, Any], raw: bytes, file: Path) -> None:
    whole = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    signed = {name: value for name, value in whole.items() if name != "digest"}
    try:
        intact = _canonical(whole) == raw and whole.get("digest") == _digest(signed)
    except (TypeError, ValueError, RecursionError):
        intact = False
    if not intact:
        msg = f"{str(file)!r} does not match its own digest: it was changed or damaged; {_MEND}"
        raise IntegrityError(msg)


def _read_text(path: Path, manifest: Manifest) -> str:
    if len(manifest.files) != 1:
        msg = f"{str(path)!r}: the manifest must name one model file; {_MEND}"
        raise IntegrityError(msg)
    name, stored = next(iter(manifest.files.items()))
    match = _MODEL_NAME.fullmatch(name)
    if match is None or match[1] != stored.sha256[:12]:
        msg = f"{str(path)!r}: {name!r} is no name of a model file; {_MEND}"
        raise IntegrityError(msg)
    content = _model_bytes(path / name, stored)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        msg = f"{str(path / name)!r} is not text; {_MEND}"
        raise IntegrityError(msg) from error
    _check_features(text, manifest, path / name)
    return text


def _model_bytes(file: Path, stored: StoredFile) -> bytes:
    try:
        size = file.stat().st_size
        content = file.read_bytes() if size == stored.bytes else b""
    except OSError as error:
        msg = f"{str(file)!r}: the model file is missing or unreadable ({error.strerror}); {_MEND}"
        raise UnreadableSourceError(msg) from error
    if size != stored.bytes:
        msg = f"{str(file)!r} has {size} bytes, the manifest says {stored.bytes}; {_MEND}"
        raise IntegrityError(msg)
    if hashlib.sha256(content).hexdigest() != stored.sha256:
        msg = f"{str(file)!r} does not match its SHA-256: it was changed or damaged; {_MEND}"
        raise IntegrityError(msg)
    return content


def _check_features(text: str, manifest: Manifest, file: Path) -> None:
    """Raise unless the model was trained on the manifest's features in the manifest's order."""
    found = re.search(r"^feature_names=(.*)$", text, flags=re.MULTILINE)
    names = found[1].split(" ") if found else []
    if not text.startswith("tree\n") or names != neutral_names(manifest.features):
        msg = f"{str(file)!r} and the manifest disagree about the features or their order; {_MEND}"
        raise IntegrityError(msg)
    if not set(manifest.categories) <= set(manifest.features):
        msg = f"{str(file)!r}: the manifest has categories of features it does not list; {_MEND}"
        raise IntegrityError(msg)
