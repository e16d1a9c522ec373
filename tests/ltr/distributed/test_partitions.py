"""Splitting rows into parts of whole lists, and refusing what LightGBM would accept silently."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.errors import InvalidInputError
from rankloom.ltr.boosting.dataset import TrainingData
from rankloom.ltr.distributed.partitions import Outline, check_outlines, whole_lists

PARAMS = {"objective": "lambdarank", "label_gain": [0.0, 0.5, 1.0]}


def numbered(sizes, *, weighted=True):
    """Lists of these sizes, whose rows and labels say which list and row they are."""
    group = np.array(sizes)
    rows = np.arange(group.sum())
    of_list = np.repeat(np.arange(len(group)), group)
    X = np.column_stack([of_list, rows]).astype(np.float32)
    return TrainingData(X, y=rows, group=group, weight=rows + 0.5 if weighted else None)


@given(
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=60),
    parts=st.integers(1, 8),
    seed=st.integers(0, 3),
)
@settings(max_examples=100)
def test_parts_hold_every_list_once_and_whole(sizes, parts, seed):
    data = numbered(sizes)
    found = list(whole_lists(data, parts, seed))
    assert 1 <= len(found) <= parts
    for part in found:
        of_list = part.X[:, 0].astype(int)
        lists = np.unique(of_list)
        assert part.group.tolist() == [sizes[each] for each in lists]
        assert (np.diff(part.X[:, 1]) > 0).all()
        assert (of_list == np.repeat(lists, part.group)).all()
        assert (part.y == part.X[:, 1]).all()
        assert (part.weight == part.y + 0.5).all()
    rows = np.sort(np.concatenate([part.y for part in found]))
    assert (rows == data.y).all()


@given(
    sizes=st.lists(st.integers(1, 50), min_size=20, max_size=200),
    parts=st.integers(2, 6),
    seed=st.integers(0, 3),
)
@settings(max_examples=100)
def test_parts_differ_by_less_than_the_longest_list_from_an_equal_share(sizes, parts, seed):
    found = list(whole_lists(numbered(sizes), parts, seed))
    share = sum(sizes) / parts
    assert all(abs(len(part.y) - share) <= max(sizes) for part in found)


def test_one_part_is_the_data_itself():
    data = numbered([3, 1, 2], weighted=False)
    [part] = whole_lists(data, 1, 0)
    assert part is data


def test_lists_go_to_parts_at_random_by_the_seed():
    data = numbered([2] * 100)
    first = [part.y.tolist() for part in whole_lists(data, 2, 0)]
    assert first == [part.y.tolist() for part in whole_lists(data, 2, 0)]
    assert first != [part.y.tolist() for part in whole_lists(data, 2, 1)]
    half = np.array(first[0]) < 100
    assert 0.25 < half.mean() < 0.75


def outline(rows=6, *, group=(2, 4), labels=None, columns=2, weights=None):
    y = np.arange(rows) % 3 if labels is None else np.array(labels)
    weight = None if weights is None else np.ones(weights)
    return Outline.of(np.zeros((rows, columns), np.float32), y, np.array(group), weight)


def test_partitions_of_whole_lists_pass():
    check_outlines([outline(), outline(rows=4, group=(4,))], 2, PARAMS)
    check_outlines([outline(labels=[0.1, -2.0, 7.5] * 2)], 2, {"objective": "regression"})
    check_outlines([outline(labels=[30] * 6)], 2, {"objective": "lambdarank"})


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        ({"group": (2, 3)}, "groups hold 5 rows .* it has 6: groups and rows are not aligned"),
        ({"group": (2, 5)}, "groups hold 7 rows .* it has 6"),
        ({"group": (0, 6)}, "the shortest 0"),
        ({"rows": 0, "group": (), "labels": []}, "holds no rows"),
        ({"columns": 3}, "has 3 columns, expected the same 2 everywhere"),
        ({"labels": [0, 1, 2]}, "has 6 rows, 3 labels"),
        ({"weights": 5}, "6 labels, 5 weights"),
        ({"weights": 6}, "some partitions have weights and others have none"),
        ({"labels": [0, 1, 3] * 2}, "labels must be whole numbers from 0 to 2 .*, got 0.0 to 3.0"),
        ({"labels": [0, 1, -1] * 2}, "got -1.0 to 1.0"),
        ({"labels": [0, 1, 0.5] * 2}, "whole numbers"),
        ({"labels": [0, 1, np.nan] * 2}, "no finite number"),
    ],
)
def test_partitions_that_lightgbm_may_not_see_are_refused(faulty, message):
    with pytest.raises(InvalidInputError, match=rf"partition 1 of 2: .*{message}"):
        check_outlines([outline(), outline(**faulty)], 2, PARAMS)
