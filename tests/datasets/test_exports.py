"""Training pairs survive the way into other forms and back."""

from __future__ import annotations

import lightgbm
import numpy as np
import polars as pl
import pytest

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
    pairs.to_svmlight(tmp_path / "pairs.txt")
    back = load_letor(tmp_path / "pairs.txt")
    np.testing.assert_array_equal(back.X, pairs.X)
    np.testing.assert_array_equal(back.y, pairs.y)
    np.testing.assert_array_equal(back.group, pairs.group)
    assert back.document_id.to_list() == pairs.document_id.to_list()


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
