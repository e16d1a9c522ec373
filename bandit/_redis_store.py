"""Fusion state on a Redis server that several machines write."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..errors import InvalidInputError, StoreError
from . import _redis_scripts as scripts
from ._redis_transaction import Known, RedisTransaction
from ._store_wire import OFFSETS
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._store_transaction import Transaction

_KEPT_SNAPSHOTS: Final = 20
_USER: Final = OFFSETS["user"]


class RedisStore(Store):
    """A store on a server, under keys that begin with ``rankloom:{namespace:retriever}:``.

    Writers do not lock: each sends what it read with what it wants written, and the server does
    all of it in one step if nothing of that has changed, nothing otherwise. An open unit takes
    some 200 bytes of the server's memory, and 24 more for every channel's score; a user with
    closed sums 250 (5 channels). The server must be set to evict nothing
    (``maxmemory-policy noeviction``), and to keep on disk what shall outlive it.
    """

    def __init__(
        self, url: str, namespace: str, retriever_id: str, *, address: str, timeout: float
    ) -> None:
        super().__init__(url, namespace, retriever_id)
        name = f"{quote(namespace, safe='')}:{quote(retriever_id, safe='')}"
        self._prefix = f"rankloom:{{{name}}}:".encode()
        self._client: Any = _client(url, address, timeout)
        self._known = Known()

    def close(self) -> None:
        """Close the connections; the next call opens one again."""
        self._client.close()

    def clear(self, *, keep_wishes: bool = False) -> None:
        """Forget everything under this namespace and retriever, snapshots too.

        Parameters
        ----------
        keep_wishes : bool
            Keep what users wished (`opt_out`, `reset_user`) and the newest snapshot, for the state
            to be learnt again: who serves from the store goes on by that snapshot meanwhile.
        """
        with self._told():
            units = self._client.hscan_iter(self._prefix + b"units", count=1_000)
            users = {value[_USER : _USER + 8] for _, value in units}
            parts = ["head", "units", "users", "changes"]
            keys = [self._prefix + part.encode() for part in parts]
            keys += [self._prefix + b"user:" + user for user in users]
            self._client.register_script(scripts.CLEAR)([self._prefix, *keys], [int(keep_wishes)])

    def put_snapshot(self, snapshot_id: str, text: str) -> None:
        """Keep a snapshot of weights, as the newest one; the newest 20 are kept."""
        with self._told():
            put = self._client.register_script(scripts.PUT_SNAPSHOT)
            put([self._prefix], [snapshot_id, text, _KEPT_SNAPSHOTS])

    def get_snapshot(self, snapshot_id: str | None = None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
        with self._told():
            name: Any = snapshot_id
            if snapshot_id is None:
                name = self._client.lindex(self._prefix + b"snapshot_ids", 0)
            text = None if name is None else self._client.hget(self._prefix + b"snapshots", name)
        return None if text is None else str(text, "utf-8")

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        del write
        with self._told():
            yield RedisTransaction(self._client, self._prefix, self._known)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the client's errors into ours."""
        from redis.exceptions import RedisError

        try:
            yield
        except RedisError as error:
            msg = (
                f"{self.url}: the store cannot be reached or refused to work ({error}). A batch "
                "is written whole or not at all; send it again"
            )
            raise StoreError(msg) from error


def _client(url: str, address: str, timeout: float) -> Any:
    try:
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError as error:
        msg = f"{url}: redis-py is not installed; pip install 'rankloom[redis]'"
        raise StoreError(msg) from error
    try:
        return redis.Redis.from_url(
            address,
            socket_timeout=timeout,
            socket_connect_timeout=min(timeout, 5.0),
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 3),
            health_check_interval=30,
        )
    except ValueError as error:
        msg = f"url: {error}, got {url!r}"
        raise InvalidInputError(msg) from error
