"""Units are found by their keys, however many there are and however they came."""

import numpy as np

from rankloom._shared.ids import stable_ids
from rankloom.bandit.base.code_table import CodeTable
from rankloom.bandit.evidence.evidence import Evidence
from rankloom.bandit.interactions.columns import EventColumns
from rankloom.bandit.units.record import UnitRow
from rankloom.bandit.units.unit_table import UnitTable


def evidence_of_many_units():
    """Fold in batches, each into an index that grew by the one before."""
    rng, evidence = np.random.default_rng(1), Evidence(["text"])
    for size in (10, 100, 1_000, 5_000):
        columns = EventColumns(
            execution=rng.integers(0, 40, size),
            executions=[f"e{i}" for i in range(40)],
            document=rng.integers(0, 60, size),
            documents=[f"d{i}" for i in range(60)],
            types=np.zeros(size, int),
            type_sets=[["impression"]],
            time=rng.integers(0, 10**13, size),
            position=np.zeros(size, int),
        )
        evidence.update(columns)
    return evidence


def test_the_index_finds_every_unit_however_it_grew():
    """One by one, in batches, and as loaded."""
    units = UnitTable(CodeTable(["text"]), CodeTable())
    ids = stable_ids([f"x{i}" for i in range(3_000)]).tolist()
    for execution in ids:
        units.fold_one(UnitRow(execution, 7, time=1))
    assert [units.find(execution, 7) for execution in ids] == list(range(3_000))
    assert units.find(ids[0], 8) == -1
    grown = evidence_of_many_units()
    for evidence in (grown, Evidence.from_bytes(grown.to_bytes())):
        units = evidence.state.units
        keys = units.records[["execution", "document"]].tolist()
        assert [units.find(*key) for key in keys] == list(range(len(keys)))


def test_many_units_are_found_at_once_as_one_by_one():
    none = np.arange(3, dtype=np.uint64)
    assert UnitTable(CodeTable(["text"]), CodeTable()).find_all(none, none).tolist() == [-1] * 3
    units = evidence_of_many_units().state.units
    records = units.records
    at = np.random.default_rng(0).permutation(np.repeat(np.arange(len(records)), 2))
    executions, documents = records["execution"][at].copy(), records["document"][at].copy()
    documents[::3] ^= np.uint64(1)
    pairs = zip(executions.tolist(), documents.tolist(), strict=True)
    found = units.find_all(executions, documents)
    assert found.tolist() == [units.find(*pair) for pair in pairs]
    assert (found < 0).sum() == len(found[::3])


def test_capacity_for_units_grows_by_a_quarter_where_there_are_many():
    units = UnitTable(CodeTable(["text"]), CodeTable())
    for execution in range(1, 30_000):
        units.fold_one(UnitRow(execution, 7, time=1))
        if execution > 16_384:
            assert len(units._records) <= 1.25 * len(units) + 1
