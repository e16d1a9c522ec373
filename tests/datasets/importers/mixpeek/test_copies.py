"""Copies of a service that are interrupted, killed, or cannot be written: no loss, no repeats."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import polars as pl
import pytest

from rankloom.datasets import InteractionLog
from rankloom.errors import InvalidInputError, StoreError
from tests.datasets.importers.interaction_service import (
    TOKEN,
    Service,
    hang_up,
    running,
    status,
)
from tests.datasets.importers.stored_interactions import (
    assert_holds,
    records,
    source_of,
    stored,
)


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("MIXPEEK_API_KEY", TOKEN)


@pytest.fixture
def log(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as opened:
        yield opened


ROWS = [stored(i) for i in range(25)]
SHARED = [stored(i, second=i // 3) for i in range(25)]


@pytest.mark.parametrize("pages", range(6))
def test_an_interrupted_copy_to_a_log_goes_on_without_loss_or_repeats(tmp_path, log, pages):
    resume = tmp_path / "copy.json"
    with running(Service(SHARED)) as service:
        service.script = [lambda _: False] * pages + [status(500)]
        source = source_of(service, page_size=5)
        if pages < 5:
            with pytest.raises(StoreError, match="answered 500"):
                source.copy_to_log(log, resume=resume)
            assert len(records(log)) == 5 * pages
        service.script = []
        report = source.copy_to_log(log, resume=resume)
        assert report.existing == 0
        assert_holds(log, SHARED)
        service.rows = [*SHARED, stored(90), stored(91)]
        again = source.copy_to_log(log, resume=resume)
    assert again.created == 2
    assert_holds(log, service.rows)


def test_the_resume_file_names_the_last_time_and_its_interactions_only(tmp_path, log):
    with running(Service(SHARED[:20])) as service:
        source_of(service, page_size=7).copy_to_log(log, resume=tmp_path / "copy.json")
    progress = json.loads((tmp_path / "copy.json").read_bytes())
    assert progress["timestamp"] == SHARED[19]["timestamp"]
    assert progress["ids"] == [row["interaction_id"] for row in SHARED[18:20]]


def test_a_page_that_the_log_could_not_take_is_requested_again(tmp_path):
    path, resume = tmp_path / "log.db", tmp_path / "copy.json"
    with (
        InteractionLog(f"sqlite:///{path}", timeout=0.3) as log,
        closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other,
        running(Service(SHARED)) as service,
    ):

        def lock(_handler):
            other.execute("BEGIN IMMEDIATE")
            return False

        service.script = [lambda _: False, lambda _: False, lock]
        source = source_of(service, page_size=5)
        with pytest.raises(StoreError):
            source.copy_to_log(log, resume=resume)
        other.execute("ROLLBACK")
        assert len(records(log)) == 10
        source.copy_to_log(log, resume=resume)
        assert_holds(log, SHARED)


def test_a_page_that_was_committed_but_not_progress_changes_nothing(tmp_path, log):
    """The copy may be killed between the log's commit and the resume file."""
    resume = tmp_path / "copy.json"
    with running(Service(SHARED)) as service:
        source = source_of(service, page_size=5)
        service.script = [lambda _: False, lambda _: False, status(500)]
        with pytest.raises(StoreError):
            source.copy_to_log(log, resume=resume)
        progress = resume.read_bytes()
        source.copy_to_log(log, resume=resume)
        resume.write_bytes(progress)
        report = source.copy_to_log(log, resume=resume)
    assert (report.created, report.existing) == (0, 15)
    assert_holds(log, SHARED)


@pytest.mark.parametrize("pages", range(6))
def test_an_interrupted_copy_to_a_file_goes_on_without_loss_or_repeats(tmp_path, pages):
    resume, path = tmp_path / "copy.json", tmp_path / "out.parquet"
    with running(Service(SHARED)) as service:
        service.script = [lambda _: False] * pages + [status(500)]
        source = source_of(service, page_size=5)
        if pages < 5:
            with pytest.raises(StoreError, match="answered 500"):
                source.copy_to_parquet(path, resume=resume)
            assert not path.exists()
            part = tmp_path / "out.parquet.part.jsonl"
            if part.exists():
                # Killed while it wrote a page that nothing notes yet.
                with part.open("ab") as file:
                    file.write(b'{"feature_id": "d1", "inter' * 1_000)
        service.script = []
        report = source.copy_to_parquet(path, resume=resume)
    assert (report.rows_read, report.created, report.quarantine.rows) == (25, 25, 0)
    held = pl.read_parquet(path)["interaction_id"].to_list()
    assert held == [row["interaction_id"] for row in SHARED]
    assert [file.name for file in tmp_path.iterdir()] == ["out.parquet"]


def killed(process):
    """An act that kills the process that sends the request."""

    def act(handler):
        process[0].kill()
        return hang_up(handler)

    return act


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--log", "--out"])
def test_a_copy_that_is_killed_again_and_again_ends_complete(tmp_path, option):
    target = {"--log": f"sqlite:///{tmp_path}/copy.db", "--out": f"{tmp_path}/copy.parquet"}
    resume = ["--resume", tmp_path / "copy.json", "--page-size", "4"]
    with running(Service(SHARED)) as service:
        command = [sys.executable, "-m", "rankloom", "import", "mixpeek", service.url]
        arguments = [*command, option, target[option], *resume, "--requests-per-second", "1000"]
        for pages in (0, 1, 2, 1):
            process = []
            service.script = [lambda _: False] * pages + [killed(process)]
            process.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL))
            assert process[0].wait(600) == -signal.SIGKILL
        service.script = []
        subprocess.run(arguments, check=True, capture_output=True)
    if option == "--log":
        with InteractionLog(target[option]) as log:
            assert_holds(log, SHARED)
    else:
        held = pl.read_parquet(target[option])["interaction_id"].to_list()
        assert held == [row["interaction_id"] for row in SHARED]


def test_a_failed_copy_to_a_file_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.parquet"
    path.write_bytes(b"old")
    with running(Service(ROWS)) as service:
        service.script = [lambda _: False, status(500)]
        with pytest.raises(StoreError):
            source_of(service, page_size=5).copy_to_parquet(path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.parquet"]


def test_a_resume_file_of_another_copy_or_of_nonsense_is_refused(tmp_path, log):
    resume = tmp_path / "copy.json"
    with running(Service(ROWS)) as service:
        source_of(service).copy_to_log(log, resume=resume)
        with pytest.raises(InvalidInputError, match="belongs to a copy of"):
            source_of(service, retriever_id="r1").copy_to_log(log, resume=resume)
        with pytest.raises(InvalidInputError, match="belongs to a copy of"):
            source_of(service).copy_to_parquet(tmp_path / "o.parquet", resume=resume)
        resume.write_bytes(b"{}")
        with pytest.raises(InvalidInputError, match="no file of an interrupted copy"):
            source_of(service).copy_to_log(log, resume=resume)
