"""What holds for every engine's export alike."""

from __future__ import annotations

import copy
import functools
import inspect
import json
import warnings

import pytest

from rankloom.bandit.exports import (
    CarryOverWarning,
    to_azure,
    to_elasticsearch,
    to_mongodb,
    to_opensearch,
    to_qdrant,
    to_vespa,
    to_weaviate,
)
from rankloom.errors import InvalidInputError


@functools.wraps(to_vespa)
def to_vespa_of_any(weights, channels, **options):
    """Export channels whose expressions are what is asked as a text."""
    asked = {uri: {"expression": json.dumps(query)} for uri, query in channels.items()}
    return to_vespa(weights, asked, **options)


ENGINES = {
    "Elasticsearch": (to_elasticsearch, ("min_max", "rrf")),
    "OpenSearch": (to_opensearch, ("min_max", "z_score", "rrf")),
    "Qdrant": (to_qdrant, ("rrf", "distribution")),
    "Weaviate": (to_weaviate, ("min_max", "rrf")),
    "Vespa": (to_vespa_of_any, ("min_max", "rrf")),
    "MongoDB": (to_mongodb, ("min_max", "rrf")),
    "Azure AI Search": (to_azure, ("rrf",)),
}
# Milvus' own way of fusing is none of these, so that what is said of it stands in test_milvus.py.
METHODS = ("min_max", "z_score", "distribution", "rrf")
every_engine = pytest.mark.parametrize("engine", ENGINES)
exports = pytest.mark.parametrize(
    ("export", "method"), [(to, method) for to, methods in ENGINES.values() for method in methods]
)

WEIGHTS = {"text": 0.75, "image": 0.25}
# Every engine finds in them what it needs to know of a channel.
ASKED = {
    "image": {"vector": [0.1, 0.9], "kind": "vector"},
    "text": {"query": {"nested": ["a", None, True]}, "search": "a"},
}


def options(export, method):
    """Return what makes the export faithful."""
    exact = {"single_shard": True} if export is to_qdrant else {}
    return {"method": method, "learnt_with": method, **exact}


def taken(export, options):
    """Return whether the export has these parameters."""
    return set(options) <= set(inspect.signature(export).parameters)


@exports
def test_the_body_is_plain_json_and_what_was_asked_stays_as_it_is(export, method):
    asked = copy.deepcopy(ASKED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CarryOverWarning)
        body = export(WEIGHTS, asked, **options(export, method))
    assert json.loads(json.dumps(body, allow_nan=False)) == body
    assert asked == ASKED
    text = body["rank_profile"] if export is to_vespa_of_any else json.dumps(body)
    assert json.dumps(ASKED["text"]["query"]) in text


@exports
def test_the_order_of_the_mappings_changes_nothing(export, method):
    reordered = (dict(reversed(each.items())) for each in (WEIGHTS, ASKED))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CarryOverWarning)
        first = export(WEIGHTS, ASKED, **options(export, method))
        assert export(*reordered, **options(export, method)) == first


@every_engine
@pytest.mark.parametrize("method", METHODS)
def test_what_an_engine_cannot_express_is_refused_with_the_ways_out(engine, method):
    export, expressible = ENGINES[engine]
    if method in expressible:
        export(dict.fromkeys(WEIGHTS, 1), ASKED, method=method)
        return
    with pytest.raises(InvalidInputError, match=f"{engine} cannot fuse by '{method}'") as caught:
        export(WEIGHTS, ASKED, method=method)
    assert all(repr(way) in str(caught.value) for way in expressible)
    assert "rankloom.bandit.fuse" in str(caught.value)


@every_engine
def test_weights_of_score_fusion_do_not_carry_over_to_rank_fusion_and_it_says_so(engine):
    export, _ = ENGINES[engine]
    exact = {"single_shard": True} if export is to_qdrant else {}
    message = "learnt with 'min_max' and are exported for 'rrf'.*do not carry over to rank fusion"
    with pytest.warns(CarryOverWarning, match=message) as caught:
        export(WEIGHTS, ASKED, method="rrf", **exact)
    assert [warning.filename for warning in caught] == [__file__]
    export(WEIGHTS, ASKED, method="rrf", learnt_with="rrf", **exact)


def test_all_exports_but_milvus_are_tested_here():
    from rankloom.bandit import exports as package

    tested = {export.__name__ for export, _ in ENGINES.values()}
    assert {name for name in package.__all__ if name.startswith("to_")} == tested | {"to_milvus"}


@exports
def test_equal_weights_hold_nothing_that_could_be_lost(export, method):
    for learnt_with in METHODS:
        export(dict.fromkeys(WEIGHTS, 0.5), ASKED, method=method, learnt_with=learnt_with)


def test_weights_do_not_carry_over_between_kinds_of_scores_either():
    with pytest.warns(CarryOverWarning, match="tied to the scale of the scores"):
        to_elasticsearch(WEIGHTS, ASKED, learnt_with="z_score")


@every_engine
@pytest.mark.parametrize(
    ("weights", "asked", "options", "message"),
    [
        (WEIGHTS, {"text": {}}, {}, "nothing for 'image', which has a weight"),
        ({"text": 1.0}, ASKED, {}, "weights: no weight for the channel 'image'"),
        ({}, {}, {}, "weights: got none"),
        (WEIGHTS | {"text": -1}, ASKED, {}, r"weights\['text'\]: expected a finite number >= 0"),
        (dict.fromkeys(WEIGHTS, 0), ASKED, {}, "weights: all 2 are 0"),
        (WEIGHTS, ASKED, {"size": 0}, "size: expected a whole number >= 1, got 0"),
        (WEIGHTS, ASKED, {"candidates": 5.0}, "candidates: expected a whole number >= 1, got 5.0"),
        (WEIGHTS, ASKED, {"candidates": 9}, "candidates: got 9, expected at least the size of 10"),
        (WEIGHTS, ASKED, {"rank_constant": 0}, "rank_constant: expected a whole number >= 1"),
        (WEIGHTS, ASKED, {"rank_constant": 2**32}, "rank_constant: .* takes at most"),
        (WEIGHTS, ASKED, {"candidates": 2**64}, "candidates: .* takes at most"),
        (WEIGHTS, ASKED, {"method": "rff"}, "method: got 'rff'.*Did you mean 'rrf'"),
        (WEIGHTS, ASKED, {"learnt_with": "max"}, "learnt_with: got 'max'"),
    ],
)
def test_bad_input_is_named(engine, weights, asked, options, message):
    if not taken(ENGINES[engine][0], options):
        return
    with pytest.raises(InvalidInputError, match=message):
        ENGINES[engine][0](weights, asked, **options)


@pytest.mark.parametrize(
    ("engine", "parameter", "most"),
    [
        *(("Elasticsearch", "rank_constant", 2**31 - 1), ("Elasticsearch", "candidates", 10_000)),
        *(("OpenSearch", "rank_constant", 10_000), ("OpenSearch", "candidates", 10_000)),
        ("Qdrant", "rank_constant", 2**32 - 2),
        ("Vespa", "rank_constant", 2**31 - 1),
        ("Azure AI Search", "candidates", 10_000),
    ],
)
def test_the_search_engines_limits_are_the_last_numbers_accepted(engine, parameter, most):
    export, equal = ENGINES[engine][0], dict.fromkeys(WEIGHTS, 1)
    export(equal, ASKED, method="rrf", **{parameter: most})
    with pytest.raises(InvalidInputError, match=f"{parameter}: .* at most {most}, got {most + 1}"):
        export(equal, ASKED, method="rrf", **{parameter: most + 1})


@pytest.mark.parametrize("export", [to_elasticsearch, to_opensearch])
def test_a_raised_result_window_allows_more_candidates(export):
    equal = dict.fromkeys(WEIGHTS, 1)
    export(equal, ASKED, candidates=50_000, max_result_window=50_000)
    with pytest.raises(InvalidInputError, match="give it as max_result_window"):
        export(equal, ASKED, candidates=101, max_result_window=100)
    with pytest.raises(InvalidInputError, match="max_result_window: expected a whole number"):
        export(equal, ASKED, max_result_window=0)
