"""The published rules, from docs.vespa.ai and github.com/vespa-engine/vespa, and pyvespa's schemas.

phased-ranking.html: normalisers of the global phase take one function and look at all hits that the
phase ranks. LinearNormalizer.java: (x - lowest) / (highest - lowest), 0.5 where all are equal.
ReciprocalRankNormalizer.java: 1 / (k + rank), rank = 1, 2, ..., ties one after the other.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from rankloom.bandit import fuse
from rankloom.bandit.exports import CarryOverWarning, to_vespa
from rankloom.errors import InvalidInputError


def standing_for(lists):
    return {uri: {"expression": f"bm25({uri})", "where": f"{uri} contains 'x'"} for uri in lists}


def served(exported, lists):
    """Rank all hits as the documentation says, by the weights that the query sends."""
    profile, query = exported["rank_profile"], exported["query"]
    hits = sorted({document for pairs in lists.values() for document, _ in pairs})
    channels = dict(re.findall(r"function (\w+)\(\) \{\s+expression: bm25\((\w+)\)", profile))
    found = {uri: dict(pairs) for uri, pairs in lists.items()}
    scores = {
        name: np.array([found[uri].get(hit, 0.0) for hit in hits]) for name, uri in channels.items()
    }
    assert int(re.search(r"rerank-count: (\d+)", profile)[1]) >= len(hits)

    def normalize_linear(x):
        return (x - x.min()) / (x.max() - x.min())

    def reciprocal_rank(x, k):
        rank = np.empty(len(x))
        rank[np.argsort(-x, kind="stable")] = np.arange(1, len(x) + 1)
        return 1 / (k + rank)

    expression = re.search(r"global-phase \{\s+expression \{\s+(.+?)\s+\}", profile, re.DOTALL)[1]
    inputs = {f"weight_{name.removeprefix('channel_')}": name for name in channels}
    text = re.sub(r"query\((\w+)\)", r"weights['\1']", expression).replace("if (", "where(")
    total = eval(  # noqa: S307 - the text that the export wrote
        f"({text})",
        {
            **scores,
            "weights": {name: query[f"input.query({name})"] for name in inputs},
            "where": np.where,
            "normalize_linear": normalize_linear,
            "reciprocal_rank": reciprocal_rank,
        },
    )
    ranked = sorted(zip(-total, hits, strict=True))
    return tuple(hit for _, hit in ranked[: query["hits"]])


def test_by_ranks_vespa_ranks_as_fuse_does(lists, weights):
    exported = to_vespa(
        weights,
        standing_for(lists),
        method="rrf",
        learnt_with="rrf",
        size=7,
        rank_constant=20,
    )
    fused = fuse(lists, weights, method="rrf", k=7, rank_constant=20)
    assert served(exported, lists) == fused.documents


def test_by_scores_it_takes_what_a_channel_missed_as_the_lowest_score_and_says_so(lists, weights):
    """With a document of score 0 at the end of every list, fuse normalises as Vespa does."""
    with pytest.warns(CarryOverWarning, match="0 of those that a channel missed") as caught:
        exported = to_vespa(weights, standing_for(lists), size=7)
    assert [warning.filename for warning in caught] == [__file__]
    missed = {uri: [*pairs, ("missed", 0.0)] for uri, pairs in lists.items()}
    fused = [one for one in fuse(missed, weights, k=50).documents if one != "missed"]
    assert served(exported, lists) == tuple(fused[:7])


@pytest.mark.parametrize("method", ["min_max", "rrf"])
def test_pyvespa_writes_the_same_rank_profile(method, weights):
    from vespa.package import (
        Document,
        FirstPhaseRanking,
        Function,
        GlobalPhaseRanking,
        RankProfile,
        Schema,
    )

    exported = to_vespa(
        dict.fromkeys(weights, 0.5),
        standing_for(weights),
        method=method,
        inherits="parent",
        candidates=40,
    )
    profile = exported["rank_profile"]
    expression = re.search(r"global-phase \{\s+expression \{\s+(.+?)\s+\}", profile, re.DOTALL)[1]
    channels = sorted(weights)
    theirs = Schema(
        name="product",
        document=Document(),
        rank_profiles=[
            RankProfile(
                name="rankloom_fusion",
                inherits="parent",
                inputs=[(f"query(weight_{uri})", "double", "0.5") for uri in channels],
                functions=[
                    Function(name=f"channel_{uri}", expression=f"bm25({uri})") for uri in channels
                ],
                first_phase=FirstPhaseRanking(
                    expression=" + ".join(f"channel_{uri}" for uri in channels)
                ),
                global_phase=GlobalPhaseRanking(expression=expression, rerank_count=120),
                match_features=[f"channel_{uri}" for uri in channels],
            )
        ],
    ).schema_to_text
    start, end = theirs.index("rank-profile"), theirs.rindex("}")
    assert statements(profile) == statements(theirs[start:end])


def statements(text):
    """Return words and signs, with `name: value` written as `name { value }`, as pyvespa does."""
    words = re.sub(r"(match-features|expression):([^\n]*)", r"\1 { \2 }", text)
    return words.split()


def test_names_that_cannot_be_identifiers_are_numbered():
    asked = {"mixpeek://b": {"expression": "bm25(b)"}, "a": {"expression": "bm25(a)"}}
    exported = to_vespa({"a": 0.5, "mixpeek://b": 0.5}, asked)
    assert "query(weight_1) double: 0.5" not in exported["rank_profile"]
    assert "function channel_channel_1() {" in exported["rank_profile"]
    assert exported["query"]["input.query(weight_channel_1)"] == 0.5
    assert "yql" not in exported["query"]


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ({"a": {"expr": "bm25(a)"}}, {}, r"channels\['a'\]: expected a rank expression"),
        ({"a": {"expression": "bm25(a)"}}, {"profile": "my profile"}, "profile: expected a name"),
        ({"a": {"expression": "bm25(a)"}}, {"inherits": "{"}, "inherits: expected a name"),
    ],
)
def test_what_is_no_part_of_a_schema_is_refused(asked, options, message):
    with pytest.raises(InvalidInputError, match=message):
        to_vespa({"a": 1}, asked, **options)
