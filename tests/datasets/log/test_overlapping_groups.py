"""Groups of rows that PostgreSQL inserts while the writer decides about the next ones."""

import datetime as dt
import os
import random
import threading

import polars as pl
import psycopg
import pytest

from rankloom import InteractionLog
from rankloom._shared.postgres import PostgresAddress
from rankloom.datasets.log import postgres_session, writer
from rankloom.datasets.log.postgres_insert import move_rows
from rankloom.datasets.log.postgres_session import Insertion
from rankloom.errors import StoreError

BATCH = 150
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"


@pytest.fixture
def log(postgres_url, monkeypatch):
    """A log whose writer takes two batches at a time."""
    monkeypatch.setattr(writer, "MAX_GROUP", 2 * BATCH)
    with InteractionLog(postgres_url) as opened:
        yield opened


@pytest.fixture
def ahead(monkeypatch):
    """Every insertion that was decided ahead, and whether its decisions held."""
    found = []
    confirmed = Insertion._confirmed

    def noted(self, connection):
        decided = self.decisions is not None
        decisions = confirmed(self, connection)
        if decided:
            found.append(decisions is not None)
        return decisions

    monkeypatch.setattr(Insertion, "_confirmed", noted)
    return found


@pytest.fixture
def slow_insertion(monkeypatch):
    """Insertions that run until the next one is decided about."""

    def slowly(cursor, after):
        cursor.execute("SELECT pg_sleep(0.1)")
        move_rows(cursor, after)

    monkeypatch.setattr(postgres_session, "move_rows", slowly)


def rows_of(generator, size):
    """Rows of which many repeat others: by their id, or by execution, document and types."""
    made = []
    for _ in range(size):
        row = {
            "feature_id": str(generator.randrange(40)),
            "interaction_type": ["click"],
            "position": 0,
            "execution_id": f"e{generator.randrange(60)}",
        }
        if generator.random() < 0.3:
            row["interaction_id"] = f"given-{generator.randrange(300)}"
        made.append(row)
    return made


def submitted(log, batches):
    """Submit batches at once, and return the receipts of each."""
    prepared = [[log.prepare(row) for row in batch] for batch in batches]
    futures = [log.submit(batch) for batch in prepared]
    return [future.result(60) for future in futures]


def stored(log):
    """All rows, in the order in which they were stored."""
    chunks = [log.rows_after(0)]
    while chunks[-1].last < log.last_row:
        chunks.append(log.rows_after(chunks[-1].last))
    return pl.concat([chunk.frame for chunk in chunks])


def outcome(receipts):
    """What each row became, and of which row it is a repetition, by number."""
    numbers = {each.interaction_id: each.seq for each in receipts if each.status != "deduplicated"}
    return [(each.status, each.seq, numbers.get(each.kept_id)) for each in receipts]


@pytest.mark.usefixtures("slow_insertion")
@pytest.mark.parametrize("seed", range(3))
def test_overlapping_groups_give_the_receipts_of_rows_one_after_the_other(
    log, ahead, tmp_path, seed
):
    generator = random.Random(seed)
    batches = [rows_of(generator, BATCH) for _ in range(8)]
    found = [each for batch in submitted(log, batches) for each in batch]
    assert any(ahead)
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as oracle:
        expected = [
            oracle.submit([oracle.prepare(row)]).result(60)[0] for batch in batches for row in batch
        ]
        assert outcome(found) == outcome(expected)
        expected_rows = stored(oracle)["feature_id"].to_list()
    assert stored(log)["feature_id"].to_list() == expected_rows
    assert len({status for status, *_ in outcome(found)}) == 3


def test_what_others_write_meanwhile_is_found(log, ahead, postgres_url, monkeypatch):
    """Another process stores a row after rows that repeat it were decided about."""
    decide_ahead = Insertion.decide_ahead
    base = {"feature_id": "d", "interaction_type": ["click"], "position": 0}
    repeated = [base | {"execution_id": f"new-{n}"} for n in range(8)]
    with InteractionLog(postgres_url) as other:

        def overtaken(self, earlier):
            decide_ahead(self, earlier)
            if self.decisions is not None:
                new = max(row.execution_id for row in self.rows)
                other.record(base | {"execution_id": new})

        monkeypatch.setattr(Insertion, "decide_ahead", overtaken)
        batches = [[*rows_of(random.Random(n), BATCH - 1), row] for n, row in enumerate(repeated)]
        receipts = [each for batch in submitted(log, batches) for each in batch]
    assert ahead
    assert not any(ahead)
    frame = stored(log)
    assert frame["seq"].to_list() == list(range(1, len(frame) + 1))
    assert not frame.select("execution_id", "feature_id").is_duplicated().any()
    created = [each.seq for each in receipts if each.status == "created"]
    assert len(created) == len(set(created)) == len(frame) - len(ahead)
    ids = set(frame["interaction_id"])
    assert {each.kept_id for each in receipts if each.status == "deduplicated"} <= ids


def test_rows_of_new_retrievers_and_namespaces_do_not_wait_for_themselves(log):
    """A retriever that is new while another insertion runs may not be numbered beside it."""
    row = {"feature_id": "d", "interaction_type": ["click"], "position": 0}
    views = [log.within(f"n{n % 2}", f"r{n}") for n in range(6)]
    batches = [[view.prepare(row) for _ in range(BATCH)] for view in views for _ in range(2)]
    for future in [log.submit(batch) for batch in batches]:
        assert {each.status for each in future.result(60)} == {"created"}
    assert [view.last_row for view in views] == [6 * BATCH] * 6


def test_a_month_that_is_dropped_meanwhile_is_made_again(log, postgres_url):
    now = dt.datetime.now(dt.UTC)
    old = (now.replace(day=15) - dt.timedelta(days=120)).isoformat()
    row = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "occurred_at": old}
    assert log.record(row).feature_id == "d"
    dropped = now - dt.timedelta(days=60)
    with InteractionLog(postgres_url) as other:
        assert other.expire_everywhere(dropped) == 1
    receipts = [each for batch in submitted(log, [[row] * BATCH] * 4) for each in batch]
    assert {each.status for each in receipts} == {"created"}
    assert [each.seq for each in receipts] == list(range(2, 4 * BATCH + 2))
    assert len(stored(log)) == 4 * BATCH


def test_what_is_acknowledged_is_stored_once_though_connections_end(log, postgres_url):
    stop, acknowledged, refused = threading.Event(), [], []

    def write():
        row = {"feature_id": "d", "interaction_type": ["click"], "position": 0}
        while not stop.is_set():
            try:
                acknowledged.extend(
                    each for batch in submitted(log, [[row] * BATCH] * 3) for each in batch
                )
            except StoreError as error:
                refused.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    with psycopg.connect(PostgresAddress(postgres_url).conninfo, autocommit=True) as raw:
        for _ in range(20):
            stop.wait(0.1)
            raw.execute(TERMINATE, (f"rankloom-{os.getpid()}",))
    stop.set()
    thread.join(60)
    assert refused
    kept = stored(log)["interaction_id"].to_list()
    assert {each.interaction_id for each in acknowledged} <= set(kept)
    assert len(kept) == len(set(kept))
    assert len(kept) % BATCH == 0
