from __future__ import annotations

import mmap
import os
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom._shared.digests import with_digest
from rankloom.errors import IntegrityError, StoreError, UnreadableSourceError
from rankloom.ltr import QueryMemory
from rankloom.ltr.memory.files import parse


@pytest.fixture(scope="module")
def memory(parts, memory_of):
    log, _ = parts
    return memory_of(log, log)


@pytest.fixture(scope="module")
def data(memory):
    return memory.to_bytes()


@pytest.mark.parametrize("options", [{}, {"serving": True}, {"names": False}])
def test_a_loaded_memory_serves_what_was_saved(memory, tmp_path, options):
    memory.save(tmp_path / "memory", **options)
    loaded = QueryMemory.load(tmp_path / "memory")
    numbers = ["clicks", "exposure", "prior", "relevance", "lower", "upper"]
    query = memory.table()["query_id"][0]
    ids = memory.table()["feature_id"].to_list()
    np.testing.assert_array_equal(loaded.relevance(query, ids), memory.relevance(query, ids))
    if options.get("names", True):
        assert loaded.table().equals(memory.table())
    else:
        assert loaded.table()["query_id"].str.starts_with("#").all()
        key = ["clicks", "exposure", "prior"]
        assert loaded.table()[numbers].sort(key).equals(memory.table()[numbers].sort(key))
    assert loaded.to_bytes(**options) == memory.to_bytes(**options)
    assert loaded.summary() == memory.summary()


def test_arrays_are_mapped_not_read(memory, tmp_path):
    memory.save(tmp_path / "memory")
    array = QueryMemory.load(tmp_path / "memory").served.table.document
    assert not array.flags.owndata
    assert not array.flags.writeable
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


def test_a_loaded_memory_learns_on(parts, memory_of, tmp_path):
    log, pieces = parts
    memory_of(log, pieces[0]).save(tmp_path / "memory")
    loaded = QueryMemory.load(tmp_path / "memory")
    loaded.update(pieces[1])
    loaded.update(pieces[2])
    assert loaded.table().equals(memory_of(log, log).table())


def test_size_stays_within_48_bytes_for_a_query_document(make_pairs):
    log = make_pairs(4_000, queries=400, documents=15, shuffled=True)
    memory = QueryMemory().fit(log)
    header = len(QueryMemory().fit(make_pairs(30, queries=1)).to_bytes(serving=True, names=False))
    documents = len(memory.served.table.document)
    assert len(memory.to_bytes(serving=True)) - header < 48 * documents
    assert len(memory.to_bytes(serving=True, names=False)) - header < 24 * documents


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_damage_is_found(data, place, bit):
    damaged = bytearray(data)
    damaged[int(place * len(data))] ^= 1 << bit
    with pytest.raises(IntegrityError):
        parse(bytes(damaged))


@given(st.floats(0, 1, exclude_max=True))
def test_any_cut_is_found(data, share):
    with pytest.raises(IntegrityError):
        parse(data[: int(share * len(data))])


def test_signed_nonsense_is_refused_without_a_crash(data):
    generator = random.Random(0)
    body = data[:-32]
    for _ in range(200):
        changed = bytearray(body)
        start = generator.randrange(24, len(body) // 3)
        changed[start : start + 8] = generator.randbytes(generator.randrange(9))
        try:
            parse(with_digest(bytes(changed)))
        except IntegrityError as error:
            assert "build the memory again" in str(error)  # noqa: PT017 - some changes are harmless


def test_another_format_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"rankloom-query-memory 2\n" + b"x" * 99)
    with pytest.raises(IntegrityError, match="expected a memory that begins with"):
        QueryMemory.load(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IntegrityError):
        QueryMemory.load(tmp_path / "file")


def test_files_that_cannot_be_read_or_written(memory, tmp_path):
    with pytest.raises(UnreadableSourceError, match="cannot be read"):
        QueryMemory.load(tmp_path / "none")
    with pytest.raises(StoreError, match="cannot save the memory"):
        memory.save(tmp_path / "none" / "memory")


def test_a_save_replaces_the_file_under_a_reader(parts, memory_of, tmp_path):
    log, pieces = parts
    path = tmp_path / "memory"
    memory_of(log, log).save(path)
    reader = QueryMemory.load(path)
    before = reader.table()
    memory_of(log, pieces[0]).save(path)
    assert reader.table().equals(before)
    assert os.listdir(tmp_path) == ["memory"]  # noqa: PTH208
