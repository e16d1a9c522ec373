"""Where a store keeps its state: a file or a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from .transaction import Transaction

KEPT_SNAPSHOTS: Final = 20
"""Snapshots of weights that stay; older ones go."""


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
        """Remove the state and its snapshots, or all but the resets and the newest snapshot."""

    @abstractmethod
    def put_snapshot(self, snapshot_id: str, text: str) -> None:
        """Keep a snapshot as the newest of `KEPT_SNAPSHOTS`."""

    @abstractmethod
    def served_queries(self) -> dict[int, bytes]:
        """Return the sums by query that were published last."""

    @abstractmethod
    def put_served_queries(self, rows: Mapping[int, bytes | None]) -> None:
        """Replace some of these sums; None removes one."""

    @abstractmethod
    def get_snapshot(self, snapshot_id: str | None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
