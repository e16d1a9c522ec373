"""A store by its URL."""

from __future__ import annotations

from typing import Final

from ..._shared.postgres import PostgresAddress, is_postgres
from ...errors import InvalidInputError
from .redis_address import RedisAddress, without_secrets
from .store import Store

_FORMS: Final = (
    "sqlite:///relative.db, sqlite:////absolute/path.db, postgresql://host:port/database, "
    "redis://host:port/db, rediss://host:port/db or unix:///path/of/redis.sock?db=0"
)
_REDIS: Final = frozenset({"redis", "rediss", "unix"})


def public_url(url: str) -> str:
    """Return a store's URL as messages may show it, without user and password.

    Examples
    --------
    >>> public_url("redis://me:secret@host/0")
    'redis://***@host/0'
    """
    if is_postgres(url):
        return PostgresAddress(url).shown
    return RedisAddress.of(url).shown if url.partition("://")[0] in _REDIS else url


def open_store(
    url: str, *, namespace: str = "default", retriever_id: str = "default", timeout: float = 30.0
) -> Store:
    """Open a store by its URL; nothing is written before the first `apply`.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db``, ``sqlite:////absolute/path.db``,
        ``postgresql://user:password@host:port/database?schema=NAME``, ``redis://host:port/db``,
        ``rediss://host:port/db`` (TLS) or ``unix:///path/of/redis.sock?db=0``. PostgreSQL needs
        the extra ``rankloom[postgres]``, Redis ``rankloom[redis]``. No message shows a password.
    namespace, retriever_id : str
        What the state is kept under; states of different names share nothing.
    timeout : float
        Seconds to wait for another writer (SQLite, PostgreSQL) or for the server's next answer
        (Redis); then a call fails with `StoreError`.

    Returns
    -------
    Store

    Raises
    ------
    InvalidInputError
        If the URL has none of these forms or an unknown option, or a name is empty.
    StoreError
        If psycopg or redis-py is missing.

    Examples
    --------
    >>> import tempfile
    >>> from rankloom.bandit import Evidence
    >>> row = {"execution_id": "e", "feature_id": "d", "interaction_type": ["impression"],
    ...        "position": 0, "feature_uri": "text", "timestamp": "2026-01-31T12:00:00Z"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_store(f"sqlite:///{folder}/fusion.db") as store:
    ...         batch = Evidence(["text", "image"])
    ...         _ = batch.update([row])
    ...         store.apply(batch).units_opened, store.apply(batch).units_opened
    ...         store.load().sums().N.tolist()
    (1, 0)
    [[1.0, 0.0]]
    """
    for name, value in (("namespace", namespace), ("retriever_id", retriever_id)):
        if not isinstance(value, str) or not value:
            msg = f"{name}: expected a text that is not empty, got {value!r}"
            raise InvalidInputError(msg)
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not timeout > 0:
        msg = f"timeout: expected seconds above 0, got {timeout!r}"
        raise InvalidInputError(msg)
    scheme, _, rest = str(url).partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest.strip("/"):
        from .sqlite_backend import SqliteBackend

        sqlite = SqliteBackend(url, namespace, retriever_id, path=rest[1:], timeout=timeout)
        return Store(sqlite, namespace, retriever_id)
    if is_postgres(url):
        from .postgres_backend import PostgresBackend

        postgres = PostgresBackend(url, namespace, retriever_id, timeout)
        return Store(postgres, namespace, retriever_id)
    if scheme in _REDIS:
        from .redis_backend import RedisBackend

        address = RedisAddress.of(url)
        return Store(
            RedisBackend(address, namespace, retriever_id, timeout), namespace, retriever_id
        )
    msg = f"url: expected {_FORMS}, got {without_secrets(str(url))!r}"
    raise InvalidInputError(msg)
