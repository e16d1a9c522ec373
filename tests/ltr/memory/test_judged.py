"""Judgements in a memory: what they count as, where they stand, and that they are kept."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
from rankloom.ltr import QueryMemory, Ranker
from rankloom.ltr.memory.judged import Grades, all_joined, joined

CURVE = 1 / np.arange(1.0, 11.0)


def graded(catalogue, accuracy=1.0, seed=0):
    generator = np.random.default_rng(seed)
    grade = catalogue["grade"].to_numpy()
    other = generator.integers(0, 5, len(grade))
    kept = generator.random(len(grade)) < accuracy
    return catalogue.select("query", "feature_id").with_columns(
        pl.Series("grade", np.where(kept, grade, other))
    )


def scores_of(pairs):
    return np.nan_to_num(pairs.X[:, 0])


@pytest.fixture(scope="module")
def catalogue():
    return simulate_catalogue(n_queries=40, n_channels=0, random_state=1)


@pytest.fixture(scope="module")
def log(catalogue):
    return simulate_interactions(catalogue, n_executions=800, random_state=1)


@pytest.fixture(scope="module")
def judged_queries(catalogue):
    """Grades of all documents of the logged queries, and of a query that is not logged."""
    new = simulate_catalogue(n_queries=1, n_channels=0, random_state=2).with_columns(
        pl.lit("judged only").alias("query"), pl.format("new {}", "feature_id").alias("feature_id")
    )
    return pl.concat([graded(catalogue), graded(new)])


@pytest.fixture(scope="module")
def pairs(log, catalogue, judged_queries):
    table = catalogue.drop("query", "grade")
    return load_pairs(log, features=table, builtin_features=(), judgments=judged_queries)


@pytest.fixture(scope="module")
def memory(pairs):
    return QueryMemory(examination=CURVE).fit(pairs, prior=scores_of(pairs))


def test_grades_count_as_clicks_in_examinations(memory, judged_queries):
    (evidence,) = memory.judgments_.values()
    assert evidence.found.strength > 1
    assert evidence.found.agreement > 0.3
    table = memory.table().join(judged_queries.select("feature_id", "grade"), on="feature_id")
    assert len(table) == len(memory.table()) == len(judged_queries) == evidence.judged
    assert evidence.shown == (table["exposure"] > 0).sum()
    np.testing.assert_allclose(table["judged_exposure"], evidence.found.strength, rtol=1e-5)
    shown = table.filter(pl.col("exposure") > 0)
    level = np.searchsorted(evidence.found.grades, shown["grade"].to_numpy())
    np.testing.assert_allclose(shown["judged_clicks"], evidence.found.clicks[level], rtol=1e-5)
    k = memory.strength_.common
    C, E = (shown[f"{a}"] + shown[f"judged_{a}"] for a in ("clicks", "exposure"))
    np.testing.assert_allclose(shown["relevance"], (C + k * shown["prior"]) / (E + k), rtol=1e-5)


def test_documents_and_queries_that_were_judged_only_are_served(memory, judged_queries):
    table = memory.table()
    unshown = table.filter(exposure=0)
    assert (unshown["clicks"] == 0).all()
    assert (unshown["judged_exposure"] > 0).all()
    new = judged_queries.filter(query="judged only").sort("grade")
    ids, scores = new["feature_id"].to_list(), np.zeros(len(new))
    found = memory.relevance({"query": "Judged  only"}, ids, prior=scores)
    np.testing.assert_array_equal(found, memory.relevance("judged only", ids, prior=scores))
    assert found[new["grade"].to_numpy() == 4].min() > found[new["grade"].to_numpy() == 0].max()
    number, _ = memory.relevance_of_pairs(_one_list(new), np.zeros(len(new), np.float32))
    assert (number >= 0).all()


def _one_list(table):
    rows = table.with_row_index("position").select(
        "feature_id",
        pl.col("position").cast(pl.Int32),
        execution_id=pl.lit("e"),
        query_snapshot=pl.lit("judged only"),
        interaction_type=pl.lit("impression"),
    )
    return load_pairs(rows, builtin_features=())


def test_a_ranker_serves_clicks_and_judgements_together(pairs, catalogue):
    ranker = Ranker("none", n_estimators=10, n_jobs=1, progress=False).fit(pairs)
    memory = QueryMemory(examination=CURVE).fit(pairs, prior=ranker)
    ranker.attach_memory(memory)
    own = catalogue.filter(query=catalogue["query"][0])
    documents = own.drop("query", "grade").to_dicts()
    ranked = ranker.rank(documents, query=own["query"][0])
    expected = memory.rescore(
        own["query"][0],
        own["feature_id"].to_list(),
        ranker.predict(own.select(pl.col("^f[0-9]+$")).to_numpy().astype(np.float32)),
    )
    assert [each["score"] for each in ranked] == sorted(expected.tolist(), reverse=True)
    assert memory.judgments_


def test_random_grades_change_nothing(log, catalogue):
    table = catalogue.drop("query", "grade")
    random = graded(catalogue, accuracy=0.0)
    with_grades = load_pairs(log, features=table, builtin_features=(), judgments=random)
    alone = load_pairs(log, features=table, builtin_features=())
    memories = [
        QueryMemory(examination=CURVE).fit(each, prior=scores_of(each))
        for each in (with_grades, alone)
    ]
    (evidence,) = memories[0].judgments_.values()
    assert evidence.found.strength == 0
    assert memories[0].strength_ == memories[1].strength_
    shown = memories[0].table().filter(pl.col("exposure") > 0)
    assert shown.equals(memories[1].table().filter(pl.col("exposure") > 0))


def test_good_grades_bring_rare_queries_closer_to_the_truth(catalogue):
    log = simulate_interactions(catalogue, n_executions=160, random_state=3)
    table = catalogue.drop("query", "grade")
    correlation = {}
    for name, grades in (("clicks", None), ("both", graded(catalogue, accuracy=0.8))):
        pairs = load_pairs(log, features=table, builtin_features=(), judgments=grades)
        found = QueryMemory(examination=CURVE).fit(pairs, prior=scores_of(pairs)).table()
        shown = found.filter(pl.col("exposure") > 0)
        truth = shown.join(catalogue.select("feature_id", "grade"), on="feature_id")
        correlation[name] = np.corrcoef(truth["relevance"], truth["grade"])[0, 1]
    assert correlation["both"] > correlation["clicks"] + 0.06


@pytest.mark.slow
def test_files_hold_judgements_and_those_without_are_as_before(memory, pairs):
    again = QueryMemory.load_bytes(memory.to_bytes())
    assert again.table().equals(memory.table())
    assert again.to_bytes() == memory.to_bytes()
    assert str(again.judgments_) == str(memory.judgments_)
    assert again.estimate().table().equals(memory.table())
    serving = QueryMemory.load_bytes(memory.to_bytes(serving=True))
    assert serving.table().equals(memory.table())
    pairs_alone = pairs.take(np.arange(pairs.n_executions))
    pairs_alone.judgments = None
    alone = QueryMemory(examination=CURVE).fit(pairs_alone, prior=scores_of(pairs_alone))
    assert b"judged" not in alone.to_bytes()
    assert b"judgments" not in alone.to_bytes()
    assert (alone.table()["judged_exposure"] == 0).all()


def test_what_is_deleted_loses_its_judgements_for_good(memory, pairs, judged_queries):
    own = QueryMemory.load_bytes(memory.to_bytes())
    removed = own.forget(query="judged only")
    assert removed.judgments == len(judged_queries.filter(query="judged only"))
    document = judged_queries["feature_id"][0]
    assert own.forget(feature_id=document).judgments == 1
    own.update(pairs, prior=scores_of(pairs))
    own.merge(memory)
    table = own.table()
    assert not table.filter(
        (pl.col("query_id") == "judged only") | (pl.col("feature_id") == document)
    ).height


def test_judgements_of_an_update_and_a_merge_count_once(memory, pairs):
    again = QueryMemory.load_bytes(memory.to_bytes())
    again.update(pairs, prior=scores_of(pairs))
    again.merge(memory)
    assert again.table().equals(memory.table())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["person", "model"]),
            st.lists(st.tuples(*(st.integers(1, 3),) * 3), min_size=1),
        ),
        min_size=2,
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_grades_join_in_any_order_to_the_highest(parts, random):
    made = [
        {
            name: joined([Grades(*(np.array(column, "u8") for column in zip(*rows, strict=True)))])
            for name, rows in part.items()
        }
        for part in parts
    ]
    whole = all_joined(*made)
    expected = {}
    for part in parts:
        for name, rows in part.items():
            for query, document, grade in rows:
                key = (name, query, document)
                expected[key] = max(grade, expected.get(key, 0))
    found = {
        (name, query, document): grade
        for name, grades in whole.items()
        for query, document, grade in zip(*(c.tolist() for c in grades), strict=True)
    }
    assert found == expected
    shuffled = [*made, *made]
    random.shuffle(shuffled)
    other = all_joined(*shuffled)
    assert list(other) == list(whole)
    for name, grades in whole.items():
        assert all(np.array_equal(a, b) for a, b in zip(grades, other[name], strict=True))


def test_the_summary_says_what_judgements_count_as(memory):
    (line,) = [line for line in memory.summary().splitlines() if line.startswith("judgments of")]
    assert "examinations each" in line
    assert "were shown" in line
