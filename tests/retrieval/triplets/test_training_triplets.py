"""Triplets of small logs whose right answer is plain, and of simulated ones."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import PositionBias, load_pairs, simulate_catalogue, simulate_interactions
from rankloom.errors import InvalidInputError
from rankloom.retrieval import training_triplets
from rankloom.retrieval.triplets import training_triplets as module

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TEXTS = [
    {"id": "good", "text": "Waterproof winter boots for hiking"},
    {"id": "copy", "text": "waterproof WINTER boots, for hiking!"},
    {"id": "bad", "text": "Beach umbrella, striped"},
    {"id": "back", "text": "A puzzle of boots in 500 parts"},
    {"id": "no", "text": "Sandals"},
]


def lists(query, shown, times=20, day=0):
    """Return executions of a query: document -> interaction types, in the order of positions."""
    return [
        {
            "execution_id": f"{query}-{day}-{i}",
            "feature_id": document,
            "position": position,
            "interaction_type": ["impression", *types],
            "query_snapshot": query,
            "occurred_at": START + dt.timedelta(days=day, minutes=i),
        }
        for i in range(times)
        for position, (document, types) in enumerate(shown.items())
    ]


WINTER = {
    "bad": [],
    "good": ["click"],
    "copy": [],
    "back": ["click", "return_to_results"],
    "no": ["negative_feedback"],
}
FLAT = np.ones(5)


def triplets_of(rows, **options):
    options = {"documents": TEXTS, "examination": FLAT, "test_fraction": 0, **options}
    return training_triplets(rows, **options)


def test_kinds_of_negatives_and_a_near_duplicate():
    found = triplets_of(lists("winter boots", WINTER))
    rows = found.frame.select("query", "positive_id", "negative_id", "why").rows()
    assert set(rows) == {
        ("winter boots", "good", "bad", "passed_over"),
        ("winter boots", "good", "back", "returned"),
        ("winter boots", "good", "no", "rejected"),
    }
    assert found.report.parts["train"].refused[module.DUPLICATE] == 1
    assert found.report.parts["train"].why == {"returned": 1, "rejected": 1, "passed_over": 1}
    first = found.frame.row(0, named=True)
    assert (first["positive_clicks"], first["positive_examination"]) == (20, 20)
    assert first["execution_id"] == "winter boots-0-19"
    assert first["first_time"] == START.replace(tzinfo=None)


def test_a_negative_that_a_related_query_leads_to_is_refused():
    shown = {"good": ["click"], "back": [], "bad": []}
    rows = lists("winter boots", shown)
    rows += lists("boots for winter", {"good": ["click"], "back": ["click"], "bad": []})
    found = triplets_of(rows)
    assert set(found.frame.filter(pl.col("query") == "winter boots")["negative_id"]) == {"bad"}
    assert found.report.parts["train"].refused[module.RELATED] == 1


def test_what_was_hardly_examined_is_no_negative():
    rows = lists("boots", {"good": ["click"], "bad": [], "no": []})
    found = triplets_of(rows, examination=[1, 0.5, 0.01])
    assert set(found.frame["negative_id"]) == {"bad"}
    found = triplets_of(rows, examination=[1, 0.5, 0.01], min_examination=0.1)
    assert found.report.parts["train"].negatives == 2
    shown = {"good": ["click"], "bad": [], "no": ["skip"]}
    found = triplets_of(lists("boots", shown), examination=[1, 0.5, 0.01])
    assert set(found.frame["negative_id"]) == {"bad", "no"}


def test_little_evidence_gives_no_triplet_and_more_confidence_fewer():
    assert not len(triplets_of(lists("boots", {"good": ["click"], "bad": []}, times=1)))
    log = simulate_interactions(n_executions=1_500, random_state=0)
    sizes = [
        len(training_triplets(log, examination=1 / np.arange(1, 11), confidence=c, test_fraction=0))
        for c in (0.5, 0.8, 0.95)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_missing_texts_are_counted():
    rows = lists("boots", {"good": ["click"], "bad": [], "untold": []})
    rows += lists('{"vector":[1]}', {"good": ["click"], "bad": []})
    found = triplets_of(rows)
    assert set(found.frame["negative_id"]) == {"bad"}
    refused = found.report.parts["train"].refused
    assert refused[module.NO_DOCUMENT_TEXT] == 1
    assert refused[module.NO_QUERY_TEXT] == 2
    assert "1 of 3 documents of the log have no text" in str(found)
    named = triplets_of(rows, query_text=lambda query: f"Q: {query}")
    assert "Q: " in named.frame["query"][0]
    assert named.report.parts["train"].refused[module.NO_QUERY_TEXT] == 0


def test_parts_share_no_query_and_the_test_part_is_later():
    log = simulate_interactions(n_executions=4_000, random_state=1, n_users=50)
    found = training_triplets(log, examination=1 / np.arange(1, 11), confidence=0.5)
    train, test = found.train, found.test
    assert len(train) > len(test) > 0
    assert not set(train["query"]) & set(test["query"])
    assert train["last_time"].max() < test["first_time"].min()
    assert not set(found.held_out["query_id"]) & set(train["query_id"])
    assert set(test["query_id"]) <= set(found.held_out["query_id"])
    parts = found.report.parts
    used = parts["train"].executions + parts["test"].executions
    assert used + found.report.executions_unused == found.report.executions
    cut = dt.datetime(2025, 1, 20, tzinfo=dt.UTC)
    others = training_triplets(
        log, examination=1 / np.arange(1, 11), confidence=0.5, salt="b", at=cut
    )
    assert set(others.test["query"]) != set(test["query"])
    assert others.train["last_time"].max() < cut.replace(tzinfo=None)


def test_queries_of_one_text_stay_in_one_part():
    """Two ids, such as with and without a filter, give one anchor: it must not be in both parts."""
    shown = {"good": ["click"], "bad": [], "back": []}
    rows = []
    for i in range(20):
        plain = f"boots {i}"
        rows += lists(plain, shown, times=6) + lists(plain, shown, times=6, day=9)
        filtered = f'{{"filters":{{"size":{i}}},"query":"{plain}"}}'
        rows += lists(filtered, shown, times=6) + lists(filtered, shown, times=6, day=9)
    found = triplets_of(rows, test_fraction=0.5, confidence=0.5)
    assert found.train["query_id"].n_unique() > found.train["query"].n_unique() > 0
    assert len(found.test)
    assert not set(found.train["query"]) & set(found.test["query"])


def test_a_log_without_times_is_split_by_query():
    rows = [
        {key: value for key, value in row.items() if key != "occurred_at"}
        for i in range(20)
        for row in lists(f"boots {i}", WINTER, times=8)
    ]
    found = triplets_of(rows, test_fraction=0.3, confidence=0.5)
    assert not set(found.train["query"]) & set(found.test["query"])
    assert any("no times" in note for note in found.report.notes)
    with pytest.raises(InvalidInputError, match="at:"):
        triplets_of(rows, test_fraction=0.3, at=START)


def test_neither_the_order_of_rows_nor_loading_beforehand_changes_anything():
    log = simulate_interactions(n_executions=800, random_state=2)
    curve = 1 / np.arange(1, 11)
    first = training_triplets(log, examination=curve, confidence=0.5, test_fraction=0)
    mixed = log.sample(fraction=1, shuffle=True, seed=0)
    again = training_triplets(load_pairs(mixed), examination=curve, confidence=0.5, test_fraction=0)
    assert len(first) > 20
    assert first.frame.equals(again.frame)


def test_sources_of_examination_agree():
    log = simulate_interactions(n_executions=3_000, random_state=3)
    pairs = load_pairs(log)
    bias = PositionBias("all_pairs", n_bootstrap=0)
    options = {"test_fraction": 0, "confidence": 0.5}
    unfitted = training_triplets(pairs, examination=bias, **options)
    fitted = training_triplets(pairs, examination=bias.fit(pairs), **options)
    applied = training_triplets(bias.apply(pairs), **options)
    assert unfitted.frame.equals(fitted.frame)
    assert [each.report.examination for each in (fitted, applied)] == ["given", "pairs"]
    assert len(applied) == pytest.approx(len(fitted), rel=0.01)
    own = training_triplets(log, **options)
    assert own.report.examination == "estimated"
    one = simulate_interactions(n_executions=500, random_state=3, rankers=1)
    assumed = training_triplets(one, **options)
    assert assumed.report.examination == "assumed"
    assert "1 / (position + 1) is assumed" in assumed.report.notes[0]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"confidence": 1}, "confidence"),
        ({"min_examination": -1}, "min_examination"),
        ({"duplicate_similarity": 2}, "duplicate_similarity"),
        ({"max_per_query": 0}, "max_per_query"),
        ({"max_per_positive": 0.5}, "max_per_positive"),
        ({"test_fraction": 1}, "test_fraction"),
        ({"examination": "curve"}, "examination"),
        ({"examination": object()}, "examination"),
        ({"text": "title"}, "title"),
    ],
)
def test_wrong_parameters_are_named(options, word):
    with pytest.raises(InvalidInputError, match=word):
        triplets_of(lists("boots", WINTER), **options)


def test_options_of_loading_are_refused_for_pairs_that_are_loaded():
    pairs = load_pairs(lists("boots", WINTER))
    with pytest.raises(InvalidInputError, match="half_life"):
        triplets_of(pairs, half_life=3.0)


@pytest.mark.slow
@pytest.mark.parametrize("click_model", ["pbm", "trust", "dbn"])
def test_far_more_triplets_are_true_than_by_clicked_against_skipped_above(click_model):
    catalogue = simulate_catalogue(n_queries=150, n_documents=20, random_state=5)
    log = simulate_interactions(
        catalogue, n_executions=12_000, random_state=5, click_model=click_model,
        interactions="clicks",
    )  # fmt: skip
    grade = dict(zip(catalogue["feature_id"], catalogue["grade"], strict=True))
    found = training_triplets(log, test_fraction=0).frame

    def true(frame):
        one, other = (
            frame[name].replace_strict(grade, return_dtype=pl.Int64)
            for name in ("positive_id", "negative_id")
        )
        return (one > other).mean()

    clicked = log.filter(log["interaction_type"].list.contains("click"))
    shown = log.filter(log["interaction_type"].list.contains("impression"))
    skipped = shown.join(clicked, on=["execution_id", "feature_id"], how="anti")
    above = clicked.join(skipped, on="execution_id").filter(
        pl.col("position_right") < pl.col("position")
    )
    rival = above.select(positive_id="feature_id", negative_id="feature_id_right").unique()
    assert len(found) > 100
    assert true(found) > true(rival) + 0.05
