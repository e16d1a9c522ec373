"""Arrays in files are those in memory, and giving their memory back changes nothing."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets.pairs.array_storage import (
    InMemory,
    OnDisk,
    gathered,
    release,
    unchanged_files,
)
from rankloom.datasets.pairs.growing_array import lazy_zeros


def filled(storage, chunks, dtype, shape):
    writer = storage.array("a", dtype, shape)
    for chunk in chunks:
        writer.write(chunk)
    return writer.finish()


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_, np.float64])
@pytest.mark.parametrize("width", [(), (3,), (0,)])
def test_chunks_make_the_same_array_on_disk_and_in_memory(tmp_path, dtype, width):
    rng = np.random.default_rng(0)
    chunks = [rng.integers(0, 2, (n, *width)).astype(dtype) for n in (5, 0, 70)]
    arrays = [filled(each, chunks, dtype, (75, *width)) for each in (InMemory(), OnDisk(tmp_path))]
    for array in arrays:
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, np.concatenate(chunks))


def test_released_arrays_hold_what_they_held_and_changes_stay_private(tmp_path):
    array = filled(OnDisk(tmp_path), [np.arange(100_000)], np.int64, (100_000,))
    release(array, array[5:])
    np.testing.assert_array_equal(array, np.arange(100_000))
    array[0] = 9
    assert np.fromfile(next(tmp_path.glob("*-a.bin")), np.int64)[0] == 0


def test_what_was_written_to_a_mapped_array_outlives_its_release(tmp_path):
    storage = OnDisk(tmp_path)
    changed, other = (filled(storage, [np.arange(100_000)], np.int64, (100_000,)) for _ in range(2))
    changed[70_000] = -1
    files = unchanged_files(changed, other[5:], other, np.arange(3))
    assert [bytes(file[8:16]) for file in files] == [np.int64(1).tobytes()]
    release(changed, other)
    gathered(changed, np.arange(5_000))
    expected = np.arange(100_000)
    np.testing.assert_array_equal(other, expected)
    expected[70_000] = -1
    np.testing.assert_array_equal(changed, expected)


def test_arrays_in_memory_are_left_alone_when_released():
    anonymous = lazy_zeros((10_000,), np.int32)
    anonymous[:] = 7
    plain = np.full(10_000, 7)
    release(anonymous, anonymous[3:], plain)
    assert set(anonymous) == set(plain) == {7}


@given(st.lists(st.lists(st.none() | st.text(max_size=40), max_size=5), max_size=4))
def test_texts_come_back_from_a_mapped_file(tmp_path_factory, chunks):
    series = [pl.Series(chunk, dtype=pl.String) for chunk in chunks]
    folder = Path(tmp_path_factory.mktemp("texts"))
    ours, oracle = (each.texts("t", series) for each in (OnDisk(folder), InMemory()))
    assert ours.to_list() == oracle.to_list() == [text for chunk in chunks for text in chunk]


@pytest.mark.parametrize("width", [(), (3,)])
def test_gathered_rows_are_those_of_the_array(tmp_path, width):
    rng = np.random.default_rng(1)
    values = rng.random((20_000, *width))
    mapped = filled(OnDisk(tmp_path), [values], np.float64, values.shape)
    for rows in (rng.permutation(20_000), np.arange(5), np.empty(0, np.int64)):
        for array in (values, mapped):
            np.testing.assert_array_equal(gathered(array, rows), values[rows])
