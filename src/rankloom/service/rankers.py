"""Trained rankers as the service loads them, and loads them anew when their folders change."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ltr.ranker import Ranker

LOOK_SECONDS: Final = 2.0
"""Seconds between two looks at the folders."""

logger = logging.getLogger("rankloom.service")


class Rankers:
    """Rankers by name; a thread replaces each when the manifest in its folder is another.

    A folder in which a hash of the manifest does not hold, or a file is missing, is still being
    written: the ranker before it stays until the folder is whole. Requests that have begun keep
    the ranker that they began with.

    Parameters
    ----------
    folders : mapping of str to path
    every : float
        Seconds between two looks.

    Raises
    ------
    UnreadableSourceError
        If there is no such folder, or no model in it.
    IntegrityError
        If anything in it is damaged.
    """

    def __init__(self, folders: Mapping[str, str | Path], *, every: float = LOOK_SECONDS) -> None:
        self._folders, self._every = {name: Path(each) for name, each in folders.items()}, every
        # Looked at before it is read: what changes meanwhile is seen by the next look.
        self._stamps = {name: _stamp(each) for name, each in self._folders.items()}
        self._rankers = {name: load_ranker(each) for name, each in self._folders.items()}
        self._failed: dict[str, str] = {}
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rankloom-rankers", daemon=True)
        if folders:
            self._thread.start()

    def get(self, name: str) -> Ranker | None:
        """Return the ranker of a name, None if there is none."""
        return self._rankers.get(name)

    def reload(self) -> None:
        """Load all of them again soon; may be called from a signal's handler."""
        self._wake.set()

    def stop(self) -> None:
        """Look at the folders no more."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            is_requested = self._wake.wait(self._every)
            if self._stopping.is_set():
                return
            self._wake.clear()
            for name, folder in self._folders.items():
                stamp = _stamp(folder)
                if is_requested or stamp != self._stamps[name]:
                    self._load(name, folder, stamp)

    def _load(self, name: str, folder: Path, stamp: object) -> None:
        try:
            ranker = load_ranker(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may do better
            message = str(error)
            if self._failed.get(name) != message:
                logger.warning("ranker %s: not loaded, the one before stays: %s", name, message)
            self._failed[name] = message
            return
        self._rankers[name], self._stamps[name] = ranker, stamp
        self._failed.pop(name, None)
        logger.info("ranker %s: loaded again", name)


def _stamp(folder: Path) -> object:
    """Return what differs when a manifest was replaced; None where there is none."""
    try:
        status = (folder / "manifest.json").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def load_ranker(folder: str | Path) -> Ranker:
    """Return the ranker of a folder, predicting with one thread.

    Raises
    ------
    UnreadableSourceError
        If there is no such folder, or no model in it.
    IntegrityError
        If anything in it is damaged.
    """
    from ..ltr import Ranker
    from ..ltr.boosting.parameters import main_names

    ranker = Ranker.load(folder)
    others = {name: v for name, v in main_names(ranker.params).items() if name != "num_threads"}
    ranker.set_params(n_jobs=1, params=others or None)
    return ranker
