"""An engagement matrix as a file: read back unchanged, opened by SciPy, refused when damaged."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from rankloom.datasets.pairs.load_report import LoadReport
from rankloom.errors import IntegrityError, StoreError, UnreadableSourceError
from rankloom.retrieval import EngagementMatrix, EngagementReport

IDS = ["", "a\0", "ä", "x" * 300]


@pytest.fixture
def matrix():
    engagement = sparse.csr_matrix(np.eye(4, 3, dtype=np.float32))
    negatives = sparse.csr_matrix(np.ones((4, 3), np.float32))
    report = EngagementReport(executions=7, load=LoadReport(rows_read=9, notes=["a note"]))
    return EngagementMatrix(engagement, negatives, pl.Series(IDS), pl.Series(IDS[:3]), report)


def test_a_file_is_read_back_unchanged_and_by_scipy(matrix, tmp_path):
    path = tmp_path / "matrix.npz"
    matrix.save(path)
    found = EngagementMatrix.load(path)
    assert found.user_ids.to_list() == IDS
    assert found.document_ids.to_list() == IDS[:3]
    assert found.report == matrix.report
    assert found.to_frame().equals(matrix.to_frame())
    by_scipy = sparse.load_npz(path)
    assert by_scipy.dtype == np.float32
    assert (by_scipy != matrix.engagement).nnz == 0


def test_a_damaged_file_is_refused(matrix, tmp_path):
    path, damaged = tmp_path / "matrix.npz", tmp_path / "damaged.npz"
    matrix.save(path)
    data = path.read_bytes()
    for place in range(40, len(data), 97):
        changed = bytearray(data)
        changed[place] ^= 1
        damaged.write_bytes(changed)
        try:
            found = EngagementMatrix.load(damaged)
        except IntegrityError as error:
            assert "damaged.npz" in str(error)  # noqa: PT017 - some bytes of a ZIP mean nothing
        else:
            assert found.to_frame().equals(matrix.to_frame())
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        damaged.write_bytes(data[:cut])
        with pytest.raises(IntegrityError):
            EngagementMatrix.load(damaged)


def test_other_files_are_refused(matrix, tmp_path):
    sparse.save_npz(tmp_path / "other.npz", matrix.engagement)
    np.savez(tmp_path / "pickle.npz", kind=np.array({}, object))
    np.save(tmp_path / "one.npy", np.arange(3))
    for name in ("other.npz", "pickle.npz", "one.npy"):
        with pytest.raises(IntegrityError):
            EngagementMatrix.load(tmp_path / name)
    with pytest.raises(UnreadableSourceError):
        EngagementMatrix.load(tmp_path / "missing.npz")
    with pytest.raises(StoreError):
        matrix.save(tmp_path / "missing" / "matrix.npz")
