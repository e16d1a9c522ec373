"""Logs that are damaged, full, locked, gone or crowded: a clear error, and nothing half-written."""

import importlib.util
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankloom import InteractionLog
from rankloom.datasets.log import writer as writing
from rankloom.errors import (
    IntegrityError,
    InvalidInputError,
    RankloomError,
    StoreBusyError,
    StoreError,
)

WRITER = Path(__file__).with_name("log_writer.py")
spec = importlib.util.spec_from_file_location("log_writer", WRITER)
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.db"


@pytest.fixture
def log(path):
    with InteractionLog(f"sqlite:///{path}", timeout=0.3) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, path):
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def any_log(url):
    with InteractionLog(url) as opened:
        yield opened


def row(number, **fields):
    return writer.row("w", number, **fields)


def ids(log):
    return [i for frame in log.scan() for i in frame["interaction_id"]]


def locked(path):
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_locked_log_is_reported_and_works_again(log, path):
    """Readers go on meanwhile."""
    first = log.record(row(0))
    other = locked(path)
    try:
        with pytest.raises(StoreError, match="locked"):
            log.record(row(1))
        with pytest.raises(StoreError, match="locked"):
            log.check()
        with pytest.raises(StoreError, match="locked"):
            log.delete(first.interaction_id)
        assert log.get(first.interaction_id) == first
    finally:
        other.close()
    second = log.record(row(1))
    assert ids(log) == [first.interaction_id, second.interaction_id]
    log.check()


def test_a_full_log_stores_nothing_of_the_group_and_works_again(log):
    kept = [log.record(row(0)).interaction_id]
    connection = log._file._writer._session.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 8}")
    big = {"metadata": {"text": "x" * 20_000}}
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(log.record, row(i, **big)) for i in range(1, 40)]
        errors = [future.exception() for future in futures]
    assert any(errors)
    assert {type(error) for error in errors} <= {StoreError, type(None)}
    assert "full" in str(next(filter(None, errors)))
    kept += [
        f.result().interaction_id for f, error in zip(futures, errors, strict=True) if not error
    ]
    assert sorted(ids(log)) == sorted(kept)
    connection.execute("PRAGMA max_page_count = 1000000")
    kept.append(log.record(row(99, **big)).interaction_id)
    assert sorted(ids(log)) == sorted(kept)
    log.check()


LIMITED = """
import resource, signal, sys
from rankloom import InteractionLog
from rankloom.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
with InteractionLog(sys.argv[1]) as log:
    for number in range(100):
        row = {"feature_id": str(number), "interaction_type": ["click"], "position": 0,
               "metadata": {"x": "y" * 20_000}}
        try:
            print(log.record(row).interaction_id, flush=True)
        except StoreError:
            print("refused", flush=True)
"""


def test_what_a_limited_disk_acknowledged_is_there(log):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, log.url], capture_output=True, text=True, check=True
    )
    said = done.stdout.split()
    kept = [line for line in said if line != "refused"]
    assert kept
    assert "refused" in said
    assert sorted(ids(log)) == sorted(kept)
    log.check()


def test_a_damaged_log_is_reported(log, path):
    log.record_batch([row(i) for i in range(2_000)])
    log.close()
    data = bytearray(path.read_bytes())
    for start in range(4_096, len(data), 4_096):
        data[start : start + 64] = b"\xaa" * 64
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="restore"):
        log.check()
    with pytest.raises(IntegrityError):
        log.record(row(9_999))


@pytest.mark.parametrize(
    ("column", "damage"), [("metadata", "'{'"), ("interaction_type", "x'ff'"), ("user_id", "x'ff'")]
)
def test_a_damaged_row_is_reported(log, path, column, damage):
    own = log.record(row(0, metadata={"a": 1})).interaction_id
    with sqlite3.connect(path) as other:
        other.execute(f"UPDATE interactions SET {column} = CAST({damage} AS TEXT)")  # noqa: S608
    other.close()
    for use in (lambda: log.get(own), log.find):
        with pytest.raises((IntegrityError, StoreError)):
            use()


@pytest.mark.parametrize("content", [b"no database at all" * 300, b"PAR1" * 2_000])
def test_a_file_of_another_kind_is_reported(log, path, content):
    path.write_bytes(content)
    with pytest.raises(IntegrityError):
        log.check()
    assert path.read_bytes() == content


def test_a_database_that_is_no_log_is_refused_and_left_alone(log, path):
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    for use in (log.check, lambda: log.record(row(0)), lambda: log.get("x")):
        with pytest.raises(InvalidInputError, match="no interaction log"):
            use()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    other.close()


def test_a_log_of_another_format_is_refused(log, path):
    log.record(row(0))
    log.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="99"):
        log.check()


def test_a_log_that_cannot_be_written_is_reported(log):
    log.record(row(0))
    log.close()
    code = (
        "import sqlite3, sys; from rankloom import InteractionLog;"
        "from rankloom.datasets.log import tables as s; old = s._set_up\n"
        "def read_only(c, u):\n    old(c, u)\n    c.execute('PRAGMA query_only = ON')\n"
        "s._set_up = read_only\n"
        "try:\n    InteractionLog(sys.argv[1]).check()\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, log.url], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("StoreError")
    assert "readonly" in done.stdout


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_was_taken_away_is_refused_until_it_is_back(log, path, replaced):
    """Nothing is written into another file in its place, unless the log is closed and reopened."""
    log.record(row(0))
    log.get("x")
    log_id, away = log.log_id, path.parent / "away"
    away.mkdir()
    files = list(path.parent.glob("log.db*"))
    for file in files:
        file.rename(away / file.name)
    if replaced:
        with InteractionLog(log.url) as other:
            other.record(row(5))
    for use in 2 * (lambda: log.record(row(1)), lambda: log.get("x"), log.within("b").find):
        with pytest.raises(StoreError, match="removed or replaced"):
            use()
    assert path.exists() is replaced
    for file in files:
        (away / file.name).rename(file)
    log.record(row(2))
    assert len(ids(log)) == 2
    for file in files:
        file.unlink(missing_ok=True)
    with pytest.raises(StoreError, match="removed or replaced"):
        log.record(row(3))
    log.close()
    log.record(row(4))
    assert len(ids(log)) == 1
    assert log.log_id != log_id


def crowd(log, prepared, futures):
    for each in prepared:
        futures.append(log.submit([each]))


def held_up(log):
    """Let the writer of a log wait for a lock, so that whatever comes later waits for it."""
    futures = [log.submit([log.prepare(row(1_000))])]
    while log.waiting:
        time.sleep(0.01)
    return futures


def test_a_crowded_log_refuses_at_once(log, path, monkeypatch):
    """What was taken before is written once the lock is gone."""
    monkeypatch.setattr(writing, "MAX_ROWS", 100)
    log.record(row(0))
    log.close()
    other = locked(path)
    try:
        with InteractionLog(log.url, timeout=60) as patient:
            futures = held_up(patient)
            with pytest.raises(StoreBusyError, match="wait"):
                crowd(patient, [patient.prepare(row(number)) for number in range(1, 300)], futures)
            assert len(futures) == 101
            assert patient.waiting == 100
            assert not any(future.done() for future in futures)
            other.execute("ROLLBACK")
            assert all(future.result()[0].status == "created" for future in futures)
            assert patient.waiting == 0
    finally:
        other.close()
    assert len(ids(log)) == len(futures) + 1


def test_bytes_that_wait_are_bounded_too(log, path, monkeypatch):
    monkeypatch.setattr(writing, "MAX_BYTES", 50_000)
    log.record(row(0))
    log.close()
    other = locked(path)
    big = log.prepare(row(1, metadata={"x": "y" * 20_000}))
    try:
        with InteractionLog(log.url, timeout=60) as patient:
            taken = held_up(patient)
            with pytest.raises(StoreBusyError):
                crowd(patient, [big] * 10, taken)
            other.execute("ROLLBACK")
            assert 2 <= len(taken) <= 4
            assert taken[0].result()[0].status == "created"
    finally:
        other.close()


def test_more_rows_than_a_transaction_takes_are_refused(log):
    with pytest.raises(InvalidInputError, match="parts"):
        log.submit([log.prepare(row(0))] * 10_000)


def test_an_error_of_one_task_leaves_the_others(log):
    with pytest.raises(ZeroDivisionError):
        log._file.writer.run(lambda _: 1 / 0)
    assert log.record(row(0)).interaction_id in ids(log)


def test_a_callback_that_waits_for_the_log_is_reported(log, caplog):
    """It runs in the thread that it would wait for."""
    log.on_commit(lambda: log.delete("x"))
    log.record(row(0))
    log.close()
    assert "must not wait" in caplog.text


def test_a_fork_has_a_writer_and_connections_of_its_own(any_log):
    log = any_log
    before = log.record(row(0))
    reader, writer_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = log.get(before.interaction_id) == before
            stored = log.record(row(1))
            log.close()
            os.write(writer_end, f"{same} {stored.interaction_id}".encode())
        finally:
            os._exit(0)
    os.close(writer_end)
    with os.fdopen(reader) as pipe:
        same, of_child = pipe.read().split()
    os.waitpid(child, 0)
    after = log.record(row(2))
    assert same == "True"
    assert ids(log) == [before.interaction_id, of_child, after.interaction_id]


def test_a_log_that_nobody_closed_writes_out_at_the_end(url):
    code = (
        "import sys; from rankloom import InteractionLog; log = InteractionLog(sys.argv[1])\n"
        "row = {'feature_id': 'a', 'interaction_type': ['click'], 'position': 0}\n"
        "for _ in range(500): log.submit([log.prepare(row)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code, url],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    with InteractionLog(url) as log:
        assert log.last_row == 500


def test_a_forgotten_log_leaves_no_thread(url):
    import gc

    log = InteractionLog(url)
    log.record(row(0))
    del log
    gc.collect()
    assert not [t for t in threading.enumerate() if t.name == "rankloom-log"]


def process_of(*arguments):
    command = [sys.executable, WRITER, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_several_processes_lose_nothing_and_agree_on_repeats(url):
    count, rows = 3, 60
    running = [process_of("shared", url, number, rows) for number in range(count)]
    said = [[line.split() for line in p.communicate()[0].splitlines()] for p in running]
    assert [p.returncode for p in running] == [0] * count
    with InteractionLog(url) as log:
        (frame,) = log.scan()
        assert frame.height == rows * (count + 1 + 1)
        documents = Counter(frame["feature_id"])
        assert set(documents.values()) == {1}
        assert frame["timestamp"].is_sorted()
        kept = [sum(line[0] == "0" for line in lines) for lines in zip(*said, strict=True)]
        assert kept == [1] * rows
        answered = [{line[1] for line in lines} for lines in zip(*said, strict=True)]
        assert [len(times) for times in answered] == [1] * rows


def killed(url, rounds, seed):
    """Kill writers at random moments; return every id that they acknowledged."""
    generator = random.Random(seed)
    acknowledged = []
    for number in range(rounds):
        process = process_of("until_killed", url, number)
        own = []
        while len(own) <= 20:  # however slow the machine is
            own += process.stdout.readline().split()
        acknowledged += own
        time.sleep(generator.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        # The last line may be cut short.
        lines = process.communicate()[0].split("\n")[:-1]
        acknowledged += [own for line in lines for own in line.split()]
        process.stdout.close()
    return acknowledged


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_what_a_killed_process_acknowledged_is_there_once(url, rounds):
    acknowledged = [own for own in killed(url, rounds, rounds) if own != "None"]
    with InteractionLog(url) as log:
        log.check()
        counts = Counter(ids(log))
        assert set(counts.values()) == {1}
        assert len(acknowledged) > 20 * rounds
        assert set(acknowledged) <= set(counts)
        documents = Counter(d for frame in log.scan() for d in frame["feature_id"])
        assert max(documents.values()) == 1


def test_the_errors_of_a_log_are_ours(log, path):
    """Whatever happens to the file, a caller catches one tree."""
    path.write_bytes(b"x" * 5_000)
    for use in (log.check, log.find, lambda: log.delete_user("u"), lambda: log.last_row):
        with pytest.raises(RankloomError):
            use()
