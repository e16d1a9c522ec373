"""What all PostgreSQL databases share: URLs, connections, namespaces, migrations, errors."""

from __future__ import annotations

import os
import re
import threading
import weakref
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from ..errors import IntegrityError, InvalidInputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from psycopg import Connection, Cursor

SCHEMES: Final = frozenset({"postgresql", "postgres"})
FORM: Final = "postgresql://user:password@host:port/database"
MAX_CONNECTIONS: Final = 8
_READ_ONLY: Final = b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_STATEMENT_TIMEOUT: Final = b"SELECT set_config('statement_timeout', %s, true)"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SESSION: Final = {
    # A process that is stopped in the middle of a transaction must not hold its locks for ever,
    # nor must a machine that is gone.
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "client_min_messages": "warning",
    # Who waits for a lock reads what its holder has committed, whatever the database's default is.
    "default_transaction_isolation": "read committed",
}


def is_postgres(url: str) -> bool:
    """Return whether a URL names a PostgreSQL database.

    Examples
    --------
    >>> is_postgres("postgresql:///shop"), is_postgres("sqlite:///log.db")
    (True, False)
    """
    return str(url).partition("://")[0] in SCHEMES


class PostgresAddress:
    """Where a database is, and in which of its schemas the tables are.

    Parameters
    ----------
    url : str
        As libpq takes it, and ``schema=NAME`` in the query; ``rankloom`` where none is named.

    Attributes
    ----------
    shown : str
        The URL without user and password.
    conninfo : str
        What psycopg connects by.
    schema : str

    Raises
    ------
    InvalidInputError
        If the URL has another form; the message holds nothing of a password.

    Examples
    --------
    >>> address = PostgresAddress("postgresql://me:secret@host/shop?schema=search")
    >>> address.shown, address.schema
    ('postgresql://***@host/shop?schema=search', 'search')
    """

    def __init__(self, url: str) -> None:
        read = _parts_of(url)
        if read is None:
            msg = (
                f"url: expected {FORM}?schema=NAME. Characters such as @ : / ? # % in a user or "
                "a password must be percent-encoded, as by urllib.parse.quote(password, safe='')"
            )
            raise InvalidInputError(msg)
        parts, given = read
        options = dict(given)
        self.schema = options.pop("schema", "rankloom")
        if not _SCHEMA.fullmatch(self.schema):
            msg = (
                "url: schema: expected up to 63 of a to z, 0 to 9 and _, not beginning with a "
                f"digit, got {self.schema[:100]!r}"
            )
            raise InvalidInputError(msg)
        others = f"?{urlencode(options, quote_via=quote)}" if options else ""  # "+" is no space
        self.conninfo = f"postgresql://{parts.netloc}{parts.path}{others}"
        _, separator, host = parts.netloc.rpartition("@")
        secret = {"password", "sslpassword"}
        shown = [(n, "***" if n in secret else v) for n, v in given]
        query = urlencode(shown, safe="/*", quote_via=quote)
        netloc = f"***@{host}" if separator else host
        self.shown = f"{parts.scheme}://{netloc}{parts.path}{'?' * bool(query)}{query}"


def _parts_of(url: str) -> tuple[SplitResult, list[tuple[str, str]]] | None:
    """Return the parts of a URL and its options; None where it is not one of a server."""
    try:
        parts = urlsplit(url)
        options = parts.query.replace("+", "%2B")  # libpq takes a plus for a plus
        given = parse_qsl(options, keep_blank_values=True, strict_parsing=bool(options))
        valid = parts.scheme in SCHEMES and not parts.fragment and "\0" not in url
        valid &= parts.port is None or parts.port > 0
    except ValueError:
        return None
    # A password whose "/" or "#" is not percent-encoded ends up behind the host's name.
    return (parts, given) if valid and "@" not in parts.path + parts.query else None


class PostgresCursor:
    """A cursor that takes question marks, and text with characters that PostgreSQL cannot hold.

    PostgreSQL stores no character 0, so text goes in with that one, and the escaping character 1,
    escaped; the order of texts stays.
    """

    def __init__(self, cursor: Cursor[Any]) -> None:
        self.cursor = cursor

    @property
    def rowcount(self) -> int:
        """Return how many rows the last statement found or changed."""
        return self.cursor.rowcount

    def within(self, namespace: str | None) -> None:
        """See rows of one namespace only from now on in this transaction; None: of all.

        Of all, only names and settings are seen.
        """
        self.cursor.execute(
            "SELECT set_config('rankloom.namespace', %s, true), "
            "set_config('rankloom.everywhere', %s, true)",
            (escaped(namespace or ""), "" if namespace is not None else "on"),
        )

    def lock(self, *names: str) -> None:
        """Wait for what others do under these names, and keep them from it until the end."""
        self.cursor.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(*names),))

    def execute(self, sql: str, values: Sequence[Any] = ()) -> PostgresCursor:
        """Run a statement with question marks in place of values."""
        if values:
            self.cursor.execute(_translated(sql), [escaped(value) for value in values])
        else:
            self.cursor.execute(sql.encode())
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of many rows."""
        given = [[escaped(value) for value in row] for row in rows]
        if given:
            self.cursor.executemany(_translated(sql), given)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row, None behind the last."""
        row = self.cursor.fetchone()
        return None if row is None else _restored(row)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return [_restored(row) for row in self.cursor.fetchall()]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return map(_restored, self.cursor)

    @contextmanager
    def few_at_once(self, sql: str, values: Sequence[Any]) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Lend the rows of a query without holding more than some of them in memory."""
        with self.cursor.connection.cursor(name="rows") as cursor:
            cursor.itersize = 50
            cursor.execute(_translated(sql), [escaped(value) for value in values])
            yield map(_restored, cursor)


class PostgresServer:
    """The connections of one process to one schema; after a fork the child opens its own.

    Parameters
    ----------
    url : str
    timeout : float
        Seconds to wait for a connection, and for the locks of others.
    prepare : callable
        Gets a cursor before the first use, to make or migrate tables.
    """

    def __init__(
        self, url: str, timeout: float, prepare: Callable[[PostgresCursor, str], object]
    ) -> None:
        self._address, self._timeout = PostgresAddress(url), timeout
        self.url, self.schema = self._address.shown, self._address.schema
        self._prepare = prepare
        self._lock = threading.Lock()
        self._pool: Any = None
        self._owner = 0
        self._inherited: list[Any] = []

    def connect(self) -> Connection[Any]:
        """Return a connection of one's own, which commits every statement by itself."""
        psycopg = _psycopg()
        with self.errors():
            self._ready()
            made = psycopg.connect(self._address.conninfo, **self._options())
            connection: Connection[Any] = made
            self._configure(connection)
            return connection

    @contextmanager
    def transaction(
        self, namespace: str | None, *, write: bool, seconds: float | None = None
    ) -> Iterator[PostgresCursor]:
        """Lend a cursor in a transaction that sees one namespace, undone by any error.

        Without `write` it sees one moment only, and changes nothing. `seconds`: raises
        `TimeoutError` where a statement takes longer.
        """
        psycopg = _psycopg()
        with self.errors(), ExitStack() as stack:
            cursor = self._begun(stack, namespace, write=write, seconds=seconds)
            connection = cursor.cursor.connection
            try:
                yield cursor
                connection.execute("COMMIT")
            except BaseException as error:
                if not connection.closed:
                    connection.execute("ROLLBACK")
                if seconds is not None and isinstance(error, psycopg.errors.QueryCanceled):
                    raise TimeoutError(*error.args) from None
                raise

    def _begun(
        self, stack: ExitStack, namespace: str | None, *, write: bool, seconds: float | None
    ) -> PostgresCursor:
        """Return a cursor in a new transaction; a connection that has ended meanwhile is replaced.

        The statements go to the server together, for the way there and back takes longer than each.
        """
        psycopg = _psycopg()
        for _ in range(MAX_CONNECTIONS):
            with ExitStack() as borrowed:
                connection = borrowed.enter_context(self._ready().connection())
                cursor = borrowed.enter_context(connection.cursor())
                adapter = PostgresCursor(cursor)
                with suppress(psycopg.OperationalError), connection.pipeline():
                    cursor.execute(b"BEGIN" if write else _READ_ONLY)
                    adapter.within(namespace)
                    if seconds is not None:
                        cursor.execute(_STATEMENT_TIMEOUT, (str(max(round(1_000 * seconds), 1)),))
                if not connection.closed:
                    stack.push(borrowed.pop_all())
                    return adapter
        msg = "the server ends every connection"
        raise psycopg.OperationalError(msg)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
            if pool is not None and self._owner == os.getpid():
                pool.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise `IntegrityError` or `StoreError` in place of psycopg's errors."""
        psycopg = _psycopg()
        try:
            yield
        except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
            msg = f"{self.url}: {_line(error)}. The database is damaged: restore a copy of it"
            raise IntegrityError(msg) from error
        except psycopg.errors.LockNotAvailable as error:
            msg = f"{self.url}: others hold a lock for more than {self._timeout:g} s; try again"
            raise StoreError(msg) from error
        except psycopg.Error as error:
            msg = (
                f"{self.url}: the database cannot be reached or refused to work ({_line(error)}). "
                "What was being written is there as a whole or not at all; send it again"
            )
            raise StoreError(msg) from error

    def make_ready(self) -> None:
        """Open the pool of connections, after the tables are made or found."""
        with self.errors():
            self._ready()

    def _ready(self) -> Any:
        """Return the pool of this process, after the tables are made or found."""
        with self._lock:
            if self._pool is not None and self._owner == os.getpid():
                return self._pool
            if self._pool is not None:
                self._inherited.append(self._pool)  # its connections and threads are the parent's
            from psycopg_pool import ConnectionPool

            psycopg = _psycopg()
            with psycopg.connect(self._address.conninfo, **self._options()) as connection:
                self._configure(connection)
                self._make_ready(connection)
            pool: Any = ConnectionPool(
                self._address.conninfo,
                kwargs=self._options(),
                min_size=0,
                max_size=MAX_CONNECTIONS,
                num_workers=1,
                timeout=self._timeout,
                configure=self._configure,
                open=True,
            )
            self._pool, self._owner = pool, os.getpid()
            weakref.finalize(self, _close_pool, self._owner, pool)
            return pool

    def _make_ready(self, connection: Connection[Any]) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            found = cursor.execute("SELECT to_regnamespace(%s) IS NULL", (self.schema,)).fetchone()
            adapter = PostgresCursor(cursor)
            adapter.lock("tables", self.schema)
            if found is not None and found[0]:
                cursor.execute(f'CREATE SCHEMA IF NOT EXISTS "{self.schema}"'.encode())
            adapter.within(None)
            self._prepare(adapter, self.url)

    def _options(self) -> dict[str, Any]:
        seconds = max(round(min(self._timeout, 10.0)), 2)
        name = f"rankloom-{os.getpid()}"  # whose connections they are, and who holds which locks
        return {"autocommit": True, "connect_timeout": seconds, "application_name": name}

    def _configure(self, connection: Connection[Any]) -> None:
        milliseconds = str(max(round(1_000 * self._timeout), 1))
        settings = {**_SESSION, "search_path": self.schema, "lock_timeout": milliseconds}
        wanted = ", ".join("set_config(%s, %s, false)" for _ in settings)
        pairs = [text for pair in settings.items() for text in pair]
        connection.execute(f"SELECT {wanted}".encode(), pairs)


def shared_server(
    url: str, timeout: float, prepare: Callable[[PostgresCursor, str], object]
) -> PostgresServer:
    """Return the server of a URL that others of this process hold, else a new one."""
    with _sharing:
        key = (url, timeout, prepare)
        server = _shared.get(key)
        if server is None:
            server = _shared[key] = PostgresServer(url, timeout, prepare)
        return server


_sharing = threading.Lock()
_shared: weakref.WeakValueDictionary[Any, PostgresServer] = weakref.WeakValueDictionary()


def migrate(cursor: PostgresCursor, table: str, steps: Sequence[Sequence[str]], url: str) -> None:
    """Bring tables to the newest version, all of them or, where a step fails, none.

    Version n is what the first n steps make. The caller holds a lock and a transaction.

    `table`: holds keys and values, ``version`` among them; the first step makes it.

    Raises StoreError if a newer rankloom has made the tables.
    """
    found = cursor.execute("SELECT to_regclass(?) IS NOT NULL", (table,)).fetchone()
    version = 0
    if found is not None and found[0]:
        row = cursor.execute(f"SELECT value FROM {table} WHERE key = 'version'").fetchone()  # noqa: S608
        version = 0 if row is None else int(row[0])
    if version > len(steps):
        msg = (
            f"{url}: the tables have the version {version}, this rankloom knows those up to "
            f"{len(steps)}; use the rankloom that made them, or a newer one"
        )
        raise StoreError(msg)
    if version == len(steps):
        return
    for step in steps[version:]:
        for statement in step:
            cursor.execute(statement)
    cursor.execute(
        f"INSERT INTO {table} VALUES ('version', ?) ON CONFLICT (key) DO UPDATE "  # noqa: S608
        "SET value = excluded.value",
        (str(len(steps)),),
    )


def own_rows_only(table: str, condition: str) -> tuple[str, ...]:
    """Return the statements after which a table shows the rows of a condition only.

    The owner, who reads and writes the table, is bound by it too; superusers are not.
    """
    return (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY own_rows ON {table} USING ({condition})",
    )


OWN_NAME: Final = "current_setting('rankloom.namespace', true)"
"""SQL: the namespace of the transaction."""

EVERYWHERE: Final = "current_setting('rankloom.everywhere', true) = 'on'"
"""SQL: whether the transaction sees the names of all namespaces."""


def lock_number(*names: str) -> int:
    """Return the number of an advisory lock, the same in every process."""
    digest = blake2b("\0".join(("rankloom", *names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def escaped(value: Any) -> Any:
    """Return a value as PostgreSQL can hold it; anything but text as it is.

    Examples
    --------
    >>> escaped("a" + chr(0)) == "a" + 2 * chr(1), escaped("plain"), escaped(5)
    (True, 'plain', 5)
    """
    if isinstance(value, str) and ("\0" in value or "\1" in value):
        return value.replace("\1", "\1\2").replace("\0", "\1\1")
    return value


def unescaped(text: str) -> str:
    """Return the text that `escaped` was given.

    Examples
    --------
    >>> text = "".join(map(chr, (0, 1, 0, 2, 1, 1, 97)))
    >>> unescaped(escaped(text)) == text
    True
    """
    return re.sub("\1([\1\2])", lambda found: "\0" if found[1] == "\1" else "\1", text)


def _restored(row: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in row:
        if value.__class__ is str and "\1" in value:
            return tuple([unescaped(v) if isinstance(v, str) else v for v in row])
    return row


@lru_cache(maxsize=1_024)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _close_pool(process: int, pool: Any) -> None:
    if process == os.getpid():
        pool.close()


def _psycopg() -> Any:
    try:
        import psycopg
        import psycopg_pool  # noqa: F401
    except ImportError as error:
        msg = f"{error.name} is not installed: pip install 'rankloom[postgres]'"
        raise StoreError(msg) from error
    return psycopg
