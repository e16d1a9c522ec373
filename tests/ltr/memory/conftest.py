"""Memories of parts of one log."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from rankloom.ltr import QueryMemory

CURVE = 1 / np.arange(1.0, 11.0)


@pytest.fixture(scope="session")
def parts(make_pairs):
    """One log with users, and its executions in parts that overlap."""
    log = make_pairs(240, queries=6, per_execution=5, shuffled=True, random_state=8)
    log.context = {"user_id": pl.Series([f"user-{i % 7}" for i in range(240)])}
    return log, [log.take(np.arange(start, start + 100)) for start in (0, 70, 140)]


@pytest.fixture(scope="session")
def memory_of():
    """Return a memory that learnt pairs in its own name, with the estimates of the whole log."""

    fitted = {}

    def memory_of(log, pairs, source="a", **options):
        key = (id(log), source, repr(options))
        if key not in fitted:  # the log is held too: no other one gets its id
            memory = QueryMemory(examination=CURVE, source=source, **options).fit(log)
            memory.evidence.state = type(memory.evidence.state)()
            fitted[key] = log, memory.to_bytes()
        memory = QueryMemory.load_bytes(fitted[key][1])
        memory.update(pairs)
        return memory

    return memory_of
