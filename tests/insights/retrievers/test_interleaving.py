"""Interleaved lists: credit against a plain loop, planted preferences, unfair drafts."""

import json

import numpy as np
import polars as pl
import pytest

from rankloom.insights import compare_retrievers

SIZE = 6
CURVE = 1.0 / (1.0 + np.arange(SIZE))


def drafts(seed, *, searches=2000, users=400, better=1.0, fair=0.5):
    """Return a log of team drafts of A and B; B's documents are `better` times as attractive."""
    rng = np.random.default_rng(seed)
    search, position = np.repeat(np.arange(searches), SIZE), np.tile(np.arange(SIZE), searches)
    a_first = rng.random((searches, SIZE // 2)) < fair
    is_a = np.where(
        position % 2 == 0, *(side.repeat(2, axis=1).ravel() for side in (a_first, ~a_first))
    )
    user = rng.choice(users, searches, p=rng.dirichlet(np.full(users, 0.5)))
    own = rng.beta(2, 4, users)[user][search]
    clicked = rng.random(len(search)) < own * np.where(is_a, 1.0, better) * CURVE[position]
    return pl.DataFrame(
        {
            "execution_id": pl.Series(search).cast(pl.String),
            "feature_id": "d"
            + pl.Series(rng.integers(0, 50, len(search)) * SIZE + position).cast(pl.String),
            "position": position,
            "interaction_type": [["impression", "click"] if c else ["impression"] for c in clicked],
            "user_id": "u" + pl.Series(user[search]).cast(pl.String),
            "metadata": [json.dumps({"team": "A" if a else "B"}) for a in is_a],
        }
    )


def judged(frame, **options):
    found = compare_retrievers(frame, team_field="team", baseline="A", examination=CURVE, **options)
    return found, found.interleaving.table.to_dicts()[0]


def test_wins_losses_and_ties_are_those_of_a_plain_loop():
    frame = drafts(0, searches=300)
    _, row = judged(frame)
    credit = {}
    for each in frame.to_dicts():
        team = json.loads(each["metadata"])["team"]
        won = "click" in each["interaction_type"]
        credit.setdefault(each["execution_id"], {"A": 0, "B": 0})[team] += won
    gaps = [own["B"] - own["A"] for own in credit.values()]
    expected = [sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps), gaps.count(0)]
    assert [row["wins"], row["losses"], row["ties"]] == expected
    assert row["preference"] == pytest.approx((expected[0] - expected[1]) / 300)
    assert row["credit_difference"] == pytest.approx(np.mean(gaps))
    assert (row["retriever"], row["baseline"], row["searches"]) == ("B", "A", 300)


def test_a_better_team_is_preferred_and_an_equal_one_is_not():
    _, better = judged(drafts(1, better=1.6))
    assert better["verdict"] == "better"
    assert better["credit_p"] < 0.01
    _, equal = judged(drafts(2))
    assert equal["verdict"] == "no difference shown"


def test_false_verdicts_stay_rare():
    wrong = covered = 0
    for seed in range(15):
        _, row = judged(drafts(seed, searches=400, users=120))
        wrong += row["verdict"] != "no difference shown"
        covered += row["lower"] <= 0 <= row["upper"]
    assert wrong <= 2
    assert covered >= 11


def test_an_unfair_draft_is_not_comparable():
    found, row = judged(drafts(3, fair=0.65))
    assert row["verdict"] == "not comparable"
    assert "the lists were not drawn fairly" in " ".join(found.interleaving.notes)


def test_interleaved_searches_are_not_compared_by_retriever():
    mixed = drafts(4, searches=200).with_columns(pl.lit("mix").alias("retriever_id"))
    plain = drafts(5, searches=200).with_columns(
        ("p" + pl.col("execution_id")).alias("execution_id"),
        pl.lit('{"team": "A"}').alias("metadata"),
        pl.when(pl.col("user_id").hash() % 2 == 0)
        .then(pl.lit("A"))
        .otherwise(pl.lit("B"))
        .alias("retriever_id"),
    )
    found, row = judged(pl.concat([mixed, plain]))
    assert row["searches"] == 200
    assert set(found.retrievers["retriever"]) == {"A", "B"}
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert "interleaved, B against A" in repr(found)


def test_a_log_without_interleaved_lists_says_so():
    frame = drafts(6, searches=100).with_columns(
        pl.lit('{"team": "A"}').alias("metadata"), pl.lit("A").alias("retriever_id")
    )
    found = compare_retrievers(frame, team_field="team", examination=CURVE)
    assert found.interleaving is None
    assert "no search shows documents of two teams in 'team'" in found.notes
