"""Stores that are damaged, full, locked or gone: a clear error, and nothing half-written."""

import importlib.util
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from rankloom.bandit.store.opening import open_store
from rankloom.bandit.store.redis_transaction import RedisTransaction
from rankloom.bandit.store.sql_transaction import SqlTransaction
from rankloom.errors import IntegrityError, StoreError

spec = importlib.util.spec_from_file_location(
    "store_writer", Path(__file__).with_name("store_writer.py")
)
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)

COLUMNS = [writer.events(seed, 400) for seed in range(3)]
LINE = writer.START + 2_500 * writer.STEP


def learnt(*batches):
    evidence = writer.make_evidence()
    for batch in batches:
        evidence.update(batch)
    return evidence


def rows_of(evidence):
    return sorted(evidence.unit_rows())


def filled(url, namespace, **options):
    """Return a store with open units, closed sums, users and resets."""
    store = open_store(url, namespace=namespace, **options)
    store.apply(learnt(COLUMNS[0]))
    store.compact(LINE)
    store.opt_out("u1", at=LINE)
    return store


def flip(data):
    damaged = bytearray(data)
    damaged[len(damaged) // 2] ^= 1
    return bytes(damaged)


@pytest.fixture
def sqlite_store(tmp_path, namespace):
    with filled(f"sqlite:///{tmp_path}/fusion.db", namespace, timeout=0.2) as store:
        yield store


@pytest.fixture
def redis_store(redis_server, namespace):
    with filled(redis_server.url, namespace) as store:
        yield store


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("fusion_units", "value"), ("fusion_states", "head"), ("fusion_states", "closed")),
        *(("fusion_users", "sums"), ("fusion_users", "wish")),
    ],
)
@pytest.mark.parametrize("damage", [flip, lambda data: data[:-7], lambda _: b""])
def test_a_damaged_row_is_an_error_in_sqlite(sqlite_store, table, column, damage):
    with sqlite3.connect(sqlite_store.backend.path) as other:
        other.create_function("damage", 1, damage)
        query = f"UPDATE {table} SET {column} = damage({column}) WHERE {column} IS NOT NULL"  # noqa: S608 - ours
        assert other.execute(query).rowcount > 0
    other.close()
    with pytest.raises(IntegrityError):
        sqlite_store.load()


@pytest.mark.parametrize(
    ("key", "field"),
    [("units", None), ("users", None), ("wishes", None), ("head", "head"), ("head", "closed")],
)
@pytest.mark.parametrize("damage", [flip, lambda data: data[:-7], lambda _: b""])
def test_a_damaged_value_is_an_error_in_redis(redis_server, redis_store, key, field, damage):
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        name = redis_store.backend._prefix + key.encode()
        field = field or next(iter(client.hkeys(name)))
        client.hset(name, field, damage(client.hget(name, field)))
    with pytest.raises(IntegrityError):
        open_store(redis_server.url, namespace=redis_store.namespace).load()


@pytest.mark.parametrize("key", ["units", "users", "wishes", "head"])
def test_keys_that_the_server_evicted_are_an_error(redis_server, redis_store, key):
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        assert client.delete(redis_store.backend._prefix + key.encode())
    for use in (redis_store.load, lambda: redis_store.apply(learnt(COLUMNS[1]))):
        with pytest.raises(IntegrityError, match="noeviction"):
            use()
    redis_store.clear()
    assert redis_store.load() is None


WORK = {
    "apply": lambda store: store.apply(learnt(COLUMNS[1])),
    "compact": lambda store: store.compact(LINE),
    "merge": lambda store: store.merge(learnt(COLUMNS[1])),
    "delete_user": lambda store: store.delete_user("u1", at=LINE),
    "opt_out": lambda store: store.opt_out("u1", at=LINE),
    "load": lambda store: store.load(),
}


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("meanwhile", ["apply", "compact", "opt_out"])
def test_what_others_write_between_reading_and_writing_is_kept(
    redis_url, namespace, monkeypatch, name, meanwhile
):
    """The server compares what was read, so the result is as if one came after the other."""
    late = learnt(writer.part(COLUMNS[2], COLUMNS[2].time >= LINE))
    others = {
        "apply": lambda store: store.apply(late),
        "compact": lambda store: store.compact(LINE),
        "opt_out": lambda store: store.opt_out("u2", at=LINE),
    }
    commit, met = RedisTransaction.commit, []

    def after_another(transaction, writes):
        if not met:
            met.append(name)
            others[meanwhile](second)
        return commit(transaction, writes)

    with (
        open_store(redis_url, namespace=namespace) as first,
        open_store(redis_url, namespace=namespace) as second,
        open_store(redis_url, namespace=f"{namespace}-in-turn") as in_turn,
    ):
        for store in (first, in_turn):
            store.apply(learnt(*COLUMNS[:2]) if name != "apply" else learnt(COLUMNS[0]))
        others[meanwhile](in_turn)
        WORK[name](in_turn)
        with monkeypatch.context() as patched:
            patched.setattr(RedisTransaction, "commit", after_another)
            WORK[name](first)
        assert met == [name]
        ours, theirs = first.load(), in_turn.load()
        assert rows_of(ours) == rows_of(theirs)
        time = theirs.latest
        for name_ in ("N", "S", "F", "Q", "A", "b"):
            np.testing.assert_allclose(
                getattr(ours.sums(time=time), name_),
                getattr(theirs.sums(time=time), name_),
                rtol=1e-9,
            )
        np.testing.assert_allclose(ours.user_sums()[1].N, theirs.user_sums()[1].N, rtol=1e-9)


def test_all_keys_have_one_prefix_and_are_cleared_with_it(redis_server, redis_store):
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        prefix = f"rankloom:{{{redis_store.namespace}:default}}:".encode()
        assert all(key.startswith(prefix) for key in client.scan_iter())
        assert client.dbsize() > 40
        redis_store.clear()
        assert client.dbsize() == 0


def test_a_file_of_another_format_is_an_error(tmp_path):
    (tmp_path / "fusion.db").write_bytes(b"not a database, but long enough to be one" * 100)
    with pytest.raises(IntegrityError, match="not a database"):
        open_store(f"sqlite:///{tmp_path}/fusion.db").load()


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="no folder"):
        open_store(f"sqlite:///{tmp_path}/missing/fusion.db").load()


def test_a_writer_gives_up_after_the_timeout(sqlite_store):
    before = rows_of(sqlite_store.load())
    other = sqlite3.connect(sqlite_store.backend.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        sqlite_store.apply(learnt(COLUMNS[1]))
    assert rows_of(sqlite_store.load()) == before
    other.execute("ROLLBACK")
    other.close()
    sqlite_store.apply(learnt(COLUMNS[1]))
    assert len(sqlite_store.load().unit_rows()) > len(before)


def test_a_full_disk_leaves_the_state_as_it_was(sqlite_store):
    before = rows_of(sqlite_store.load())
    connection = sqlite_store.backend._connected()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="full"):
        sqlite_store.apply(learnt(*COLUMNS))
    assert rows_of(sqlite_store.load()) == before
    connection.execute("PRAGMA max_page_count = 1000000")
    sqlite_store.apply(learnt(*COLUMNS))
    assert len(sqlite_store.load().unit_rows()) > len(before)


def test_a_write_that_breaks_half_way_is_undone(sqlite_store, monkeypatch):
    before = rows_of(sqlite_store.load())
    closed = sqlite_store.load().summary.closed_units

    def broken(*_):
        msg = "disk I/O error"
        raise sqlite3.OperationalError(msg)

    monkeypatch.setattr(SqlTransaction, "_write_units", broken)
    with pytest.raises(StoreError, match="nothing of this batch was written"):
        sqlite_store.compact(LINE + 500 * writer.STEP)
    loaded = sqlite_store.load()
    assert rows_of(loaded) == before
    assert loaded.summary.closed_units == closed


def test_a_removed_file_is_noticed(sqlite_store):
    sqlite_store.backend.path.unlink()
    with pytest.raises(StoreError, match="removed or replaced"):
        sqlite_store.apply(learnt(COLUMNS[1]))


def test_a_server_without_memory_leaves_the_state_as_it_was(redis_server, redis_store):
    import redis

    before = rows_of(redis_store.load())
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreError, match="(?i)memory"):
            redis_store.apply(learnt(*COLUMNS))
        assert rows_of(redis_store.load()) == before
        client.config_set("maxmemory", 0)
    redis_store.apply(learnt(*COLUMNS))
    assert len(redis_store.load().unit_rows()) > len(before)


def test_a_server_that_dies_in_the_middle_is_an_error_and_nothing_is_lost(redis_server, namespace):
    """The writer gets an error; when the server is back, sending everything again counts once."""
    store = open_store(redis_server.url, namespace=namespace)
    batches = [
        learnt(writer.part(columns, slice(i, i + 20)))
        for columns in COLUMNS
        for i in range(0, 400, 20)
    ]
    store.apply(batches[0])
    errors = []
    wrote_some = threading.Event()

    def write():
        try:
            for i in range(100_000):
                store.apply(batches[i % len(batches)])
                if i == 10:
                    wrote_some.set()
        except StoreError as error:
            errors.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    assert wrote_some.wait(120)
    redis_server.stop()
    thread.join()
    assert len(errors) == 1
    assert "send it again" in errors[0]
    with pytest.raises(StoreError):
        store.load()
    redis_server.start()
    assert len(store.load().unit_rows()) > 20
    for batch in batches:
        store.apply(batch)
    ours, theirs = store.load().sums(), learnt(*COLUMNS).sums()
    for name in ("N", "S", "F", "Q", "A", "b"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    store.close()


@contextmanager
def servers(folder, count, *options):
    """Run servers of their own on free ports; yield their ports when they answer."""
    import redis

    program = shutil.which("redis-server") or pytest.skip("redis-server is not on the path")
    with ExitStack() as stack:
        ports = []
        for number in range(count):
            with socket.create_server(("127.0.0.1", 0)) as free:
                ports.append(free.getsockname()[1])
            place = folder / str(number)
            place.mkdir()
            (place / "redis.conf").touch()
            command = [program, str(place / "redis.conf"), *options, "--port", str(ports[-1])]
            command += ["--bind", "127.0.0.1", "--dir", str(place)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(process.kill)
        for port in ports:
            with redis.Redis(port=port) as client:
                wait_until(client.ping)
        yield ports


def wait_until(condition):
    import redis

    deadline = monotonic() + 120
    while monotonic() < deadline:
        with suppress(redis.exceptions.RedisError):
            if condition():
                return
        sleep(0.02)
    pytest.fail("the servers did not get ready")


@pytest.mark.parametrize("namespace", ["shop", "shop2", "x"])
def test_a_part_of_a_cluster_is_an_error_that_says_so(tmp_path, namespace):
    """For every name, whichever node holds its keys."""
    import redis

    with servers(tmp_path, 2, "--cluster-enabled", "yes") as ports:
        nodes = [redis.Redis(port=port) for port in ports]
        for node, slots in zip(nodes, [(0, 8191), (8192, 16383)], strict=True):
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
        nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", ports[1])
        wait_until(lambda: all(n.cluster("info")["cluster_size"] == "2" for n in nodes))
        for port in ports:
            with open_store(f"redis://127.0.0.1:{port}", namespace=namespace) as store:
                for use in (store.load, lambda: store.apply(learnt(COLUMNS[0]))):
                    with pytest.raises(StoreError, match="a node of a Redis Cluster"):
                        use()
        for node in nodes:
            node.close()


def test_a_cluster_of_one_node_is_a_store(tmp_path):
    import redis

    with servers(tmp_path, 1, "--cluster-enabled", "yes") as (port,):
        with redis.Redis(port=port) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: node.cluster("info")["cluster_state"] == "ok")
        with open_store(f"redis://127.0.0.1:{port}", namespace="shop") as store:
            store.apply(learnt(COLUMNS[0]))
            assert rows_of(store.load()) == rows_of(learnt(COLUMNS[0]))


def test_a_sentinel_is_an_error_that_says_so(tmp_path):
    with (
        servers(tmp_path, 1, "--sentinel") as (port,),
        open_store(f"redis://127.0.0.1:{port}") as store,
        pytest.raises(StoreError, match="Sentinel; give the URL of the server"),
    ):
        store.load()


def test_a_missing_client_is_an_error_that_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(StoreError, match=r"rankloom\[redis\]"):
        open_store("redis://localhost:6379/0")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_writes_through_a_connection_of_its_own(store_url, namespace):
    code = f"""if True:
        import os, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import store_writer as writer
        from rankloom.bandit.store.opening import open_store
        store = open_store({store_url!r}, namespace={namespace!r})
        batches = [writer.make_evidence() for _ in range(2)]
        for i, batch in enumerate(batches):
            batch.update(writer.events(i, 200))
        store.apply(batches[0])
        child = os.fork()
        for _ in range(5):
            store.apply(batches[0 if child else 1])
            assert store.load() is not None
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with open_store(store_url, namespace=namespace) as store:
        expected = learnt(writer.events(0, 200), writer.events(1, 200))
        assert rows_of(store.load()) == rows_of(expected)
