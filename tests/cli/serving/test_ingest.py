"""Messages of a queue into a log: each once, acknowledged when committed, bad lines kept apart."""

import json
import subprocess
import sys
import threading

import pytest

from rankloom import InteractionLog
from rankloom.cli.serving.messages import MAX_LINE, in_batches, parse_message

ROW = {"feature_id": "d", "interaction_type": ["click"], "position": 0}


def message(offset, partition=0, topic="events", **fields):
    place = {"topic": topic, "partition": partition, "offset": offset}
    return {**place, "payload": json.dumps({**ROW, "execution_id": f"e{offset}", **fields})}


def text(*lines):
    return "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)


@pytest.fixture
def log(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/log.db", namespace="shop") as log:
        yield log


@pytest.fixture
def ingested(run, tmp_path):
    """A function that ingests lines by a file, and returns what is printed."""

    def ingested(*lines, **options):
        (tmp_path / "lines").write_text(text(*lines))
        given = [f"--{name}={value}" for name, value in options.items()]
        url = f"sqlite:///{tmp_path}/log.db"
        done = run("ingest", tmp_path / "lines", "--log", url, "--namespace", "shop", *given)
        assert done.code == 0, done.err
        return done

    return ingested


@pytest.mark.parametrize("name", ["payload", "message", "value", None])
@pytest.mark.parametrize("as_text", [True, False])
def test_messages_of_every_consumer_are_read(ingested, log, name, as_text):
    """kcat -J and Fluent Bit call it payload, Vector message; or the fields stand beside them."""
    place = {"topic": "events", "partition": 3, "offset": 7, "key": None}
    body = json.dumps(ROW) if as_text else ROW
    given = {**place, **ROW} if name is None else {**place, name: body}
    assert ingested(given).out == "events 3 8\n"
    assert [each.feature_id for each in log.find().items] == ["d"]
    assert "0 new" in ingested(given).err


def test_a_message_counts_once_however_often_it_comes(ingested, log):
    given = [message(n, partition=n % 2) for n in range(50)]
    ingested(*given, *given[::-1])
    assert "0 new" in ingested(*given).err
    assert len(log.find(limit=1_000).items) == 50
    # The same offset of another partition or topic is another message.
    ingested(message(1, partition=7, execution_id="w"), message(1, topic="t", execution_id="x"))
    assert len(log.find(limit=1_000).items) == 52


def test_bad_lines_are_kept_with_their_place_and_counted_and_the_rest_is_recorded(
    ingested, log, tmp_path
):
    bad = tmp_path / "bad.jsonl"
    nested = "[" * 2_000 + "]" * 2_000
    given = [message(0), message(1, position=-1), "{", nested, "x" * (MAX_LINE + 5), message(5)]
    done = ingested(*given, quarantine=bad)
    found = [json.loads(line) for line in bad.read_text().splitlines()]
    assert [each["line"] for each in found] == [2, 3, 4, 5]
    assert (found[0]["offset"], found[0]["field"]) == (1, "position")
    assert all(each["reason"] for each in found)
    assert "6 lines read: 2 new" in done.err
    assert done.out.splitlines()[-1] == "events 0 6"
    assert len(log.find().items) == 2


def test_it_goes_on_where_the_offsets_say(ingested, log, tmp_path):
    offsets = tmp_path / "offsets"
    ingested(*(message(n) for n in range(20)), offsets=offsets)
    assert offsets.read_text() == "events 0 20\n"
    done = ingested(*(message(n) for n in range(10, 30)), message(0, partition=1), offsets=offsets)
    assert "10  committed before, by --offsets" in done.err
    assert offsets.read_text() == "events 0 30\nevents 1 1\n"
    assert len(log.find(limit=1_000).items) == 30  # that of partition 1 repeats e0 within minutes


def test_killed_at_any_moment_it_loses_and_doubles_nothing(tmp_path, log):
    """Whatever was acknowledged is there; started again from the beginning, each counts once."""
    command = [sys.executable, "-m", "rankloom", "ingest", "-", "--namespace", "shop"]
    command += ["--log", f"sqlite:///{tmp_path}/log.db", "--offsets", str(tmp_path / "offsets")]
    number, sent = 4_000, tmp_path / "lines"
    sent.write_text(text(*(message(n) for n in range(number))))
    with sent.open() as given:
        first = subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, text=True)
    with first:
        acknowledged = int(first.stdout.readline().split()[-1])
        first.kill()
    stored = {each.execution_id for each in everything(log)}
    assert {f"e{n}" for n in range(acknowledged)} <= stored
    with sent.open() as given:
        second = subprocess.run(command, stdin=given, capture_output=True, text=True, check=True)
    assert second.stdout.splitlines()[-1] == f"events 0 {number}"
    found = [each.execution_id for each in everything(log)]
    assert sorted(found) == sorted(f"e{n}" for n in range(number))


def everything(log):
    found, cursor = [], None
    while True:
        page = log.find(limit=1_000, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_what_has_come_is_committed_though_nothing_follows():
    """A queue that is silent must not keep back what it has sent."""
    silent = threading.Event()

    def messages():
        yield parse_message(b"1")
        silent.wait()

    batches = in_batches(messages(), most=10, wait=0.01)
    assert [each.record for each in next(batches)] == [b"1"]
    silent.set()
    assert list(batches) == []


def test_a_wrong_file_or_url_is_refused(run, tmp_path):
    run("ingest", tmp_path / "none", "--log", "sqlite:///x.db").assert_refused("none")
    run("ingest", "-", "--log", "mysql://x").assert_refused("mysql")
    (tmp_path / "offsets").write_text("events zero 1")
    given = ("--offsets", tmp_path / "offsets", "--log", f"sqlite:///{tmp_path}/log.db")
    run("ingest", "-", *given).assert_refused("--offsets", "TOPIC PARTITION NEXT")
