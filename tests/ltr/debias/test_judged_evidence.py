"""Judgements in a fit: rare queries follow them, frequent ones clicks, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.datasets.pairs.judgments import Judgments
from rankloom.ltr import Ranker, judgment_list
from rankloom.ltr.metrics.ranking import ndcg

OPTIONS = {"n_jobs": 1, "n_estimators": 60, "min_data_in_leaf": 20, "progress": False}
CURVE = 1 / np.arange(1.0, 11.0)
HEAD, TAIL = 15, 60


@pytest.fixture(scope="module")
def world():
    """Few frequent and many rare queries, and true grades."""
    catalogue = simulate_catalogue(
        n_queries=HEAD + TAIL, n_documents=15, n_features=4, n_channels=0, random_state=1
    )
    head, tail = catalogue[: HEAD * 15], catalogue[HEAD * 15 :]
    logs = [
        simulate_interactions(
            part, n_executions=n, interactions="clicks", random_state=1, id_prefix=str(n)
        )
        for part, n in ((head, 3000), (tail, 120))
    ]
    return catalogue, pl.concat(logs)


def labelled(catalogue, accuracy, name="labeller"):
    generator = np.random.default_rng(0)
    grade = catalogue["grade"].to_numpy()
    other = (grade + generator.integers(1, 5, len(grade))) % 5
    given = np.where(generator.random(len(grade)) < accuracy, grade, other)
    table = catalogue.select("query", "feature_id", pl.lit(name).alias("source"))
    return table.with_columns(pl.Series("grade", given))


def load(world, table=None):
    catalogue, log = world
    features = catalogue.drop("query", "grade")
    return load_pairs(log, features=features, builtin_features=(), judgments=table)


def order_quality(catalogue, pairs):
    """Return NDCG@10 of the order by posterior relevance, for frequent and for rare queries."""
    known = judgment_list(pairs, ranker=Ranker(**OPTIONS)).frame
    joined = catalogue.join(known, on="feature_id", how="left", maintain_order="left")
    scores = joined["relevance"].fill_null(-1.0).to_numpy()
    found = ndcg(catalogue["grade"].to_numpy(), scores, np.full(HEAD + TAIL, 15), k=10)
    return np.array([np.nanmean(found[:HEAD]), np.nanmean(found[HEAD:])])


@pytest.mark.slow
def test_judgements_help_rare_queries_and_leave_frequent_ones_to_clicks(world):
    catalogue, _ = world
    clicks = order_quality(catalogue, load(world))
    both = order_quality(catalogue, load(world, labelled(catalogue, 0.8)))
    random = order_quality(catalogue, load(world, labelled(catalogue, 0.2)))
    assert both[0] > clicks[0] - 0.01
    assert both[1] > clicks[1] + 0.08
    assert (random > clicks - 0.01).all()


def test_each_source_counts_by_its_own_agreement(world):
    catalogue, _ = world
    accuracies = {"expert": 1.0, "crowd": 0.6, "chance": 0.2}
    table = pl.concat([labelled(catalogue, p, name) for name, p in accuracies.items()])
    ranker = Ranker("click_model", **OPTIONS).fit(load(world, table))
    report = ranker.training_report_["judgments"]
    assert report["expert"]["strength"] > 3 * report["crowd"]["strength"] > 0
    assert report["chance"]["strength"] == 0
    assert any("'chance'" in note and "do not agree" in note for note in ranker.notes_)
    bands = {each["impressions_from"]: each["queries"] for each in report["expert"]["coverage"]}
    assert bands[100] == HEAD
    assert sum(bands.values()) == HEAD + TAIL
    assert sum("judgments of" in reason for reason in ranker.choice_.reasons) == 3


@pytest.mark.parametrize("mode", ["auto", "click_model", "ips"])
def test_judgements_that_count_nothing_leave_the_model_as_it_is_bit_for_bit(world, mode):
    catalogue, _ = world
    same = labelled(catalogue, 1.0).with_columns(grade=1)
    options = {**OPTIONS, "examination": CURVE}
    plain, judged = (Ranker(mode, **options).fit(load(world, t)) for t in (None, same))
    assert plain.booster_.model_to_string() == judged.booster_.model_to_string()
    assert "judgments" not in plain.training_report_
    assert judged.training_report_["judgments"]["labeller"]["reason"] == "one grade throughout"


@pytest.mark.parametrize("mode", ["auto", "click_model", "ips"])
def test_documents_that_were_never_shown_are_learnt_from(world, mode):
    """All of the judged queries are new: their documents become lists to train on."""
    catalogue, log = world
    new = simulate_catalogue(
        n_queries=100, n_documents=15, n_features=4, n_channels=0, random_state=2
    ).with_columns(pl.col("query") + " new", pl.col("feature_id") + "new")
    everything = pl.concat([catalogue, new])
    table = labelled(everything, 1.0)
    pairs = load_pairs(
        log, features=everything.drop("query", "grade"), builtin_features=(), judgments=table
    )
    options = {**OPTIONS, "examination": CURVE}
    ranker = Ranker(mode, **options).fit(pairs)
    plain = Ranker(mode, **options).fit(replace(pairs, judgments=None))
    rows = [each.training_report_["lists_trained"] for each in (ranker, plain)]
    assert rows[0] >= rows[1] + 95
    X = new.select(pl.col("^f[0-9]$")).to_numpy()
    quality = [
        np.nanmean(ndcg(new["grade"].to_numpy(), each.predict(X), np.full(100, 15), k=10))
        for each in (ranker, plain)
    ]
    assert quality[0] > quality[1]


@pytest.mark.parametrize("mode", ["none", "position", "pairwise"])
def test_other_modes_say_that_they_do_not_use_them(pairs, mode):
    judged = Judgments(
        query_code=np.zeros(2, np.int32),
        document_code=np.arange(2, dtype=np.int32),
        grade=np.arange(2.0),
        source=np.zeros(2, np.int32),
        sources=("person",),
        X=np.zeros((2, pairs.X.shape[1]), np.float32),
    )
    ranker = Ranker(mode, **OPTIONS).fit(replace(pairs, judgments=judged))
    assert any("judgments are not used" in note and mode in note for note in ranker.notes_)
    assert "judgments" not in ranker.training_report_
