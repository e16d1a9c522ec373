"""Folds share no query, test every execution once, and are those of scikit-learn's GroupKFold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, check_cv, cross_val_score

from rankloom.datasets import QueryKFold, load_pairs, simulate_interactions
from rankloom.errors import InvalidInputError


@pytest.fixture(scope="module")
def pairs():
    return load_pairs(simulate_interactions(n_executions=200, random_state=0))


@pytest.mark.parametrize("options", [{}, {"shuffle": True, "random_state": 3}])
def test_folds_share_no_query_and_test_every_execution_once(pairs, options):
    folds = QueryKFold(4, **options)
    assert folds.get_n_splits(pairs) == 4
    tested = []
    for train, test in folds.split(pairs):
        assert not set(pairs[train].query_id) & set(pairs[test].query_id)
        assert sorted([*train, *test]) == list(range(200))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
        tested += [*test]
    assert sorted(tested) == list(range(200))


def test_shuffling_depends_on_its_seed_alone(pairs):
    def tests_of(seed):
        folds = QueryKFold(3, shuffle=True, random_state=seed)
        return [test.tolist() for _, test in folds.split(pairs)]

    assert tests_of(0) == tests_of(0) != tests_of(1)


def test_scikit_learn_takes_it_for_arrays_with_groups():
    generator = np.random.default_rng(0)
    X, query = generator.normal(size=(60, 3)), generator.integers(0, 12, 60)
    y = X @ [1.0, 2.0, 3.0] + generator.normal(size=60)
    assert check_cv(QueryKFold(3)).get_n_splits() == 3
    ours, theirs = (
        cross_val_score(LinearRegression(), X, y, groups=query, cv=cv)
        for cv in (QueryKFold(3), GroupKFold(3))
    )
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n_splits", [1, 0, 2.5, True])
def test_a_wrong_number_of_folds_is_named(n_splits):
    with pytest.raises(InvalidInputError, match="n_splits"):
        QueryKFold(n_splits)


def test_what_cannot_be_split_is_refused(pairs):
    with pytest.raises(InvalidInputError, match="1000 folds need as many queries"):
        next(QueryKFold(1000).split(pairs))
    with pytest.raises(InvalidInputError, match="give groups="):
        next(QueryKFold(3).split(np.zeros((9, 1))))
    with pytest.raises(InvalidInputError, match="a query for each execution"):
        next(QueryKFold(3).split(pairs, groups=np.zeros(len(pairs))))
    with pytest.raises(InvalidInputError, match="no effect without shuffle"):
        QueryKFold(3, random_state=0)
