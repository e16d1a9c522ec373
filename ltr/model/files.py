"""A saved ranker on disk: a folder that is complete at every moment, and checked when read.

The folder holds ``model-<sha12>.txt`` (LightGBM's text), ``manifest.json`` and, if the ranker has a
memory of queries, ``memory-<sha12>.bin``; beside them may lie `RECORDS` of this model. Nothing in
it is a pickle. A rename is atomic for a file but not for a folder, so the model is named by its
content and the manifest, which names it, is replaced last: a crash leaves the old version or the
new one.

The hashes find damage, not tampering: load models only from writers that you trust.
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..._shared.atomic_files import TEMPORARY, flush_folder, mapped, write_whole
from ..._shared.digests import damaged, sha256_hex
from ..._shared.folder_lock import locked_folder
from ...errors import IntegrityError, InvalidInputError, StoreError, UnreadableSourceError
from ..boosting.dataset import neutral_names

if TYPE_CHECKING:
    from collections.abc import Container
    from mmap import mmap

FORMAT = "rankloom-ranker"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"

RECORDS = ("gate-*.json", "evidence.json", "card.md", "card.html")
"""Names of files that say something of the model in the folder: they go when it is replaced."""

_MODEL_NAME = re.compile(r"model-([0-9a-f]{12})\.txt")
_MEMORY_NAME = re.compile(r"memory-([0-9a-f]{12})\.bin")
_MAX_MANIFEST_BYTES = 256 << 20
_FIX = "train and save again, or restore the folder from a copy"


class StoredFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size in bytes and SHA-256 of one file of the folder."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a loaded ranker needs beyond LightGBM's text."""

    features: list[str]  # real names in the model's order
    # Categorical feature -> categories in the order of their codes
    categories: dict[str, list[str]]
    grades: list[int]  # distinct grades that were trained on
    parameters: dict[str, Any]  # the ranker's own parameters, plain values
    debias: dict[str, Any]  # mode, examination curve and where it came from
    # First and last time (UTC, ISO 8601) of the executions; None without times
    training_period: list[str] | None
    training_report: dict[str, Any]  # rows, executions, what was left out, rounds, criterion
    library_versions: dict[str, str]
    files: dict[str, StoredFile] = {}


def write_model(
    folder: str | Path, model_text: str, manifest: Manifest, memory: bytes | None = None
) -> None:
    """Save a model so that a reader never gets half of it, not after a crash either.

    `folder`: made if absent. An older model in it is replaced.
    `model_text`: LightGBM's text.
    `manifest`: its `files` are filled in here.
    `memory`: what `QueryMemory.to_bytes` returns.
    Raises InvalidInputError if the path is a file, or a value of the manifest is no plain value.
    Raises StoreError if the disk refuses.
    """
    path = Path(folder)
    contents = dict([_named("model-{}.txt", model_text.encode())])
    if memory is not None:
        contents |= dict([_named("memory-{}.bin", memory)])
    stored = {name: StoredFile(len(each), sha256_hex(each)) for name, each in contents.items()}
    manifest_text = _manifest_text(msgspec.structs.replace(manifest, files=stored))
    if path.exists() and not path.is_dir():
        msg = f"folder: {str(path)!r} is a file; give the path of a folder"
        raise InvalidInputError(msg)
    try:
        _make_folder(path)
        with locked_folder(path, exclusive=True):
            for name, content in contents.items():
                _replace(path / name, content)
            if _is_another(path / MANIFEST, manifest_text):
                _remove_records(path)
            _replace(path / MANIFEST, manifest_text)
            _remove_leftovers(path, keep=contents)
    except OSError as error:
        msg = f"cannot save the model in {str(path)!r}: {error}; an older version is unchanged"
        raise StoreError(msg) from error


def read_model(folder: str | Path) -> tuple[str, Manifest, mmap | bytes | None]:
    """Return LightGBM's text, the manifest and the memory, mapped, after checking what can be.

    Version, the manifest's own digest, presence, size and SHA-256 of the model, and that model
    and manifest have the same features in the same order. A memory has a digest of its own, which
    `QueryMemory.load_bytes` checks.

    Raises UnreadableSourceError if there is no such folder, or no model in it. Raises
    IntegrityError if anything in it is damaged, of another format, or newer than this version
    reads.
    """
    path = _without_link(folder)
    try:
        return _read_checked(path)
    except (IntegrityError, UnreadableSourceError):
        if not path.is_dir():
            raise
    path = _without_link(folder)
    with locked_folder(path, exclusive=False):  # a save may have come between manifest and model
        return _read_checked(path)


def model_digest(folder: str | Path) -> str:
    """Return the digest of the manifest, which has those of the other files in it.

    It is another one for every model, memory of queries and fit. Only the manifest is read; raises
    as `read_model` does.
    """
    path = _without_link(folder)
    raw = _read(path / MANIFEST, path)
    _parsed(raw, path / MANIFEST)
    return str(json.loads(raw)["digest"])


def model_files(folder: str | Path) -> list[str]:
    """Return the names of the files that the manifest names, and of the manifest, which is last."""
    path = _without_link(folder)
    return [*_parsed(_read(path / MANIFEST, path), path / MANIFEST).files, MANIFEST]


def _without_link(folder: str | Path) -> Path:
    """Return the folder behind a link: it may be pointed elsewhere between two files."""
    path = Path(folder)
    return path.resolve() if path.is_symlink() else path


def _read_checked(path: Path) -> tuple[str, Manifest, mmap | bytes | None]:
    manifest = _parsed(_read(path / MANIFEST, path), path / MANIFEST)
    return _read_text(path, manifest), manifest, _memory(path, manifest)


# Writing


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        flush_folder(path.parent)


def _is_another(file: Path, text: bytes) -> bool:
    """Return whether a manifest is there, of another model than the text is."""
    try:
        return file.read_bytes() != text
    except OSError:
        return file.exists()


def _remove_records(path: Path) -> None:
    for entry in path.iterdir():
        if any(fnmatch(entry.name, pattern) for pattern in RECORDS):
            entry.unlink(missing_ok=True)


def _replace(target: Path, content: bytes) -> None:
    write_whole(target, lambda name: Path(name).write_bytes(content))


def _named(pattern: str, content: bytes) -> tuple[str, bytes]:
    return pattern.format(sha256_hex(content)[:12]), content


def _remove_leftovers(path: Path, keep: Container[str]) -> None:
    """Remove models that no manifest names and what a killed save left behind."""
    for entry in path.iterdir():
        ours = _MODEL_NAME.fullmatch(entry.name) or _MEMORY_NAME.fullmatch(entry.name)
        if (ours and entry.name not in keep) or entry.name.startswith(TEMPORARY):
            entry.unlink(missing_ok=True)


def _manifest_text(manifest: Manifest) -> bytes:
    content = {"format": FORMAT, "format_version": FORMAT_VERSION, **msgspec.to_builtins(manifest)}
    try:
        return _canonical({**content, "digest": sha256_hex(_canonical(content))})
    except (TypeError, ValueError) as error:
        msg = f"the manifest holds a value that JSON cannot hold: {error}"
        raise InvalidInputError(msg) from error


def _canonical(content: dict[str, Any]) -> bytes:
    """One text for one content, so that no byte of a manifest can change unnoticed."""
    text = json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


# Reading


def _read(file: Path, folder: Path) -> bytes:
    try:
        if file.stat().st_size > _MAX_MANIFEST_BYTES and file.name == MANIFEST:
            msg = f"{str(file)!r} is larger than any manifest; {_FIX}"
            raise IntegrityError(msg)
        return file.read_bytes()
    except OSError as error:
        problem = "no model folder" if not folder.is_dir() else f"no readable {file.name}"
        msg = f"{str(folder)!r}: {problem} ({error.strerror}); give a folder that Ranker.save wrote"
        raise UnreadableSourceError(msg) from error


def _parsed(raw: bytes, file: Path) -> Manifest:
    try:
        content = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        msg = f"{str(file)!r} is not a manifest (no JSON: {error}); {_FIX}"
        raise IntegrityError(msg) from error
    _check_version(content, file)
    content.pop("format")
    content.pop("format_version")
    _check_digest(content, raw, file)
    content.pop("digest")
    try:
        return msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        msg = f"{str(file)!r} does not follow format version {FORMAT_VERSION}: {error}; {_FIX}"
        raise IntegrityError(msg) from error


def _check_version(content: Any, file: Path) -> None:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        msg = f"{str(file)!r} is not the manifest of a saved ranker; {_FIX}"
        raise IntegrityError(msg)
    version = content.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        msg = (
            f"{str(file)!r} has format version {version}; this rankloom reads up to "
            f"{FORMAT_VERSION}: upgrade rankloom, or save with the version in use here"
        )
        raise IntegrityError(msg)
    if type(version) is not int or version != FORMAT_VERSION:
        msg = f"{str(file)!r} has no known format version (got {version!r}); {_FIX}"
        raise IntegrityError(msg)


def _check_digest(content: dict[str, Any], raw: bytes, file: Path) -> None:
    whole = {"format": FORMAT, "format_version": FORMAT_VERSION, **content}
    signed = {name: value for name, value in whole.items() if name != "digest"}
    try:
        intact = _canonical(whole) == raw and whole.get("digest") == sha256_hex(_canonical(signed))
    except (TypeError, ValueError, RecursionError):
        intact = False
    if not intact:
        raise damaged(repr(str(file)), _FIX)


def _read_text(path: Path, manifest: Manifest) -> str:
    models = [item for item in manifest.files.items() if not _MEMORY_NAME.fullmatch(item[0])]
    if len(models) != 1 or len(manifest.files) > 2:
        msg = f"{str(path)!r}: the manifest must name one model file; {_FIX}"
        raise IntegrityError(msg)
    name, stored = models[0]
    match = _MODEL_NAME.fullmatch(name)
    if match is None or match[1] != stored.sha256[:12]:
        msg = f"{str(path)!r}: {name!r} is no name of a model file; {_FIX}"
        raise IntegrityError(msg)
    content = _model_bytes(path / name, stored)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        msg = f"{str(path / name)!r} is not text; {_FIX}"
        raise IntegrityError(msg) from error
    _check_features(text, manifest, path / name)
    return text


def _memory(path: Path, manifest: Manifest) -> mmap | bytes | None:
    for name, stored in manifest.files.items():
        if _MEMORY_NAME.fullmatch(name):
            _check_size(path / name, stored)
            return mapped(path / name)
    return None


def _model_bytes(file: Path, stored: StoredFile) -> bytes:
    _check_size(file, stored)
    try:
        content = file.read_bytes()
    except OSError as error:
        msg = f"{str(file)!r}: the model file is missing or unreadable ({error.strerror}); {_FIX}"
        raise UnreadableSourceError(msg) from error
    if sha256_hex(content) != stored.sha256:
        raise damaged(repr(str(file)), _FIX, digest="SHA-256")
    return content


def _check_size(file: Path, stored: StoredFile) -> None:
    """Raise unless a file has the size that the manifest says."""
    try:
        size = file.stat().st_size
    except OSError as error:
        msg = f"{str(file)!r}: the model file is missing or unreadable ({error.strerror}); {_FIX}"
        raise UnreadableSourceError(msg) from error
    if size != stored.bytes:
        msg = f"{str(file)!r} has {size} bytes, the manifest says {stored.bytes}; {_FIX}"
        raise IntegrityError(msg)


def _check_features(text: str, manifest: Manifest, file: Path) -> None:
    """Raise unless the model was trained on the manifest's features in the manifest's order."""
    found = re.search(r"^feature_names=(.*)$", text, flags=re.MULTILINE)
    names = found[1].split(" ") if found else []
    if not text.startswith("tree\n") or names != neutral_names(manifest.features):
        msg = f"{str(file)!r} and the manifest disagree about the features or their order; {_FIX}"
        raise IntegrityError(msg)
    if not set(manifest.categories) <= set(manifest.features):
        msg = f"{str(file)!r}: the manifest has categories of features it does not list; {_FIX}"
        raise IntegrityError(msg)
