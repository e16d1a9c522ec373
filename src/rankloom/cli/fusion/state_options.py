"""The stored state of learned fusion: its options, and the bandit that a command opens over it."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from ...errors import InvalidInputError
from ..options import option
from ..output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...bandit import FusionBandit

State = Annotated[
    str,
    option(
        "--state",
        "URL",
        "Where evidence is stored: sqlite:///file.db, sqlite:////absolute/path.db, "
        "postgresql://user@host/database or redis://host:port/db.",
    ),
]
Retriever = Annotated[
    str,
    option(
        "--retriever",
        "ID",
        "Retriever of the weights; rows of other retrievers are left out.",
        show_default=True,
    ),
]
Namespace = Annotated[
    str,
    option(
        "--namespace",
        "NAME",
        "Namespace of the state, and of a log to read.",
        show_default=True,
    ),
]

DEFAULT = "default"


def open_state(url: str, retriever: str, namespace: str) -> FusionBandit:
    """Return a bandit over stored evidence, with the settings that it was learnt with.

    Raises InvalidInputError if nothing is stored there.
    """
    from ...bandit import FusionBandit
    from ...bandit.store.opening import public_url

    settings = stored_settings(url, retriever, namespace)
    if settings is None:
        msg = (
            f"--state: {public_url(url)} holds no evidence for retriever {retriever!r} of "
            f"namespace {namespace!r}; add some with `rankloom learn-fusion`"
        )
        raise InvalidInputError(msg)
    return FusionBandit.open(url, namespace=namespace, retriever_id=retriever, **settings)


def stored_settings(url: str, retriever: str, namespace: str) -> dict[str, Any] | None:
    """Return channels and settings of the stored evidence, None if there is none."""
    from ...bandit.store.opening import open_store

    refuse_missing_file(url)
    with open_store(url, namespace=namespace, retriever_id=retriever) as store:
        evidence = store.fresh()
    if evidence is None:
        return None
    settings = evidence.identity.settings()
    del settings["retriever_id"]
    return {"feature_uris": evidence.arms, **settings}


def refuse_missing_file(url: str) -> None:
    """Refuse a SQLite file in a folder that does not exist, before anything is read."""
    from pathlib import Path

    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and not Path(path).parent.is_dir():
        msg = f"--state: the folder of {path!r} does not exist; create it first"
        raise InvalidInputError(msg)


@contextmanager
def unlogged() -> Iterator[None]:
    """Do not log on stderr what the command itself reports."""
    logger = logging.getLogger("rankloom")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Say on stderr, as notes, what the library warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"note: {message}")


def by_weight(weights: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return rows of a table, the highest weight first."""
    ordered = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(uri, f"{weight:.3f}") for uri, weight in ordered]
