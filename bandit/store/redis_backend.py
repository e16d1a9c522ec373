"""Fusion state on a Redis server that several machines write."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ...errors import StoreError
from . import redis_scripts as scripts
from .backend import Backend
from .redis_transaction import RedisTransaction, SettingsCache
from .serialization import OFFSETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .redis_address import RedisAddress
    from .transaction import Transaction

_CLUSTER: Final = (
    "this is a node of a Redis Cluster, and its other nodes hold a part of the keys; give the URL "
    "of a server that is no part of a cluster"
)
_USER: Final = OFFSETS["user"]
_MAX_FIELDS: Final = 1_000
"""Fields of one command, so that none holds the server up for long."""


class RedisBackend(Backend):
    """Keeps states on a server, under keys that begin with ``rankloom:{namespace:retriever}:``.

    Writers do not lock: each sends what it read with what it wants written, and the server does
    all of it in one step if nothing of that has changed, nothing otherwise. An open unit takes
    some 200 bytes of the server's memory, and 24 more for every channel's score; a user with
    closed sums 250 (5 channels). The server must be set to evict nothing
    (``maxmemory-policy noeviction``), and to keep on disk what shall outlive it.
    """

    def __init__(
        self, address: RedisAddress, namespace: str, retriever_id: str, timeout: float
    ) -> None:
        self.url = address.shown
        # Braces: all keys of a state have one hash slot, as scripts over several keys need it.
        name = f"{quote(namespace, safe='')}:{quote(retriever_id, safe='')}"
        self._prefix = f"rankloom:{{{name}}}:".encode()
        self._client: Any = _client(address, timeout)
        self._settings = SettingsCache()
        self._is_checked = False

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._client.close()

    def clear(self, *, keep_resets: bool) -> None:
        """Remove the state and its snapshots, or all but the resets and the snapshots."""
        with self._translated_errors():
            units = self._client.hscan_iter(self._prefix + b"units", count=1_000)
            users = {value[_USER : _USER + 8] for _, value in units}
            parts = ["head", "units", "users", "queries", "changes"]
            parts += [] if keep_resets else ["served"]
            keys = [self._prefix + part.encode() for part in parts]
            keys += [self._prefix + b"user:" + user for user in users]
            self._client.register_script(scripts.CLEAR)([self._prefix, *keys], [int(keep_resets)])

    def put_snapshot(self, snapshot_id: str, text: str, note: str, dropped: Sequence[str]) -> None:
        """Keep a snapshot as the newest, and what is noted of it; remove some others."""
        with self._translated_errors():
            put = self._client.register_script(scripts.PUT_SNAPSHOT)
            put([self._prefix], [snapshot_id, text, note, *dropped])

    def snapshot_notes(self) -> dict[str, str]:
        """Return what is noted of every snapshot by its name, the newest first; "" is nothing."""
        with self._translated_errors():
            names = self._client.lrange(self._prefix + b"snapshot_ids", 0, -1)
            notes = self._client.hgetall(self._prefix + b"snapshot_notes")
        return {str(name, "utf-8"): str(notes.get(name, b""), "utf-8") for name in names}

    def served_queries(self) -> dict[int, bytes]:
        """Return the sums by query that were published last."""
        with self._translated_errors():
            rows = self._client.hscan_iter(self._prefix + b"served", count=1_000)
            return {int.from_bytes(query, "little"): row for query, row in rows}

    def put_served_queries(self, rows: Mapping[int, bytes | None]) -> None:
        """Replace some of these sums; None removes one."""
        name = self._prefix + b"served"
        raw = {query.to_bytes(8, "little"): row for query, row in rows.items()}
        changed = [(query, row) for query, row in raw.items() if row is not None]
        gone = [query for query, row in raw.items() if row is None]
        with self._translated_errors(), self._client.pipeline(transaction=False) as pipeline:
            for start in range(0, len(changed), _MAX_FIELDS):
                pipeline.hset(name, mapping=dict(changed[start : start + _MAX_FIELDS]))
            for start in range(0, len(gone), _MAX_FIELDS):
                pipeline.hdel(name, *gone[start : start + _MAX_FIELDS])
            pipeline.execute()

    def get_snapshot(self, snapshot_id: str | None) -> str | None:
        """Return a snapshot, the newest one for None; None where there is none."""
        with self._translated_errors():
            name: Any = snapshot_id
            if snapshot_id is None:
                name = self._client.lindex(self._prefix + b"snapshot_ids", 0)
            text = None if name is None else self._client.hget(self._prefix + b"snapshots", name)
        return None if text is None else str(text, "utf-8")

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Transaction]:
        """Return a transaction; errors of the client leave it as `StoreError`."""
        del write
        with self._translated_errors():
            yield RedisTransaction(self._client, self._prefix, self._settings)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise `StoreError` in place of the client's errors."""
        from redis.exceptions import AskError, ClusterError, RedisError

        try:
            if not self._is_checked:
                self._check_server()
            yield
        except (AskError, ClusterError) as error:
            msg = f"{self.url}: {_CLUSTER} ({error})"
            raise StoreError(msg) from error
        except RedisError as error:
            msg = (
                f"{self.url}: the store cannot be reached or refused to work ({error}). A batch "
                "is written whole or not at all; send it again"
            )
            raise StoreError(msg) from error

    def _check_server(self) -> None:
        """Raise where the server holds a part of the keys only, or none."""
        from redis.exceptions import ResponseError

        mode, nodes = None, 1
        # A server may refuse INFO to this user; what it cannot do shows at the first command then.
        with suppress(ResponseError):
            mode = self._client.info("server").get("redis_mode")
            nodes = int(self._client.cluster("info")["cluster_size"]) if mode == "cluster" else 1
        if nodes > 1:
            msg = f"{self.url}: {_CLUSTER}"
            raise StoreError(msg)
        if mode == "sentinel":
            msg = f"{self.url}: this is a Redis Sentinel; give the URL of the server it watches"
            raise StoreError(msg)
        self._is_checked = True


def _client(address: RedisAddress, timeout: float) -> Any:
    try:
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError as error:
        msg = f"{address.shown}: redis-py is not installed; pip install 'rankloom[redis]'"
        raise StoreError(msg) from error
    # A connection that is refused or lost costs no time, so it is tried again; an answer that did
    # not come in time has used the caller's timeout up.
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), 3, (redis.ConnectionError,))
    given = address.settings
    limits = {
        "socket_timeout": min(timeout, given.get("socket_timeout", timeout)),
        "socket_connect_timeout": min(timeout, given.get("socket_connect_timeout", 5.0)),
        "health_check_interval": given.get("health_check_interval", 30),
    }
    return redis.Redis(**{**given, **limits, "retry": retry})
