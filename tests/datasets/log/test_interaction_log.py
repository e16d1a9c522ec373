"""The interaction log keeps what it acknowledges, once, and answers it field by field."""

import datetime as dt
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import polars as pl
import pytest

from rankloom import InteractionLog, load_pairs
from rankloom.bandit import FusionBandit
from rankloom.datasets import Interaction, RowFault, canonical_schema
from rankloom.datasets.reading.scan import scan
from rankloom.errors import InvalidInputError, StoreError

EXAMPLE = {
    "feature_id": "doc_1",
    "interaction_type": ["click", "long_view"],
    "position": 2,
    "metadata": {
        "device": "mobile",
        "features": {"text": {"score": 0.25}},
        "big": 2**70,
        "s": "é\0",
    },
    "user_id": "user_1",
    "session_id": "sess_1",
    "execution_id": "exec_1",
    "retriever_id": "ret_1",
    "query_snapshot": {"text": "red shoes", "filters": [1, 2.5, None]},
    "document_score": 0.1 + 0.2,
    "result_set_size": 10,
    "feature_uri": "mixpeek://text@v1/vector",
}
MINUTE = dt.timedelta(minutes=1)
NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def log(url):
    with InteractionLog(url) as opened:
        yield opened


def row(document="d", **fields):
    given = {"feature_id": document, "interaction_type": ["click"], "position": 0}
    return given | {"feature_uri": "text"} | fields


def test_a_record_comes_back_field_by_field(log):
    before = dt.datetime.now(dt.UTC)
    stored = log.record(EXAMPLE)
    after = dt.datetime.now(dt.UTC)
    found = log.get(stored.interaction_id)
    assert found == stored
    for name, value in EXAMPLE.items():
        assert getattr(found, name) == value
    assert before <= found.timestamp <= after
    assert (found.deduplicated, found.warning, found.occurred_at) == (False, None, None)
    assert UUID(found.interaction_id).version == 7


@pytest.mark.parametrize("form", [dict, json.dumps, lambda r: json.dumps(r).encode(), "struct"])
def test_every_form_of_a_record_is_stored_alike(log, form):
    made = Interaction(**EXAMPLE) if form == "struct" else form(EXAMPLE)
    stored = log.record(made)
    assert {name: getattr(stored, name) for name in EXAMPLE} == EXAMPLE


@pytest.mark.parametrize(
    "snapshot", ['{"a":1}', "plain", {"a": 1}, [1, "x"], 5, 1.5, True, "5", "null", " "]
)
def test_a_snapshot_keeps_its_kind(log, snapshot):
    """Text that looks like JSON stays text, an object stays an object."""
    own = log.record(row(query_snapshot=snapshot)).interaction_id
    found = log.get(own).query_snapshot
    assert found == snapshot
    assert type(found) is type(snapshot)


def test_what_the_log_sets_is_not_taken_from_the_sender(log):
    stored = log.record(row(deduplicated=True, warning="x", interaction_id="mine"))
    assert (stored.interaction_id, stored.deduplicated, stored.warning) == ("mine", False, None)


def test_a_timestamp_is_when_the_event_happened_and_the_log_says_when_it_was_recorded(log):
    past = dt.datetime(1999, 1, 1, tzinfo=dt.UTC)
    stored = log.record(row(timestamp="1999-01-01"))
    assert (stored.occurred_at, stored.warning) == (past, None)
    assert stored.timestamp.year > 2000
    assert log.get(stored.interaction_id) == stored
    # What a reader of this log sends to another one keeps its time.
    stored.interaction_id = stored.occurred_at = None
    assert log.record(stored).occurred_at == stored.timestamp
    future = log.record(row(timestamp="2999-01-01T00:00:00Z", feature_id="later"))
    assert future.occurred_at == future.timestamp


@pytest.mark.parametrize("timestamp", ["soon", True, [], {}, "2026-13-01"])
def test_a_timestamp_that_is_no_time_is_left_out_with_a_warning(log, timestamp):
    stored = log.record(row(timestamp=timestamp, colour="red"))
    assert stored.occurred_at is None
    assert "timestamp (not an ISO 8601 time" in stored.warning
    assert "colour" in stored.warning
    assert log.get(stored.interaction_id) == stored


def test_of_two_times_occurred_at_counts_and_the_other_is_named(log):
    first = log.record(row(occurred_at="2026-01-01", timestamp="2026-01-02"))
    assert first.occurred_at == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert "timestamp (occurred_at is given too, and counts)" in first.warning
    same = row(occurred_at="2026-01-03", timestamp="2026-01-03T01:00:00+01:00")
    assert log.record(same).warning is None
    report = log.record_batch([row(timestamp="2026-01-05", feature_id="batch")])
    assert log.get(report.results[0].interaction_id).occurred_at.day == 5


def test_a_row_without_a_channel_is_kept_with_a_warning(log):
    stored = log.record(row(feature_uri=None))
    assert "feature_uri" in stored.warning
    assert log.get(stored.interaction_id).warning == stored.warning


def test_unknown_fields_are_left_out_and_named(log):
    stored = log.record(row(colour="red"))
    assert "colour" in stored.warning
    assert log.get(stored.interaction_id) == stored
    assert log.record(row(**{f"k{i}": 1 for i in range(50)})).warning.endswith("and 40 more")


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"position": -1}, "position"),
        ({"position": 2**31}, "position"),
        ({"position": True}, "position"),
        ({"interaction_type": []}, "interaction_type"),
        ({"interaction_type": "clik"}, "interaction_type"),
        ({"interaction_type": ["clik"]}, "interaction_type"),
        ({"feature_id": ""}, "feature_id"),
        ({"document_id": "other"}, "document_id"),
        ({"user_id": "u" * 1_025}, "user_id"),
        ({"metadata": [1]}, "metadata"),
        ({"result_set_size": 0}, "result_set_size"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"document_score": float("inf")}, "document_score"),
    ],
)
def test_a_bad_record_is_refused_by_field(log, broken, field):
    with pytest.raises(InvalidInputError, match=f"^{field}: "):
        log.record(row(**broken))
    fault = log.prepare(row(**broken))
    assert isinstance(fault, RowFault)
    assert fault.field == field
    assert log.last_row == 0


@pytest.mark.parametrize(
    "metadata",
    ['{"a": 1e400}', '{"a": "\\ud800"}', f'{{"a": {"9" * 5_000}}}', "[" * 100 + "]" * 100],
)
def test_json_that_no_reader_takes_back_is_refused(log, metadata):
    raw = b'{"feature_id":"d","interaction_type":["click"],"position":0,"metadata":%s}'
    with pytest.raises(InvalidInputError):
        log.record(raw % metadata.encode())
    with pytest.raises(InvalidInputError):
        log.record({**row(), "metadata": {"a": "\ud800"}})


def test_a_repeat_within_five_minutes_is_not_stored(log):
    """In event time, of a stored row; the set of types counts, not its order."""
    first = log.record(row(execution_id="e", interaction_type=["click", "view"]))
    again = log.record(row(execution_id="e", interaction_type=["view", "click", "view"]))
    assert (again.deduplicated, again.interaction_id) == (True, None)
    assert not log.record(row(execution_id="e")).deduplicated
    assert not log.record(row(execution_id="e", retriever_id="r")).deduplicated
    assert not log.record(row()).deduplicated
    assert not log.record(row()).deduplicated
    other = log.within("other").record(row(execution_id="e", interaction_type=["click", "view"]))
    assert not other.deduplicated
    assert log.find({"execution_id": "e", "interaction_type": "view"}).items == [first]


@pytest.mark.parametrize("together", [True, False])
def test_the_window_is_that_of_event_time_on_both_sides(log, together):
    minutes = [10, 15, 16, 4.99, 5, 20, 21.01]
    kept = [True, False, True, True, False, False, True]
    rows = [row(execution_id="e", occurred_at=(NOON + at * MINUTE).isoformat()) for at in minutes]
    if together:
        results = log.record_batch(rows).results
        assert [each.status == "created" for each in results] == kept
        assert results[1].kept_id == results[0].interaction_id
    else:
        assert [not log.record(each).deduplicated for each in rows] == kept


def test_a_repeated_id_changes_nothing_and_answers_the_stored_record(log):
    first = log.record(row(interaction_id="mine", user_id="u"))
    assert log.record(row("another", interaction_id="mine")) == first
    report = log.record_batch([row("third", interaction_id="mine"), row(interaction_id="new")] * 2)
    assert (report.existing, report.created) == (3, 1)
    assert log.last_row == 2
    assert log.within("other").record(row("other", interaction_id="mine")).feature_id == "other"


def test_an_idempotency_key_stands_for_an_id(log):
    def send(view, key, document):
        prepared = view.prepare(row(document), idempotency_key=key)
        return view.answer(prepared, view.submit([prepared]).result()[0])

    first = send(log, "k", "a")
    assert send(log, "k", "b") == first
    assert send(log, "l", "b").feature_id == "b"
    assert send(log.within("other"), "k", "c").feature_id == "c"
    given = log.prepare(row(interaction_id="mine"), idempotency_key="k")
    assert given.interaction_id == "mine"


def test_a_future_time_becomes_the_time_of_recording(log):
    stored = log.record(row(occurred_at="2999-01-01T00:00:00Z"))
    assert stored.occurred_at == stored.timestamp
    assert log.get(stored.interaction_id) == stored


def test_only_single_rows_without_a_time_are_live(log):
    log.record(row("single"))
    log.record(row("dated", occurred_at="2026-01-31T12:00:00Z"))
    log.record_batch([row("batch")])
    frame = log.rows_after(0).frame
    assert dict(zip(frame["feature_id"], frame["live"], strict=True)) == {
        "single": True,
        "dated": False,
        "batch": False,
    }


def test_timestamps_and_ids_rise_with_the_rows_even_if_the_clock_goes_back(log, monkeypatch):
    clock = iter([2_000_000_000, 1_000_000_000, 1_000_000_000, 3_000_000_000])
    monkeypatch.setattr("rankloom.datasets.log.group.time_ns", lambda: next(clock) * 1_000)
    for _ in range(4):
        log.record_batch([row(), row()])
    frame = log.rows_after(0).frame
    assert frame["seq"].to_list() == list(range(1, 9))
    assert frame["timestamp"].is_sorted()
    assert frame["timestamp"].n_unique() == 4
    assert frame["interaction_id"].is_sorted()
    assert frame["interaction_id"].n_unique() == 8


def test_a_batch_fails_row_by_row(log):
    body = json.dumps([row("a"), {"feature_id": 1}, row(7), 5, row("c", x=1)])
    for given in (body.encode(), f'{{"interactions": {body}}}'.encode(), json.loads(body)):
        report = log.record_batch(given)
        statuses = [getattr(each, "status", "failed") for each in report.results]
        assert statuses == ["created", "failed", "created", "failed", "created"]
        assert report.failed == 2
        assert report.results[1].field == "interaction_type"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[", b'{"interactions": 5}', b"null", b"\xff", b"[" * 5_000, b'"[]"']
)
def test_a_body_that_is_no_batch_is_refused_whole(log, body):
    with pytest.raises(InvalidInputError, match="body"):
        log.record_batch(body)


@pytest.mark.parametrize("size", [0, 1_001])
def test_a_batch_has_one_to_a_thousand_rows(log, size):
    for body in (
        json.dumps([row()] * size).encode(),
        [row()] * size,
        b"[" + b",".join([b"0"] * size) + b"]",
    ):
        with pytest.raises(InvalidInputError, match="1 to 1,000"):
            log.prepare_batch(body)


def test_namespaces_and_retrievers_see_only_their_own(log):
    own = log.record(row("a", retriever_id="r1")).interaction_id
    log.within("n2").record(row("b", retriever_id="r1"))
    first, second, other = (
        log.within("default", "r1"),
        log.within("default", "r2"),
        log.within("n2"),
    )
    assert first.get(own).feature_id == "a"
    assert second.get(own) is other.get(own) is None
    assert not second.delete(own)
    assert not other.delete(own)
    assert [i.feature_id for i in other.find().items] == ["b"]
    assert second.find().items == list(second.scan()) == []
    assert log.within("empty").find(include_total=True).total == 0
    assert log.within("empty").delete_user("u") == 0
    assert second.record(row("c")).retriever_id == "r2"
    with pytest.raises(InvalidInputError, match="retriever_id"):
        second.record(row("c", retriever_id="r1"))
    with pytest.raises(InvalidInputError, match="retriever_id"):
        second.record(json.dumps(row("c", retriever_id="r1")).encode())
    assert second.record(row("c", interaction_id=own)).feature_id == "a"


def test_deleting_is_idempotent_and_leaves_a_note(log):
    stored = log.record(row("a", execution_id="e", retriever_id="r"))
    assert log.delete(stored.interaction_id)
    assert not log.delete(stored.interaction_id)
    assert log.get(stored.interaction_id) is None
    (note,) = log.deletions_after(0)
    assert (note.retriever_id, note.execution_id, note.feature_id) == ("r", "e", "a")
    assert (note.user_id, note.live, note.event_time) == (None, True, stored.timestamp)
    assert log.deletions_after(note.number) == log.within("other").deletions_after(0) == []
    assert log.within("default", "r").deletions_after(0) == [note]
    assert log.within("default", "r2").deletions_after(0) == []


@pytest.mark.parametrize("way", ["delete", "delete_user", "expire"])
def test_no_number_and_no_time_is_given_twice_whatever_was_deleted(url, monkeypatch, way):
    falling = itertools.count(3_000_000_000_000, -1_000_000)
    monkeypatch.setattr("rankloom.datasets.log.group.time_ns", lambda: next(falling))
    with InteractionLog(url) as log:
        for number in (1, 2):
            stored = log.record(row("gone", user_id="u"))
            assert log.last_row == number
            forget = {
                "delete": lambda own=stored.interaction_id: log.delete(own),
                "delete_user": lambda: log.delete_user("u"),
                "expire": lambda: log.expire(NOON),
            }
            assert forget[way]() == 1
            assert log.last_row == number
            last = stored.timestamp
    with InteractionLog(url) as again:
        assert again.last_row == 2
        kept = [again.record(row("kept")), again.record(row("kept"))]
        assert again.rows_after(0).frame["seq"].to_list() == [3, 4]
        assert last < kept[0].timestamp < kept[1].timestamp


def test_a_batch_finds_its_repeats_among_executions_that_are_stored_and_that_are_not(log):
    def shown(execution):
        rows = [row(f"d{i}", execution_id=execution) for i in range(10)]
        return [each | {"occurred_at": "2026-01-31T12:00:00Z"} for each in rows]

    log.record_batch(shown("stored")[:5])
    log.within("other").record_batch(shown("new"))
    report = log.record_batch([*shown("new"), *shown("stored"), *shown("new")[:1]])
    statuses = [result.status for result in report.results]
    assert statuses == ["created"] * 10 + ["deduplicated"] * 5 + ["created"] * 5 + ["deduplicated"]


def test_deleting_a_user_takes_every_row_and_says_so_to_every_retriever(log):
    rows = [row(str(i), user_id="u", retriever_id=f"r{i % 2}") for i in range(2_500)]
    log.record_batch([*rows, row("kept", user_id="v")])
    assert log.delete_user("u") == 2_500
    assert log.delete_user("u") == 0
    assert [i.feature_id for i in log.find().items] == ["kept"]
    notes = log.deletions_after(0, limit=5_000)
    assert len(notes) == 2_502
    assert (notes[0].user_id, notes[0].feature_id) == ("u", None)
    assert {note.user_id for note in notes} == {"u"}
    assert len(log.within("default", "r1").deletions_after(0)) == 1_252


def test_expiring_goes_by_event_time_and_takes_old_notes(log):
    old, new = "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
    log.record_batch([row("old", occurred_at=old), row("new", occurred_at=new)] * 3_000)
    log.delete(log.record(row("gone")).interaction_id)
    log.within("other").record(row("other", occurred_at=old))
    assert log.expire(NOON) == 6_000 - 3_000 + 3_000
    assert len(log.deletions_after(0)) == 1
    assert log.within("other").expire(dt.datetime(2019, 1, 1)) == 0  # noqa: DTZ001 - naive is UTC
    assert log.expire(dt.datetime(2999, 1, 1, tzinfo=dt.UTC)) == 0
    assert log.deletions_after(0) == []
    assert len(log.within("other").find().items) == 1


def test_rows_come_in_chunks_that_join_without_a_gap(log):
    log.record_batch([row(str(i), retriever_id=f"r{i % 3}") for i in range(1_000)])
    view, documents, last = log.within("default", "r1"), [], 0
    while (chunk := view.rows_after(last, limit=100)).frame.height:
        documents += chunk.frame["feature_id"].to_list()
        last = chunk.last
    assert documents == [str(i) for i in range(1, 1_000, 3)]
    assert last == log.last_row == 1_000


def test_a_scan_has_the_canonical_columns(log):
    log.record(EXAMPLE)
    (frame,) = log.scan()
    assert dict(frame.schema) == canonical_schema()
    assert frame["interaction_type"].to_list() == [["click", "long_view"]]
    assert scan(log).frame.equals(frame)
    assert scan(log.within("empty")).rows_read == 0


def test_a_scan_is_bounded_by_what_was_there_when_it_began(log, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.log.interaction_log._CHUNK", 2)
    log.record_batch([row(str(i)) for i in range(5)])
    frames = log.scan()
    first = next(frames)
    log.record(row("later"))
    rest = list(frames)
    assert [first.height, *(frame.height for frame in rest)] == [2, 2, 1]
    assert pl.concat([first, *rest])["feature_id"].to_list() == list("01234")


def world():
    """Return rows in time order of 60 executions of 5 documents, some of them sent twice."""
    rows = []
    for execution in range(60):
        at = NOON + execution * 10 * MINUTE
        for position in range(5):
            shown = row(
                f"d{(execution + position) % 7}",
                execution_id=f"e{execution}",
                interaction_type=["impression"],
                position=position,
                document_score=1 / (1 + position),
                query_snapshot={"q": execution % 4} if execution % 2 else f"query {execution % 5}",
                user_id=f"u{execution % 6}",
                session_id=f"s{execution % 20}",
                retriever_id="r",
                feature_uri=["text", "image"][position % 2],
                metadata={"features": {"text": {"score": 0.5}, "image": {"score": 0.1 * position}}},
                occurred_at=at.isoformat(),
            )
            rows.append(shown)
            if (execution * 3 + position) % 4 == 0:
                clicked = shown | {"interaction_type": ["click"]}
                clicked["occurred_at"] = (at + MINUTE).isoformat()
                rows += [clicked, clicked]
    return rows


def test_pairs_of_a_log_are_those_of_the_same_rows_as_dicts(log):
    log.record_batch(world())
    of_log, of_rows = load_pairs(log), load_pairs(world())
    for name in ("X", "y", "clicked", "group", "position", "document_score", "age_days"):
        assert getattr(of_log, name).tolist() == getattr(of_rows, name).tolist()
    assert of_log.document_id.to_list() == of_rows.document_id.to_list()
    assert of_log.query_id.to_list() == of_rows.query_id.to_list()
    assert of_log.report.duplicates == 0 < of_rows.report.duplicates


def test_fusion_learns_from_a_log_what_it_learns_from_the_same_rows(log):
    log.record_batch(world())
    now = NOON + 3_000 * MINUTE
    sums = []
    for source in (log, world()):
        bandit = FusionBandit(["text", "image"], retriever_id="r")
        bandit.update(source)
        sums.append(bandit.evidence.sums(time=now))
    assert sums[0].N.tolist() == sums[1].N.tolist()
    assert sums[0].N.sum() > 0


def test_a_parquet_file_holds_the_log_whole(log, tmp_path, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.log.interaction_log._CHUNK", 100)
    log.record_batch(world())
    path = tmp_path / "out" / "log.parquet"
    with pytest.raises(OSError, match="out"):
        log.to_parquet(path)
    path.parent.mkdir()
    assert log.to_parquet(path) == log.last_row
    assert [file.name for file in path.parent.iterdir()] == ["log.parquet"]
    assert scan(path).frame.equals(scan(log).frame)
    assert load_pairs(path).y.tolist() == load_pairs(world()).y.tolist()
    empty = tmp_path / "empty.parquet"
    assert log.within("empty").to_parquet(empty) == 0
    assert dict(pl.read_parquet_schema(empty)) == canonical_schema()


def test_an_export_that_fails_leaves_the_old_file(log, tmp_path, monkeypatch):
    monkeypatch.setattr("rankloom.datasets.log.interaction_log._CHUNK", 2)
    log.record_batch([row(str(i)) for i in range(5)])
    path = tmp_path / "log.parquet"
    log.to_parquet(path)
    before, (first, *_) = path.read_bytes(), log.numbered_frames()

    def broken():
        yield first
        msg = "gone"
        raise StoreError(msg)

    monkeypatch.setattr(log, "numbered_frames", broken)
    with pytest.raises(StoreError, match="gone"):
        log.to_parquet(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir() if "rankloom" in file.name] == []


@pytest.mark.parametrize("wrong", [-1, 2**63, True, 1.5, None])
def test_numbers_of_rows_are_checked(log, wrong):
    for call in (log.rows_after, log.deletions_after):
        with pytest.raises(InvalidInputError, match="seq|number"):
            call(wrong)
        with pytest.raises(InvalidInputError, match="limit"):
            call(0, limit=wrong)


def test_own_types_are_taken_where_they_are_named(url, log):
    with pytest.raises(InvalidInputError, match="unknown type"):
        log.record(row(interaction_type=["swipe"]))
    with InteractionLog(url, types=["swipe"]) as wider:
        assert wider.record(row(interaction_type=["swipe"])).interaction_type == ["swipe"]
        assert len(wider.within("default").find({"interaction_type": "swipe"}).items) == 1


def test_many_threads_share_commits_and_each_gets_its_own_answer(log):
    commits = []
    log.on_commit(lambda: commits.append(1))
    with ThreadPoolExecutor(32) as pool:
        stored = list(pool.map(lambda i: log.record(row(str(i), user_id=f"u{i}")), range(800)))
    assert [each.feature_id for each in stored] == [str(i) for i in range(800)]
    assert len({each.interaction_id for each in stored}) == log.last_row == 800
    assert all(log.get(each.interaction_id) == each for each in stored[::50])
    log.close()
    assert 1 <= len(commits) < 800


def test_threads_that_send_the_same_signal_store_it_once(log):
    start = threading.Barrier(16)

    def send(_):
        start.wait()
        return log.record(row(execution_id="e")).deduplicated

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(send, range(16))) == [False] + [True] * 15


def test_a_callback_that_fails_does_not_stop_the_log(log, caplog):
    log.on_commit(lambda: 1 / 0)
    log.record(row())
    log.record(row())
    log.close()
    assert log.last_row == 2
    assert "on_commit" in caplog.text


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit])
def test_a_callback_that_fails_keeps_no_other_from_its_receipts(log, caplog, failure):
    writer, commits, received = log._file.writer, [], []
    busy, free = threading.Event(), threading.Event()
    log.on_commit(lambda: commits.append(1))

    def hold(_):
        busy.set()
        assert free.wait(30)

    def fail(receipts, _):
        received.extend(receipts)
        raise failure

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(writer.run, hold)
        assert busy.wait(30)
        before = writer.submit([log.prepare(row("a"))])
        writer.send([log.prepare(row("b"))], fail)
        after = writer.submit([log.prepare(row("c"))])
        free.set()
        holding.result(30)
    receipts = [*before.result(30), *after.result(30), *received]
    assert [log.get(each.interaction_id).feature_id for each in receipts] == ["a", "c", "b"]
    assert writer.submit([log.prepare(row("d"))]).result(30)[0].status == "created"
    log.close()
    assert len(commits) == 2, "the three were not of one commit"
    assert "in fail" in caplog.text


def test_a_closed_log_opens_again_with_everything(url):
    log = InteractionLog(url)
    own, log_id = log.record(row()).interaction_id, log.log_id
    log.close()
    log.close()
    with log:
        assert log.get(own).feature_id == "d"
        assert log.log_id == log_id == str(UUID(log_id))


def test_closing_writes_out_what_waits(url):
    log = InteractionLog(url)
    futures = [log.submit([log.prepare(row(str(i)))]) for i in range(200)]
    log.close()
    assert all(future.done() for future in futures)
    assert [future.result()[0].seq for future in futures] == list(range(1, 201))


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "redis://x", "log.db", "sqlite://x/y", "sqlite:///a\0b"]
)
def test_a_url_of_another_form_is_refused(url):
    with pytest.raises(InvalidInputError, match="url"):
        InteractionLog(url)


def test_parameters_are_checked(url):
    for wrong in ({"namespace": ""}, {"retriever_id": ""}, {"timeout": 0}, {"types": "click"}):
        with pytest.raises(InvalidInputError):
            InteractionLog(url, **wrong)
    with InteractionLog(url) as log:
        for wrong in ("", None, 5, "\ud800", "i" * 2_000):
            with pytest.raises(InvalidInputError, match="interaction_id"):
                log.get(wrong)


def test_a_missing_folder_is_reported(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/no/log.db") as log:
        with pytest.raises(StoreError, match="folder"):
            log.record(row())
        with pytest.raises(StoreError, match="folder"):
            log.get("x")
