"""Backups of a log in use: whole, checked, and restored whole or not at all."""

import sqlite3
import threading

import pytest

from rankloom import InteractionLog


def rows(first, number):
    return [
        {"feature_id": "d", "interaction_type": ["click"], "position": 0, "execution_id": f"e{n}"}
        for n in range(first, first + number)
    ]


def stored(path):
    with InteractionLog(f"sqlite:///{path}") as log:
        return len(log.find(limit=1_000).items)


def test_a_log_that_is_written_to_is_backed_up_as_it_was_at_one_moment(run, tmp_path):
    url, copy = f"sqlite:///{tmp_path}/log.db", tmp_path / "copy.db"
    stop = threading.Event()
    with InteractionLog(url) as log:
        log.record_batch(rows(0, 100))

        def write():
            for number in range(100, 900, 10):
                log.record_batch(rows(number, 10))
                if stop.is_set():
                    return

        writer = threading.Thread(target=write)
        writer.start()
        done = run("backup", url, copy)
        stop.set()
        writer.join()
    assert done.code == 0, done.err
    assert not list(tmp_path.glob("copy.db-*"))
    found = stored(copy)
    assert found >= 100
    assert found % 10 == 0


@pytest.mark.slow
def test_a_backup_is_restored_whole_and_only_where_nothing_is_lost_unasked(run, tmp_path):
    url, copy = f"sqlite:///{tmp_path}/log.db", tmp_path / "copy.db"
    with InteractionLog(url) as log:
        log.record_batch(rows(0, 30))
        run("backup", url, copy)
        log.record_batch(rows(30, 30))
        run("restore", copy, url).assert_refused("--replace")
        # While a process has it open, nothing is replaced beneath it.
        run("restore", copy, url, "--replace").assert_refused("Stop the service")
    assert stored(tmp_path / "log.db") == 60
    assert run("restore", copy, url, "--replace").code == 0
    assert stored(tmp_path / "log.db") == 30
    assert run("restore", copy, f"sqlite:///{tmp_path}/new.db").code == 0
    assert stored(tmp_path / "new.db") == 30


def test_a_damaged_file_is_never_a_backup_and_never_restored(run, tmp_path):
    url, copy = f"sqlite:///{tmp_path}/log.db", tmp_path / "copy.db"
    with InteractionLog(url) as log:
        log.record_batch(rows(0, 1_000))
    assert run("backup", url, copy).code == 0
    whole = copy.read_bytes()
    damaged = bytearray(whole)
    damaged[8_192:60_000] = b"\xff" * (60_000 - 8_192)
    copy.write_bytes(damaged)
    run("restore", copy, f"sqlite:///{tmp_path}/new.db").assert_refused("copy.db")
    assert not (tmp_path / "new.db").exists()
    (tmp_path / "bad.db").write_bytes(damaged)
    other = tmp_path / "other.db"
    other.write_bytes(whole)
    run("backup", f"sqlite:///{tmp_path}/bad.db", other).assert_refused("bad.db")
    assert other.read_bytes() == whole  # the older backup is as it was
    with sqlite3.connect(other) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize("url", ["postgresql://x/y", "log.db", "sqlite:///"])
def test_what_is_no_file_of_sqlite_is_refused(run, tmp_path, url):
    run("backup", url, tmp_path / "copy.db").assert_refused("sqlite:///file.db", "pg_dump")


def test_a_missing_file_is_named(run, tmp_path):
    run("backup", f"sqlite:///{tmp_path}/none.db", tmp_path / "c").assert_refused("none.db")
    run("restore", tmp_path / "none", f"sqlite:///{tmp_path}/l.db").assert_refused("none")
