"""A process that learns its share of a log into a store: `python store_writer.py URL ...`."""

import sys

import numpy as np

from rankloom.bandit import EventColumns, Evidence
from rankloom.bandit.store.opening import open_store

ARMS = ["text", "image", "audio"]
SEGMENTS = [("de",), ("fr",), ("it",)]
START = 1_770_000_000_000_000
DAY = 86_400_000_000
STEP = 30 * DAY // 5_000
TYPES = [["impression"], ["impression", "click"], ["click"], ["purchase"], ["skip"]]


def events(writer, n, executions=5_000):
    """Return one writer's rows; executions are common to all, so writers meet in their units.

    All rows of an execution lie within one STEP.
    """
    rng = np.random.default_rng(writer)
    execution = rng.integers(executions, size=n)
    return EventColumns(
        execution=execution,
        executions=[f"e{i}" for i in range(executions)],
        document=rng.integers(10, size=n),
        documents=[f"d{i}" for i in range(10)],
        types=rng.integers(len(TYPES), size=n),
        type_sets=TYPES,
        time=START + execution * STEP + rng.integers(STEP, size=n),
        position=rng.integers(10, size=n),
        feature_uri=rng.integers(3, size=n),
        feature_uris=ARMS,
        user=execution % 50,
        users=[f"u{i}" for i in range(50)],
        session=execution % 500,
        sessions=[f"s{i}" for i in range(500)],
        segment=execution % 3,
        segments=SEGMENTS,
        scores=np.where(rng.random((n, 3)) < 0.3, np.nan, rng.random((n, 3))),
        weights=rng.random((n, 3)),
    )


def part(columns, rows):
    """Return some of the rows."""
    from dataclasses import replace

    names = (
        *("execution", "document", "types", "time", "position", "feature_uri"),
        *("user", "session", "segment", "scores", "weights"),
    )
    return replace(columns, **{name: getattr(columns, name)[rows] for name in names})


def make_evidence(**settings):
    """Return an empty evidence with the settings of all writers."""
    return Evidence(ARMS, **{"segment_by": ["country"], **settings})


def write(store, columns, batch=500, resend=5):
    """Send the rows in batches, every fifth of them again later.

    It prints how far it is, and goes on at the next line of stdin or at its end.
    """
    starts = list(range(0, len(columns), batch))
    again = starts[::resend]
    for start in starts + again:
        delta = make_evidence()
        delta.update(part(columns, slice(start, start + batch)))
        store.apply(delta)
        sys.stdout.write(f"{start}\n")
        sys.stdout.flush()
        sys.stdin.readline()


if __name__ == "__main__":
    url, namespace, number, size = sys.argv[1:]
    # A long timeout: SQLite's lock is not given in the order of requests.
    with open_store(url, namespace=namespace, timeout=600.0) as opened:
        write(opened, events(int(number), int(size)))
