"""Scores that fall as rewards rise are reported, all others are not."""

import warnings
from functools import cache

import numpy as np
import pytest

from rankloom.bandit import Evidence, FusionBandit, fuse
from rankloom.bandit.posterior.score_direction import descending_channels
from tests.bandit.fusion_simulation import ARMS, World, log_of

HALVES = {"text": 0.5, "vector": 0.5}


@cache
def searches_of(seed, queries):
    """Return shown documents of two channels: their rows, features and similarities."""
    rng, shown = np.random.default_rng(seed), []
    for i in range(queries):
        good = rng.random(12) < 0.3
        names = [f"d{j}" for j in range(12)]
        text = (5 + 8 * good * rng.random(12) + 6 * rng.random(12)).tolist()
        similarity = (0.3 + 0.4 * good + 0.1 * rng.random(12)).tolist()
        lists = {
            "text": zip(names, text, strict=True),
            "vector": zip(names, similarity, strict=True),
        }
        fused = fuse({uri: list(pairs) for uri, pairs in lists.items()}, HALVES, k=6)
        logged = zip(fused.documents, fused.metadata(), strict=True)
        for position, (name, metadata) in enumerate(logged):
            j = int(name[1:])
            clicked = rng.random() < (0.6 if good[j] else 0.03) / (position + 1)
            row = {
                "execution_id": f"e{seed}-{i}",
                "feature_id": name,
                "position": position,
                "interaction_type": ["impression", "click"] if clicked else ["impression"],
                "timestamp": "2026-01-31",
            }
            shown.append((row, metadata["features"], similarity[j]))
    return shown


def rows_of(seed, score, queries=400):
    """Return shown lists of two channels; `score` makes the logged one of a similarity."""
    return [
        {
            **row,
            "metadata": {
                "features": features | {"vector": {"score": score(similarity)}},
                "fusion": {"weights": HALVES},
            },
        }
        for row, features, similarity in searches_of(seed, queries)
    ]


def channels_of(rows, arms=("text", "vector")):
    evidence = Evidence(list(arms))
    evidence.update(rows)
    return descending_channels(evidence.sums())


DISTANCES = {
    "1 - similarity": lambda s: 1 - s,
    "squared distance": lambda s: 2 - 2 * s,
    "large distance": lambda s: 4_000 * (1.2 - s),
    "negative log": lambda s: -float(np.log(s)),
    "rank from the top": lambda s: round(12 * (1 - s)),
}
SIMILARITIES = {
    "similarity": lambda s: s,
    "inverse distance": lambda s: 1 / (2 - s),
    "negative distance": lambda s: s - 1,
    "constant": lambda _: 0.5,
    "noise": lambda s: (s * 1e6) % 1,
}


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_distance_is_reported(name, seed):
    assert channels_of(rows_of(seed, DISTANCES[name])) == ("vector",)


@pytest.mark.parametrize("name", SIMILARITIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_similarity_a_constant_and_noise_are_not(name, seed):
    assert channels_of(rows_of(seed, SIMILARITIES[name])) == ()


@pytest.mark.parametrize("seed", range(6))
def test_useless_channels_are_not_reported_and_few_lists_say_nothing(seed):
    """Shown lists are chosen by the scores, so that those of two channels exclude each other."""
    world = World(seed, 12, 20, (2.0, None, None))
    assert channels_of(log_of(world, 800, seed), ARMS) == ()
    assert channels_of(rows_of(seed, DISTANCES["1 - similarity"], queries=5)) == ()


def test_evidence_without_scores_or_clicks_says_nothing():
    rows = rows_of(0, DISTANCES["1 - similarity"], queries=50)
    assert channels_of([{**row, "metadata": None, "feature_uri": "text"} for row in rows]) == ()
    assert channels_of([{**row, "interaction_type": ["impression"]} for row in rows]) == ()


def test_a_bandit_warns_once_and_explains():
    bandit = FusionBandit(["text", "vector"])
    rows = rows_of(0, DISTANCES["1 - similarity"])
    bandit.update(rows[:2_000])
    with pytest.warns(UserWarning, match="higher scores of 'vector' clearly go with fewer rewards"):
        bandit.mean()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bandit.update(rows[2_000:])
        bandit.sample(user_id="u")
    assert "note: higher scores of 'vector'" in str(bandit.explain())
