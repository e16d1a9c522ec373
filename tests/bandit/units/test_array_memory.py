"""Units whose arrays lie on disk: the same units, and memory that does not grow with them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FOLDING = """
import numpy as np
from rankloom.bandit.base.code_table import CodeTable
from rankloom.bandit.units.fold_arrays import RowArrays
from rankloom.bandit.units.array_memory import BeyondMemory
from rankloom.bandit.units.unit_table import UnitTable


def resident():
    with open("/proc/self/status") as lines:
        sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["VmRSS"].split()[0]) / 1024


def fold(table, start, rows):
    each, zero = np.arange(rows, dtype=np.int32), np.zeros(rows, np.int32)
    none, ids = np.full(rows, -1, np.int32), np.arange(start, start + rows, dtype=np.uint64)
    one = np.ones(1, np.uint8)
    table.fold(
        RowArrays(
            each, ids + np.uint64(1), each, ids, none, ids, none, ids, none, ids,
            none, zero, zero, zero, zero, one, one * 0, one * 5, ids.astype(np.int64),
            ids.astype(np.int64), zero, np.empty(0, np.int32),
        ),
        table.scores,
        table.contributions,
    )


"""

GROWTH = """
table = UnitTable(CodeTable(["text"]), CodeTable(), BeyondMemory(2**20))
for start in range(0, 400_000, 10_000):
    fold(table, start, 10_000)
before = resident()
for start in range(400_000, 1_600_000, 10_000):
    fold(table, start, 10_000)
places = table.find_all(np.array([1, 1_600_000], np.uint64), np.array([0, 1_599_999], np.uint64))
print(len(table), places.tolist(), table.records["time"][[0, -1]].tolist(), sep=";", end=";")
print(resident() - before)
"""

FORK = """
import os
table = UnitTable(CodeTable(["text"]), CodeTable(), BeyondMemory(0))
fold(table, 0, 1_000)
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    fold(table, 2_000, 500)
    keys = np.array([[2_001, 5_001], [2_000, 5_000]], np.uint64)
    places = table.find_all(*keys)
    print(len(table), places.tolist(), table.records["time"][1_000])
else:
    fold(table, 5_000, 10)
    table.records["time"][:] = -1
    found = table.find(5_001, 5_000), table.find(1, 0), len(table)
    os._exit(0 if found == (1_000, 0, 1_010) else 1)
"""

FULL = """
import resource
import numpy as np
from rankloom.bandit.units.array_memory import BeyondMemory
from rankloom.errors import StoreError

resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    BeyondMemory(2**10).zeros((2**21,), np.uint8)
except StoreError as error:
    print(error)
"""


def printed(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_does_not_grow_with_the_units():
    units, places, times, growth = printed(FOLDING + GROWTH).split(";")
    assert (units, places, times) == ("1600000", "[0, 1599999]", "[0, 1599999]")
    # In memory 1,200,000 more units and their index are 150 MB.
    assert float(growth) < 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_changes_units_of_its_own():
    assert printed(FOLDING + FORK).split() == ["1500", "[1000,", "-1]", "2000"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_is_a_clear_error():
    assert "no space left in" in printed(FULL)
    assert "TMPDIR" in printed(FULL)
