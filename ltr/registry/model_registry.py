"""A registry: versions of a model in a folder, and a link to the one that is served."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..._shared.atomic_files import TEMPORARY, flush_file, flush_folder, umask
from ..._shared.folder_lock import locked_folder
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import (
    IntegrityError,
    InvalidInputError,
    StoreError,
    UnreadableSourceError,
    did_you_mean,
)
from ..model.files import RECORDS, model_digest, model_files
from ..ranker import Ranker
from .passed_gate import passed_gate
from .version import Version, is_name, next_moment, read_version, version_name, write_version

if TYPE_CHECKING:
    from collections.abc import Iterator

CURRENT: Final = "current"
VERSIONS: Final = "versions"
DEFAULT_KEEP: Final = 5


@dataclass(frozen=True)
class Promotion:
    """What a promotion or a roll-back did.

    Attributes
    ----------
    version : Version
        The current one now.
    previous : str or None
        Name of the version that was current before.
    changed : bool
        False where the model was the current one already.
    removed : tuple of str
        Names of old versions that were removed.
    """

    version: Version
    previous: str | None
    changed: bool = True
    removed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        current = "" if self.changed else ", as before"
        facts = {
            "before": self.previous,
            "passed": self.version.passed_by,
            "removed": ", ".join(self.removed) or None,
        }
        return Summary(f"Current: {self.version.name}{current}", [Table.of_counts(facts)])


class ModelRegistry:
    """A folder with versions of a model, of which the link ``current`` names one.

    A version is a whole copy of a model's folder under ``versions/``. It is written beside the
    others, checked, and renamed; then ``current`` is replaced by one rename. A process that ends at
    any moment leaves the old version current or the new one. ``rankloom serve --ranker
    NAME=REGISTRY/current`` follows the link, and so does `Ranker.load`.

    Parameters
    ----------
    folder : str or Path
        Made with the first promotion. Its file system needs symbolic links.
    keep : int
        Versions that stay after a promotion, at least 2: the latest ones, and in any case the
        current one and the one before it.

    Raises
    ------
    InvalidInputError
        If `keep` is no whole number of at least 2.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    >>> from rankloom.ltr import ModelRegistry, Ranker
    >>> documents = simulate_catalogue(n_queries=20, random_state=0)
    >>> log = simulate_interactions(documents, n_executions=200, random_state=0)
    >>> pairs = load_pairs(log, features=documents.drop("query", "grade"))
    >>> with TemporaryDirectory() as folder:
    ...     Ranker("none", n_estimators=5, n_jobs=1).fit(pairs).save(f"{folder}/model")
    ...     registry = ModelRegistry(f"{folder}/registry")
    ...     done = registry.promote(f"{folder}/model", force="the first model")
    ...     served = Ranker.load(f"{folder}/registry/current")
    >>> done.version.reason, served.best_iteration_
    ('the first model', 5)
    """

    def __init__(self, folder: str | Path, *, keep: int = DEFAULT_KEEP) -> None:
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 2:
            msg = (
                "keep: expected a whole number of at least 2 (the current version and the one to "
                f"roll back to), got {keep!r}"
            )
            raise InvalidInputError(msg)
        self.folder, self.keep = Path(folder), keep

    @property
    def current(self) -> Version | None:
        """The version that is served; None before the first promotion.

        Raises IntegrityError if ``current`` names no version.
        """
        name = self._current_name()
        return None if name is None else read_version(self._path(name))

    def versions(self) -> list[Version]:
        """Return the versions, the latest first.

        Raises
        ------
        UnreadableSourceError
            If there is no registry.
        IntegrityError
            If what a version says of itself is damaged.
        """
        self._check_exists()
        return [read_version(self._path(name)) for name in reversed(self._names())]

    def promote(self, model: str | Path, *, force: str | None = None) -> Promotion:
        """Make a model the current one, if its gate against the current one passed.

        The first model has to have passed against "production". A model that is current already is
        left as it is.

        Parameters
        ----------
        model : str or Path
            Folder that `Ranker.save` wrote, in which `rankloom compare` left its verdict.
        force : str, optional
            Why to promote it without a gate; it is recorded in the version.

        Raises
        ------
        InvalidInputError
            If the gate is missing, is of another model, or did not pass.
        UnreadableSourceError, IntegrityError
            If the model or its verdict is missing or damaged.
        StoreError
            If the registry cannot be written. The current version stays.
        """
        if force is not None and not force.strip():
            msg = "force: expected the reason why the model is promoted without a gate, got none"
            raise InvalidInputError(msg)
        digest = model_digest(model)
        if force is None and not self.folder.exists():
            passed_gate(model, digest, None, self.folder)  # before a registry is made
        with self._written():
            previous = self._current_name()
            current = self._known_current(forced=force is not None)
            if current is not None and current.digest == digest:
                return Promotion(current, previous, changed=False)
            gate = None if force is not None else passed_gate(model, digest, current, self.folder)
            moment = next_moment(self._names())
            version = Version(
                name=version_name(moment, digest),
                digest=digest,
                promoted=moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
                previous=previous,
                gate=gate,
                reason=force,
            )
            self._copy(Path(model), version)
            self._point_to(version.name)
            return Promotion(version, previous, removed=self._removed_old(version))

    def rollback(self, to: str | None = None) -> Promotion:
        """Make an older version the current one again.

        Parameters
        ----------
        to : str, optional
            Name of a version, or its beginning or end where only one has it. None: the version
            that was current before the current one was promoted.

        Raises
        ------
        InvalidInputError
            If there is no such version, or none before the current one.
        UnreadableSourceError, IntegrityError
            If there is no registry, or the version is damaged.
        StoreError
            If the registry cannot be written. The current version stays.
        """
        self._check_exists()
        with self._written():
            previous = self._current_name()
            name = self._before(self.current) if to is None else self._named(to)
            version = self._checked(name)
            if previous == name:
                return Promotion(version, previous, changed=False)
            self._point_to(name)
            return Promotion(version, previous)

    def __repr__(self) -> str:
        return f"ModelRegistry({str(self.folder)!r}, keep={self.keep})"

    # Reading

    def _path(self, name: str) -> Path:
        return self.folder / VERSIONS / name

    def _names(self) -> list[str]:
        """Return the names of all versions, the oldest first."""
        folder = self.folder / VERSIONS
        return (
            sorted(e.name for e in folder.iterdir() if is_name(e.name)) if folder.is_dir() else []
        )

    def _current_name(self) -> str | None:
        link = self.folder / CURRENT
        if not link.is_symlink():
            if link.exists():
                msg = f"{str(link)!r} is no link, so this is no registry; give another folder"
                raise IntegrityError(msg)
            return None
        target = link.readlink()
        if target.parent != Path(VERSIONS) or not is_name(target.name):
            msg = f"{str(link)!r} leads to {str(target)!r}, which is no version of this registry"
            raise IntegrityError(msg)
        return target.name

    def _known_current(self, *, forced: bool) -> Version | None:
        """Return the current version; of a damaged one nothing is known, which `forced` allows."""
        try:
            return self.current
        except IntegrityError:
            if not forced:
                raise
            return None

    def _check_exists(self) -> None:
        if not (self.folder / VERSIONS).is_dir():
            msg = (
                f"{str(self.folder)!r} is no registry: it has no folder {VERSIONS!r}; give the "
                "folder that models were promoted to"
            )
            raise UnreadableSourceError(msg)

    def _before(self, current: Version | None) -> str:
        if current is None or current.previous is None:
            msg = "there is no version before the current one to roll back to"
        elif current.previous not in self._names():
            msg = f"the version before the current one, {current.previous}, is not there any more"
        else:
            return current.previous
        msg = f"{msg}; name one with --to ({', '.join(self._names())})"
        raise InvalidInputError(msg)

    def _named(self, text: str) -> str:
        names = self._names()
        found = [name for name in names if name.startswith(text) or name.endswith(text)]
        if len(found) != 1 or not text:
            problem = "no version is" if not found else f"{len(found)} versions are"
            hint = did_you_mean(text, names)
            msg = f"to: {problem} named {text!r}.{hint} There are {', '.join(names)}"
            raise InvalidInputError(msg)
        return found[0]

    def _checked(self, name: str) -> Version:
        """Return a version after loading its model, which reads every file of it."""
        version = read_version(self._path(name))
        Ranker.load(self._path(name))
        if model_digest(self._path(name)) != version.digest:
            msg = f"version {name}: its model is another one than was promoted; promote it again"
            raise IntegrityError(msg)
        return version

    # Writing

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Hold the registry's lock, and translate what the disk refuses."""
        try:
            (self.folder / VERSIONS).mkdir(parents=True, exist_ok=True)
            with locked_folder(self.folder, exclusive=True):
                self._remove_unfinished()
                yield
        except UnreadableSourceError:  # an OSError, too, but of what is read
            raise
        except OSError as error:
            msg = (
                f"cannot write the registry {str(self.folder)!r}: {error}; the current version "
                "is unchanged"
            )
            raise StoreError(msg) from error

    def _remove_unfinished(self) -> None:
        """Remove what a killed promotion left behind."""
        for folder in (self.folder, self.folder / VERSIONS):
            for entry in folder.iterdir():
                if entry.name.startswith(TEMPORARY):
                    _remove(entry)

    def _copy(self, model: Path, version: Version) -> None:
        """Write a version whole: it gets its name when everything in it was read back."""
        folder = self.folder / VERSIONS
        unfinished = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder))
        try:
            _copy_files(model, unfinished)
            _check_copy(unfinished, version.digest, model)
            write_version(unfinished, version)
            unfinished.chmod(0o777 & ~umask())
            unfinished.rename(folder / version.name)
        except BaseException:
            _remove(unfinished)
            raise
        flush_folder(folder)

    def _point_to(self, name: str) -> None:
        """Replace the link by one rename: readers see the old version or the new one."""
        link = self.folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        link.symlink_to(Path(VERSIONS) / name, target_is_directory=True)
        link.replace(self.folder / CURRENT)
        flush_folder(self.folder)

    def _removed_old(self, current: Version) -> tuple[str, ...]:
        """Remove the oldest versions beyond `keep`; return their names."""
        used = {current.name, current.previous}
        old = [name for name in self._names()[: -self.keep] if name not in used]
        for name in old:
            # Renamed first: a version of which files are missing has no name of a version.
            unfinished = self.folder / VERSIONS / f"{TEMPORARY}{name}"
            self._path(name).rename(unfinished)
            _remove(unfinished)
        return tuple(old)


def _copy_files(model: Path, target: Path) -> None:
    model = model.resolve()
    with locked_folder(model, exclusive=False):
        records = {file.name for pattern in RECORDS for file in model.glob(pattern)}
        for name in [*sorted(records), *model_files(model)]:
            try:
                shutil.copyfile(model / name, target / name)
            except FileNotFoundError as error:
                msg = f"{str(model / name)!r} is missing; train and save the model again"
                raise UnreadableSourceError(msg) from error
            flush_file(target / name)
    flush_folder(target)


def _check_copy(copy: Path, digest: str, model: Path) -> None:
    """Read every file of a copy, so that a damaged model does not become a version."""
    Ranker.load(copy)
    if model_digest(copy) != digest:
        msg = f"{str(model)!r} was saved anew meanwhile; compare and promote it again"
        raise IntegrityError(msg)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
