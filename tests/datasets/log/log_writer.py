"""A process that records into a log and says what was acknowledged: `python log_writer.py ...`."""

import json
import sys
import threading

from rankloom import InteractionLog

THREADS = 8


def row(writer, number, **fields):
    """Return a row; executions are common to all writers where none is named."""
    given = {
        "feature_id": f"{writer}-{number}",
        "interaction_type": ["click"],
        "position": number % 10,
        "user_id": f"u{writer}",
        "execution_id": f"e{number}",
        "feature_uri": "text",
    }
    return given | fields


def say(*words):
    """Write a line that a killed process leaves behind whole or not at all."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def singly(log, writer, thread):
    """Record one by one, for ever."""
    number = thread
    while True:
        say(log.record(row(writer, number)).interaction_id)
        number += THREADS


def in_batches(log, writer):
    """Record batches, for ever."""
    number = 1_000_000
    while True:
        rows = [row(writer, number + i) for i in range(100)]
        report = log.record_batch(json.dumps(rows).encode())
        say(*[each.interaction_id for each in report.results])
        number += 100


def until_killed(log, writer):
    """Record from many threads until the process is killed."""
    for thread in range(THREADS):
        threading.Thread(target=singly, args=(log, writer, thread), daemon=True).start()
    in_batches(log, writer)


def shared(log, writer, rows):
    """Record rows of one's own, and the same rows as every other writer, each with its own id."""
    for number in range(rows):
        log.record(row(writer, number))
        same = log.record(row("shared", number, interaction_id=f"{writer}:{number}"))
        again = log.record(row("id", number, execution_id=None, interaction_id=f"common:{number}"))
        say(int(same.deduplicated), again.timestamp.timestamp())


if __name__ == "__main__":
    way, url, writer_name, *more = sys.argv[1:]
    # Patience: SQLite grants its lock in no fair order, and others may want it all the time.
    with InteractionLog(url, timeout=600.0) as opened:
        if way == "until_killed":
            until_killed(opened, writer_name)
        shared(opened, writer_name, int(more[0]))
