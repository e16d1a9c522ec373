"""Where a store keeps its state: a file or a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from .transaction import Transaction


class CurrentWeights(NamedTuple):
    """The weights that every process is to serve.

    Attributes
    ----------
    snapshot_id : str
        Empty where the log is learnt and nothing is known.
    generation : int
        Of the log position that they were learnt up to.
    text : str
    """

    snapshot_id: str
    generation: int
    text: str


class Backend(ABC):
    """Keeps the states of a `Store`, which documents what they do.

    Attributes
    ----------
    url : str
        As messages may show it.
    """

    url: str

    @abstractmethod
    def transaction(self, *, write: bool) -> AbstractContextManager[Transaction]:
        """Return a transaction; errors of the backend leave it as `StoreError`."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections; the next call opens them again."""

    @abstractmethod
    def clear(self, *, keep_resets: bool) -> None:
        """Remove the state and its snapshots, or all but the resets and the snapshots."""

    @abstractmethod
    def put_snapshot(self, snapshot_id: str, text: str, note: str, dropped: Sequence[str]) -> None:
        """Keep a snapshot as the newest, and what is noted of it; remove some others."""

    @abstractmethod
    def snapshot_notes(self) -> dict[str, str]:
        """Return what is noted of every snapshot by its name, the newest first; "" is nothing."""

    def put_current(self, current: CurrentWeights) -> None:
        """Keep what every process is to serve now, and let the others know.

        Nothing is kept where processes do not share a server: each serves what it computes.
        """
        del current

    def current(self, known: str | None) -> CurrentWeights | None:
        """Return what every process is to serve now, None where there is nothing.

        Without its text where its name is `known`.
        """
        del known
        return None

    @abstractmethod
    def served_queries(self) -> dict[int, bytes]:
        """Return the sums by query that were published last."""

    @abstractmethod
    def put_served_queries(self, rows: Mapping[int, bytes | None]) -> None:
        """Replace some of these sums; None removes one."""

    @abstractmethod
    def get_snapshot(self, snapshot_id: str | None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
