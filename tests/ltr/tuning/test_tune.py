"""A search gains on executions that it never read, continues where it stopped, and says so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.base import clone

from rankloom.datasets import PositionBias, TimeSeriesQuerySplit
from rankloom.errors import InvalidInputError, StateMismatchError, StoreError
from rankloom.ltr import Ranker, cross_validate, tune
from rankloom.ltr.tuning.search_space import default_space

CURVE = 1 / np.arange(1.0, 11.0)
SPACE = {
    "num_leaves": IntDistribution(2, 8),
    "learning_rate": FloatDistribution(0.01, 0.5, log=True),
    "lambda_l2": FloatDistribution(0.1, 10.0, log=True),
}


def base(**options):
    """Stumps: trials with more leaves are better than the defaults."""
    given = {
        "n_estimators": 5,
        "num_leaves": 2,
        "min_data_in_leaf": 20,
        "examination": CURVE,
        **options,
    }
    return Ranker("position", n_jobs=1, params={"max_bin": 63}, **given)


@pytest.fixture(scope="module")
def parts(make_pairs):
    """A training period and a later test period."""
    log = make_pairs(500)
    return log[:350], log[350:]


def search(pairs, **options):
    given = {"ranker": base(), "space": SPACE, "n_trials": 4, "progress": False, **options}
    return tune(pairs, **given)


@pytest.fixture(scope="module")
def result(parts):
    return search(parts[0], holdout=parts[1])


def garbage(pairs):
    """The same executions with random features, clicks and positions."""
    generator = np.random.default_rng(99)
    clicked = generator.random(len(pairs)) < 0.5
    return replace(
        pairs,
        X=generator.normal(size=pairs.X.shape).astype(np.float32),
        y=clicked.astype(np.float32),
        clicked=clicked,
        position=generator.permutation(pairs.position),
    )


def test_the_search_never_reads_the_test_period(parts, result):
    """Whatever the test period holds: the trials and the parameters are the same."""
    training, test = parts
    spoilt = search(training, holdout=garbage(test))
    alone = search(training)
    for other in (spoilt, alone):
        assert other.best_params == result.best_params
        assert other.folds_gain == result.folds_gain
        assert other.history.drop("seconds").equals(result.history.drop("seconds"))
    assert spoilt.holdout_gain != result.holdout_gain
    assert alone.holdout_gain is None
    assert "too high" in alone.notes[0]
    assert result.notes == []


def test_the_gain_on_the_holdout_is_that_of_both_rankers_fitted_on_all_pairs(parts, result):
    training, test = parts
    best, default = (r.fit(training).score(test) for r in (result.ranker(), base()))
    gain = result.holdout_gain
    assert gain.best == pytest.approx(best, abs=1e-12)
    assert gain.default == pytest.approx(default, abs=1e-12)
    assert gain.difference == pytest.approx(best - default, abs=1e-12)
    assert gain.interval[0] <= gain.difference <= gain.interval[1]
    assert gain.executions == test.n_executions


def test_a_trial_is_scored_as_cross_validation_scores_its_ranker(parts, result):
    training, _ = parts
    cv = TimeSeriesQuerySplit(3, disjoint_queries=True, test_fraction=0.2)
    assert cross_validate(base(), training, cv=cv).score == result.folds_gain.default
    best = cross_validate(result.ranker(), training, cv=cv)
    assert best.score == result.folds_gain.best == result.history["score"].max()
    assert result.best_params["params"]["max_bin"] == 63
    assert result.best_params["params"]["lambda_l2"] in result.history["lambda_l2"]


def test_where_no_trial_is_better_the_defaults_are_the_result(parts):
    space = {"min_data_in_leaf": CategoricalDistribution([100_000])}  # every document is equal
    found = search(parts[0], space=space, n_trials=1, ranker=base(n_estimators=30))
    assert found.folds_gain.default > found.history["score"][0]
    assert found.best_params == {}
    assert found.ranker().n_estimators == 30
    assert found.folds_gain.difference == 0
    assert "no trial was better than the defaults" in str(found)


def test_a_bad_trial_is_pruned_after_a_fold(parts):
    """Constant scores, by a leaf that no list fills, stay below the median of what learns."""
    space = {"min_data_in_leaf": CategoricalDistribution([20, 100_000])}
    found = search(parts[0], space=space, n_trials=25, ranker=base(n_estimators=3))
    history = found.history
    pruned = history.filter(state="pruned")
    assert len(pruned)
    assert set(pruned["min_data_in_leaf"]) == {100_000}
    assert pruned["folds"].max() < 3
    assert set(history.filter(state="complete")["folds"]) == {3}


# The storage


def test_a_stored_search_continues_and_proposes_nothing_twice(parts, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    first = search(parts[0], storage=storage, n_trials=3)
    again = search(parts[0], storage=storage, n_trials=6)
    assert again.history[:3].equals(first.history)
    assert len(again.history) == 6
    assert again.history["learning_rate"].n_unique() == 6
    done = search(parts[0], storage=storage, n_trials=6)
    assert done.history.equals(again.history)
    assert done.best_params == again.best_params
    assert done.folds_gain == again.folds_gain


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"space": {"num_leaves": IntDistribution(2, 9)}}, "space"),
        ({"ranker": base(min_data_in_leaf=30)}, "ranker"),
        ({"ranker": base(examination=np.ones(10))}, "ranker"),
        ({"cv": 2}, "folds"),
        ({"pairs": None}, "pairs"),
    ],
)
def test_another_search_does_not_continue_it(parts, tmp_path, changes, part):
    storage = f"sqlite:///{tmp_path}/study.db"
    search(parts[0], storage=storage, n_trials=1)
    if "pairs" in changes:
        changes = {"pairs": garbage(parts[0])}
    options = {"pairs": parts[0], **changes}
    with pytest.raises(StateMismatchError, match=f"searches something else.*{part}: "):
        search(options.pop("pairs"), storage=storage, n_trials=2, **options)
    other = search(parts[0], storage=storage, n_trials=1, study_name="other")
    assert other.study_name == "other"


def test_threads_and_the_bar_are_no_other_search(parts, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    first = search(parts[0], storage=storage, n_trials=2)
    ranker = clone(base()).set_params(progress=True)
    again = search(parts[0], storage=storage, n_trials=2, ranker=ranker)
    assert again.history.equals(first.history)


@pytest.mark.slow
def test_a_killed_search_continues_with_its_finished_trials(tmp_path):
    code = textwrap.dedent(
        """
        import sys
        from optuna.distributions import IntDistribution
        from rankloom.datasets import load_pairs, simulate_interactions
        from rankloom.ltr import Ranker, tune
        pairs = load_pairs(simulate_interactions(n_executions=300, random_state=0))
        ranker = Ranker("position", n_jobs=1, n_estimators=5, examination=[1.0, 0.5])
        found = tune(pairs, ranker=ranker, n_trials=int(sys.argv[2]), storage=sys.argv[1],
                     space={"num_leaves": IntDistribution(2, 64)}, progress=False)
        print(len(found.history), found.folds_gain.best == found.history["score"].max())
        """
    )
    storage = f"sqlite:///{tmp_path}/study.db"
    process = subprocess.Popen([sys.executable, "-c", code, storage, "100000"])
    deadline = time.monotonic() + 120
    while finished(storage) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    count = finished(storage)
    assert count >= 3
    again = subprocess.run(
        [sys.executable, "-c", code, storage, str(count + 2)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert again.stdout.split()[0] == str(count + 2)


def finished(storage):
    """Trials that are stored as finished; 0 before there is a study."""
    try:
        study = optuna.load_study(study_name="rankloom", storage=storage)
    except Exception:  # noqa: BLE001 - the file, its tables or the study are not there yet
        return 0
    return sum(trial.state.is_finished() for trial in study.trials)


def test_a_storage_that_cannot_be_opened_is_named(parts, tmp_path):
    with pytest.raises(StoreError, match="storage: cannot open"):
        search(parts[0], storage=f"sqlite:///{tmp_path}/no/such/folder/study.db")
    with pytest.raises(StoreError, match="storage: cannot open 'study.db'"):
        search(parts[0], storage="study.db")


# What is given and what comes out


def test_a_timeout_begins_no_further_trial(parts):
    found = search(parts[0], n_trials=1000, timeout=0)
    assert len(found.history) == 0
    assert found.best_params == {}


def test_the_curve_of_a_fold_is_estimated_on_its_training_executions(make_pairs):
    """With an unfitted PositionBias, what is tested later changes no earlier fold's weights."""
    log = make_pairs(600, shuffled=True, queries=20)
    estimator = PositionBias("all_pairs", n_bootstrap=0)
    found = search(log, ranker=base(examination=estimator), n_trials=1, cv=2)
    expected = cross_validate(base(examination=estimator), log, cv=2)
    assert found.folds_gain.default == expected.score
    assert not hasattr(estimator, "examination_")


def test_the_result_is_saved_and_read(result, tmp_path):
    result.save_params(tmp_path / "params.json")
    parameters = json.loads((tmp_path / "params.json").read_text())
    assert parameters == result.best_params
    copy = clone(base()).set_params(**parameters)
    assert copy.get_params()["params"] == result.ranker().get_params()["params"]
    assert repr(result).startswith("Tuning: 4 trials, 0 pruned, by examination-weighted DCG")
    assert f"{result.holdout_gain.difference:.4g}" in str(result)
    assert f"{result.best_params['params']['lambda_l2']:.4g}" in str(result)
    assert result.to_frame() is result.history
    assert json.loads(json.dumps(result.to_dict()))["trials"] == 4


def test_verbosity_of_optuna_is_as_it_was(parts):
    before = optuna.logging.get_verbosity()
    search(parts[0], n_trials=1)
    assert optuna.logging.get_verbosity() == before


def test_priors_are_searched_in_the_modes_that_have_them():
    assert "prior_strength" not in default_space("position")
    assert {"prior_exposure"} == set(default_space("ips")) - set(default_space("none"))
    assert {"prior_exposure", "prior_strength"} < set(default_space("auto"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trials": 0}, "n_trials"),
        ({"timeout": -1}, "timeout"),
        ({"ranker": "auto"}, "ranker: expected a Ranker"),
        ({"ranker": base(early_stopping_rounds=5)}, "early_stopping_rounds"),
        ({"space": {}}, "space: expected a dict"),
        ({"space": {"num_leaves": (2, 8)}}, "space: 'num_leaves' needs a distribution"),
        ({"space": {"clip": FloatDistribution(0.1, 0.2)}}, "the criterion depends on it"),
        ({"cv": []}, "makes no fold"),
        ({"holdout": "later"}, "holdout: expected TrainingPairs"),
    ],
)
def test_wrong_arguments_are_named(parts, options, message):
    with pytest.raises(InvalidInputError, match=message):
        search(parts[0], **options)


def test_a_holdout_that_the_search_would_read_is_refused(parts):
    training, _ = parts
    with pytest.raises(InvalidInputError, match="holdout: 50 of its executions are among"):
        search(training, holdout=training[300:])


def test_a_holdout_that_cannot_be_scored_is_refused_before_the_search(parts):
    training, test = parts
    nothing = replace(test, y=np.zeros_like(test.y))
    with pytest.raises(InvalidInputError, match="holdout: no execution has a positive grade"):
        search(training, holdout=nothing)


def test_without_optuna_the_extra_is_named(parts, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InvalidInputError, match=r"install rankloom\[tune\]"):
        search(parts[0])
