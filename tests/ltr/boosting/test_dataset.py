"""Training data of lists that are longer than LightGBM takes."""

from __future__ import annotations

import numpy as np

from rankloom.ltr.boosting.dataset import MAX_LIST, TrainingData, split_long_lists


def data_of(group):
    rows = sum(group)
    values = np.arange(rows)
    return TrainingData(
        X=values[:, None].astype(np.float32),
        y=values,
        group=np.array(group),
        weight=values.astype(np.float32),
        position=values.astype(np.int32),
    )


def test_lists_within_the_limit_are_used_as_they_are():
    data = data_of([3, MAX_LIST, 1])
    assert split_long_lists(data) is data


def test_a_long_list_is_split_into_equal_samples_of_itself():
    group = [3, 2 * MAX_LIST + 1, 5]
    split = split_long_lists(data_of(group))
    assert split.split_lists == 1
    assert split.group.tolist() == [3, 6667, 6667, 6667, 5]
    ends = np.cumsum(split.group)
    for start, end in zip(ends - split.group, ends, strict=True):
        rows = split.y[start:end]
        assert (np.diff(rows) > 0).all()
        if end - start > 5:
            assert (np.diff(rows) == 3).all()
    np.testing.assert_array_equal(np.sort(split.y), np.arange(sum(group)))
    for values in (split.X[:, 0], split.weight, split.position):
        np.testing.assert_array_equal(values, split.y)
