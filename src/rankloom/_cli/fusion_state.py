"""The state of learned fusion behind a command: its options, and the bandit over it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..bandit import FusionBandit

State = Annotated[
    str,
    typer.Option(
        "--state",
        metavar="URL",
        help="Where evidence is kept: sqlite:///file.db, sqlite:////absolute/path.db or "
        "redis://host:port/db.",
        show_default=False,
    ),
]
Retriever = Annotated[
    str,
    typer.Option(
        "--retriever", metavar="ID", help="Whose weights; rows that name another are left out."
    ),
]
Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NAME", help="Keeps states of one store apart.")
]

DEFAULT = "default"


def open_state(url: str, retriever: str, namespace: str) -> FusionBandit:
    """Return a bandit over stored evidence, with the settings that it was learnt with.

    Raises
    ------
    InvalidInputError
        If nothing is stored there.
    """
    from ..bandit import FusionBandit

    settings = stored_settings(url, retriever, namespace)
    if settings is None:
        msg = (
            f"--state: nothing is learnt in {url} for retriever {retriever!r} of namespace "
            f"{namespace!r}; `rankloom learn-fusion` does that"
        )
        raise InvalidInputError(msg)
    return FusionBandit.open(url, namespace=namespace, retriever_id=retriever, **settings)


def stored_settings(url: str, retriever: str, namespace: str) -> dict[str, Any] | None:
    """Return channels and settings of what is stored, None where there is nothing."""
    from ..bandit._settings_of import settings_of
    from ..bandit.store import open_store

    refuse_missing_file(url)
    with open_store(url, namespace=namespace, retriever_id=retriever) as store:
        evidence = store.fresh()
    if evidence is None:
        return None
    settings = settings_of(evidence.identity)
    del settings["retriever_id"]
    return {"feature_uris": evidence.arms, **settings}


def refuse_missing_file(url: str) -> None:
    """Refuse a SQLite file in a folder that does not exist, before anything is read."""
    from pathlib import Path

    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and not Path(path).parent.is_dir():
        msg = f"--state: no folder {str(Path(path).parent)!r} to keep {path!r} in"
        raise InvalidInputError(msg)


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep what a command reports itself from being logged on stderr, too."""
    logger = logging.getLogger("rankloom")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def by_weight(weights: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return rows of a table, the highest weight first."""
    ordered = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(uri, f"{weight:.3f}") for uri, weight in ordered]
