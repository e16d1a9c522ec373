"""Many processes, resends and kills: every event counts once."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rankloom.bandit.store.opening import open_store

WRITER = Path(__file__).with_name("store_writer.py")
spec = importlib.util.spec_from_file_location("store_writer", WRITER)
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)


def start(url, namespace, number, size, *, stepwise=False):
    """Start a writer that goes on by itself, or after a line on stdin for each batch."""
    return subprocess.Popen(
        [sys.executable, WRITER, url, namespace, str(number), str(size)],
        stdin=subprocess.PIPE if stepwise else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_in_the_middle(process, lines):
    """Kill a writer in a batch after some others, whatever it is doing then."""
    for _ in range(lines):
        assert process.stdout.readline()
        process.stdin.write("go on\n")
        process.stdin.flush()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def assert_same_sums(ours, theirs):
    contexts = [(), *(("segment", *values) for values in writer.SEGMENTS)]
    time = theirs.latest
    left, right = ours.sums(contexts, time=time), theirs.sums(contexts, time=time)
    for name in ("N", "S", "F", "Q", "A", "b"):
        np.testing.assert_allclose(
            getattr(left, name), getattr(right, name), rtol=1e-9, err_msg=name
        )
    (keys, left), (expected, right) = ours.user_sums(time=time), theirs.user_sums(time=time)
    assert keys.tolist() == expected.tolist()
    for name in ("N", "S", "F", "Q"):
        np.testing.assert_allclose(
            getattr(left, name), getattr(right, name), rtol=1e-9, err_msg=name
        )


def learn_in_one_process(numbers, size):
    evidence = writer.make_evidence()
    for number in numbers:
        evidence.update(writer.events(number, size))
    return evidence


def run_writers(url, namespace, count, size, *, killed):
    """Run writers side by side; some are killed on their way and started again."""
    running = [
        start(url, namespace, number, size, stepwise=number < len(killed))
        for number in range(count)
    ]
    for number, after in enumerate(killed):
        kill_in_the_middle(running[number], after)
        running[number] = start(url, namespace, number, size)
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


@pytest.mark.parametrize(
    ("count", "size", "killed"),
    [(2, 2_000, [2]), pytest.param(8, 20_000, [12, 24], marks=pytest.mark.slow)],
)
def test_events_of_killed_and_repeating_writers_count_once(
    store_url, namespace, count, size, killed
):
    run_writers(store_url, namespace, count, size, killed=killed)
    expected = learn_in_one_process(range(count), size)
    with open_store(store_url, namespace=namespace) as store:
        assert_same_sums(store.load(), expected)


@pytest.mark.parametrize(
    ("count", "size"), [(1, 3_000), pytest.param(8, 20_000, marks=pytest.mark.slow)]
)
def test_compaction_while_others_write_counts_once(store_url, namespace, count, size):
    """What was closed is closed for good; what came too late is refused, never doubled.

    No unit has rows on both sides of a line, and all rows before it are there when it comes: so
    the sums are those of one process.
    """
    line = writer.START + 2_600 * writer.STEP
    expected = learn_in_one_process(range(count), size)
    with open_store(store_url, namespace=namespace, timeout=600.0) as store:
        for number in range(count):
            columns = writer.events(number, size)
            early = writer.make_evidence()
            early.update(writer.part(columns, columns.time < line))
            store.apply(early)
        running = [start(store_url, namespace, number, size) for number in range(count)]
        closed = 0
        steps = 0
        while any(process.poll() is None for process in running):
            steps += 1
            closed += store.compact(min(line, writer.START + 40 * steps * writer.STEP))
        closed += store.compact(line)
        for process in running:
            _, errors = process.communicate()
            assert process.returncode == 0, errors
        assert closed == store.load().summary.closed_units
        expected.compact(line)
        loaded = store.load()
    assert closed == expected.summary.closed_units
    assert_same_sums(loaded, expected)
