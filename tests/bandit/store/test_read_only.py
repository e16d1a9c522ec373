"""A store on a volume that cannot be written: it is read, and says why it is not written."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from rankloom.bandit import Evidence, LogPosition, open_store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")

READER = """
import sys
from rankloom.bandit import Evidence, FusionBandit, open_store
from rankloom.errors import StoreError
store = open_store(sys.argv[1])
def attempt(step):
    try:
        print(step())
    except StoreError as error:
        print("StoreError:", error)
attempt(lambda: store.load().sums().N.tolist())
attempt(lambda: (store.log_position().row, store.get_snapshot()))
attempt(lambda: FusionBandit(["text"], store=store).mean())
batch = store.fresh()
batch.add_arm("other")
attempt(lambda: store.apply(batch))
sys.stdin.readline()
attempt(lambda: store.load().sums().N.tolist())
"""


def batch(execution):
    evidence = Evidence(["text"], retriever_id="default")
    row = {"execution_id": execution, "feature_id": "d", "interaction_type": ["impression"]}
    row |= {"position": 0, "feature_uri": "text", "timestamp": "2026-01-31", "user_id": "u"}
    evidence.update([row])
    return evidence


def fill(path):
    store = open_store(f"sqlite:///{path}")
    store.apply(batch("a"), log_position=LogPosition("log", 7))
    store.put_snapshot("s", "weights")
    return store


@contextmanager
def read_only_folder():
    """Yield a folder and a function that takes the right to write in it away or gives it back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def allow_writing(allowed):
            folder.chmod(0o755 if allowed else 0o555)
            for path in folder.iterdir():
                path.chmod(0o644 if allowed else 0o444)

        try:
            yield folder, allow_writing
        finally:
            allow_writing(True)


def obey_permissions():
    """Take from a process of root what lets it write everywhere."""
    if os.getuid() == 0:
        drop_from_bounding_set, may_override, may_search = 24, 1, 2
        library = ctypes.CDLL(None, use_errno=True)
        for capability in (may_override, may_search):
            assert library.prctl(drop_from_bounding_set, capability, 0, 0, 0) == 0


@contextmanager
def reader(path):
    command = [sys.executable, "-c", READER, f"sqlite:///{path}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        text=True,
        preexec_fn=obey_permissions,  # noqa: PLW1509 - system calls only
    ) as running:
        yield running


def test_a_store_that_was_closed_is_read_and_its_changes_too():
    """Nothing but the file is there; when it changes, it is read anew."""
    with read_only_folder() as (folder, allow_writing):
        fill(folder / "fusion.db").close()
        allow_writing(False)
        with reader(folder / "fusion.db") as running:
            lines = [running.stdout.readline().strip() for _ in range(4)]
            allow_writing(True)
            with open_store(f"sqlite:///{folder}/fusion.db") as store:
                store.apply(batch("b"))
            allow_writing(False)
            last, _ = running.communicate("go on\n")
        assert list(folder.iterdir()) == [folder / "fusion.db"]
    assert lines[:3] == ["[[1.0]]", "(7, 'weights')", "{'text': 1.0}"]
    assert lines[3].startswith("StoreError")
    assert "nothing of this batch was written: attempt to write a readonly database" in lines[3]
    assert last.strip() == "[[2.0]]"


def test_changes_in_a_write_ahead_log_are_read_or_an_error():
    """Where shared memory is there it is read; a copy without it says what to do."""
    for names, expected in ((["", "-wal", "-shm"], "[[1.0]]"), (["", "-wal"], "StoreError: ")):
        with read_only_folder() as (folder, allow_writing), tempfile.TemporaryDirectory() as other:
            with fill(f"{other}/fusion.db"):
                for name in names:
                    shutil.copy(f"{other}/fusion.db{name}", folder)
            allow_writing(False)
            with reader(folder / "fusion.db") as running:
                out, _ = running.communicate("go on\n")
        first = out.splitlines()[0]
        assert first.startswith(expected), out
        assert first == expected or "where it can be written" in first
