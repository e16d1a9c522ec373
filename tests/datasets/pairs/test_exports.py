"""Training pairs survive the way into other forms and back."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_svmlight_file

from rankloom.datasets import TrainingPairs, load_letor, load_pairs, simulate_interactions
from rankloom.errors import InvalidInputError, UnreadableSourceError


@pytest.fixture(scope="module")
def pairs():
    log = simulate_interactions(n_executions=60, random_state=5)
    found = load_pairs(log, context=["session_id"], half_life=30.0)
    found.examination = (1 / (found.position + 1)).astype(np.float32)
    return found


def test_parquet_gives_back_every_field(tmp_path, pairs):
    pairs.to_parquet(tmp_path / "pairs.parquet")
    back = TrainingPairs.from_parquet(tmp_path / "pairs.parquet")
    arrays = "X y clicked negative group position document_score age_days weight time examination"
    for name in arrays.split():
        before, after = getattr(pairs, name), getattr(back, name)
        np.testing.assert_array_equal(before, after, err_msg=name)
        assert before.dtype == after.dtype, name
    assert back.X.flags.c_contiguous
    assert back.feature_names == pairs.feature_names
    assert back.categories == pairs.categories
    assert back.report == pairs.report
    for name in ("execution_id", "query_id", "document_id"):
        assert getattr(back, name).equals(getattr(pairs, name)), name
    assert back.context["session_id"].equals(pairs.context["session_id"])


def test_parquet_of_a_part_holds_only_that_part(tmp_path, pairs):
    part = pairs.take([3, 1])
    part.to_parquet(tmp_path / "part.parquet")
    back = TrainingPairs.from_parquet(tmp_path / "part.parquet")
    assert back.execution_id.to_list() == [pairs.execution_id[3], pairs.execution_id[1]]
    np.testing.assert_array_equal(back.X, part.X)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(UnreadableSourceError, match=r"x\.parquet"):
        TrainingPairs.from_parquet(tmp_path / "x.parquet")


def test_somebody_elses_parquet_is_refused(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UnreadableSourceError, match="no Parquet file of training pairs"):
        TrainingPairs.from_parquet(tmp_path / "x.parquet")


def test_svmlight_reads_back_through_the_letor_loader(tmp_path, pairs):
    pairs.to_svmlight(tmp_path / "pairs.txt", documents=True)
    back = load_letor(tmp_path / "pairs.txt")
    np.testing.assert_array_equal(back.X, pairs.X)
    np.testing.assert_array_equal(back.y, pairs.y)
    np.testing.assert_array_equal(back.group, pairs.group)
    assert back.document_id.to_list() == pairs.document_id.to_list()


def read_by_scikit_learn(path):
    X, y, query = load_svmlight_file(path, dtype=np.float32, query_id=True)
    return X.toarray(), y, np.unique(query, return_counts=True)[1]


def read_by_xgboost(path):
    xgboost = pytest.importorskip("xgboost")
    with pytest.warns(UserWarning, match="Text file input"):
        matrix = xgboost.DMatrix(f"{path}?format=libsvm")
    values = matrix.get_data()
    assert values.shape[1] <= 5  # it counts features from 0, and svmlight from 1
    X = np.full((values.shape[0], 5), np.nan, dtype=np.float32)
    X[np.repeat(np.arange(len(X)), np.diff(values.indptr)), values.indices] = values.data
    return X[:, 1:], matrix.get_label(), np.diff(matrix.get_uint_info("group_ptr"))


@pytest.mark.parametrize("reader", [read_by_scikit_learn, read_by_xgboost])
def test_svmlight_is_read_by_others_with_missing_values_missing(tmp_path, pairs, reader):
    """Zeros, values missing at the end of a line, lines without any value, tiny and large ones."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(pairs), 4)).astype(np.float32)
    X[rng.random(X.shape) < 0.4] = np.nan
    X[:6] = [[np.nan] * 4, [0] * 4, [0, np.nan] * 2, [1e30] * 4, [-1e-30] * 4, [3, *[np.nan] * 3]]
    numbered = replace(pairs, X=X, feature_names=tuple("abcd"), categories={})
    numbered.to_svmlight(tmp_path / "pairs.txt")
    values, grades, group = reader(str(tmp_path / "pairs.txt"))
    np.testing.assert_allclose(values, X, rtol=1e-6)
    np.testing.assert_array_equal(grades, pairs.y)
    np.testing.assert_array_equal(group, pairs.group)


def test_pandas_has_one_row_a_pair_with_names_and_categories(pairs):
    frame = pairs.to_pandas()
    assert len(frame) == len(pairs)
    assert frame["y"].tolist() == pairs.y.tolist()
    channels = frame["feature:feature_uri"].dropna()
    assert set(channels) <= set(pairs.categories["feature_uri"])
    assert frame["execution_id"].nunique() == pairs.n_executions


def test_lightgbm_gets_the_arrays_themselves(pairs):
    dataset = pairs.to_lightgbm(position=True)
    assert dataset.data is pairs.X
    dataset.construct()
    np.testing.assert_array_equal(dataset.get_group(), pairs.group)
    np.testing.assert_array_equal(dataset.get_label(), pairs.y)
    np.testing.assert_array_equal(dataset.get_weight(), pairs.weight)
    assert isinstance(dataset, lightgbm.Dataset)


def test_lightgbm_positions_need_positions(pairs):
    judged = pairs.take([0])
    judged.position = np.full_like(judged.position, -1)
    with pytest.raises(InvalidInputError, match="judged, not shown"):
        judged.to_lightgbm(position=True)


def test_take_repeats_and_reorders_executions_whole(pairs):
    twice = pairs.take([2, 0, 2])
    assert twice.n_executions == 3
    rows = [np.arange(*pairs.offsets[[i, i + 1]]) for i in (2, 0, 2)]
    np.testing.assert_array_equal(twice.X, pairs.X[np.concatenate(rows)])
    assert len(pairs.take([])) == 0
    with pytest.raises(InvalidInputError, match="mask"):
        pairs.take([True])
