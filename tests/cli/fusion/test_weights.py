"""`rankloom weights`: learnt weights as text, JSON and searches of other engines."""

import json

import pytest

from rankloom.bandit import FusionBandit
from tests.bandit.fusion_simulation import ARMS


def test_weights_are_those_of_a_bandit_that_learnt_the_same(run, logs, learnt):
    bandit = FusionBandit(ARMS)
    bandit.update(logs / "served.parquet")
    report = json.loads(run("weights", "--state", learnt, "--format", "json").out)
    assert report["weights"] == pytest.approx(bandit.mean(), rel=1e-9)
    assert report["level"] == "global"
    user = json.loads(run("weights", "--state", learnt, "--format", "json", "--user", "u7").out)
    assert user["weights"] == pytest.approx(bandit.mean(user_id="u7"), rel=1e-9)
    assert user["level"] == "user"


def test_segments_are_given_by_value_or_by_field(run, logs, state):
    here = ["--state", state, "--retriever", "search"]
    learn = ["learn-fusion", logs / "early.parquet", *here, "--segment-by", "device"]
    assert run(*learn).code == 0
    by_value = run("weights", *here, "--format", "json", "--segment", "mobile").out
    by_field = run("weights", *here, "--format", "json", "--segment", "device=mobile").out
    assert json.loads(by_value) == json.loads(by_field)
    assert json.loads(by_value)["level"] == "segment"
    run("weights", *here, "--segment", "a", "--segment", "b").assert_refused("FIELD=VALUE")


def test_a_query_has_weights_of_its_own(run, logs, state):
    """Those of a bandit that learnt the same; the limit stays with the state."""
    learn = ["learn-fusion", logs / "served.parquet", "--state", state]
    assert run(*learn, "--max-queries", "20").code == 0
    assert run(*learn).code == 0
    bandit = FusionBandit(ARMS, max_queries=20)
    bandit.update(logs / "served.parquet")
    asked = '{"query": "Q3"}'
    report = json.loads(run("weights", "--state", state, "--format", "json", "--query", asked).out)
    assert report["weights"] == pytest.approx(bandit.mean(query=asked), rel=1e-9)
    assert report["level"] == "query"
    assert 'level: query {"query":"q3"}' in run("weights", "--state", state, "--query", asked).out
    unknown = run("weights", "--state", state, "--format", "json", "--query", "unknown").out
    assert json.loads(unknown)["weights"] == pytest.approx(bandit.mean(), rel=1e-9)


def test_a_segment_without_segments_is_refused(run, learnt):
    run("weights", "--state", learnt, "--segment", "mobile").assert_refused("segment")


def test_the_text_explains_the_weights(run, learnt):
    code, out, err = run("weights", "--state", learnt)
    assert (code, err) == (0, "")
    assert "level: global" in out
    assert [arm for arm in ARMS if arm not in out] == []


def test_exports_hold_the_weights_and_the_query_of_each_channel(run, learnt, tmp_path):
    queries = {arm: {"match": {"title": arm}} for arm in ARMS}
    (tmp_path / "queries.json").write_text(json.dumps(queries), encoding="utf-8")
    weights = json.loads(run("weights", "--state", learnt, "--format", "json").out)["weights"]
    for engine in ("elasticsearch", "opensearch", "qdrant"):
        given = ["--format", engine, "--queries", tmp_path / "queries.json"]
        code, out, err = run("weights", "--state", learnt, *given)
        assert code == 0
        assert (engine == "qdrant") == err.startswith("warning: "), err
        assert len(err.splitlines()) <= 1
        assert all(f'"title": "{arm}"' in out for arm in ARMS)
        if engine != "qdrant":
            assert all(f"{weight:.6f}"[:8] in out for weight in weights.values())
    assert "<query>" in run("weights", "--state", learnt, "--format", "opensearch").out


def test_qdrant_is_exact_on_one_shard_with_scores_fused_alike(run, learnt):
    options = ["--method", "rrf", "--learnt-with", "rrf", "--single-shard"]
    code, out, err = run("weights", "--state", learnt, "--format", "qdrant", *options)
    assert (code, err) == (0, "")
    assert "formula" in json.loads(out)["query"]


def test_engines_that_have_to_know_more_of_a_channel_get_it(run, learnt, tmp_path):
    """What the search holds, beside the weights, is what the file says of each channel."""
    first, *others = ARMS
    vectors = {uri: {"kind": "vector", "vector": [1.0], "fields": uri} for uri in others}
    asked = {
        "vespa": {arm: {"expression": f"bm25({place})"} for place, arm in enumerate(ARMS)},
        "azure": {first: {"search": "shoes"}} | vectors,
        "milvus": {arm: {"data": [[1.0]], "annsField": arm} for arm in ARMS},
        "mongodb": {arm: [{"$search": {"index": arm}}, {"$limit": 20}] for arm in ARMS},
        "weaviate": {arm: {"vector": [1.0], "targetVectors": [arm]} for arm in ARMS},
    }
    for engine, queries in asked.items():
        path = tmp_path / f"{engine}.json"
        path.write_text(json.dumps(queries), encoding="utf-8")
        given = ["--format", engine, "--queries", path]
        code, out, err = run("weights", "--state", learnt, *given)
        assert code == 0, err
        assert err.startswith("warning: ") == (engine != "mongodb"), engine
        assert len(err.splitlines()) <= 1
        assert json.loads(out)
    run("weights", "--state", learnt, "--format", "vespa").assert_refused("--queries", "expression")


def test_opensearch_fuses_in_the_query_where_asked_to(run, learnt):
    code, out, err = run("weights", "--state", learnt, "--format", "opensearch", "--in-query")
    assert (code, err) == (0, "")
    assert "fusion" in json.loads(out)["query"]["hybrid"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "solr"], ["--format", "solr"]),
        (["--format", "qdrant", "--in-query"], ["--in-query"]),
        (["--format", "opensearch", "--single-shard"], ["--single-shard"]),
        (["--format", "opensearch", "--queries", "missing.json"], ["missing.json"]),
        (["--format", "elasticsearch", "--method", "z_score"], ["z_score"]),
    ],
)
def test_wrong_options_of_weights_are_one_line(run, learnt, options, words):
    run("weights", "--state", learnt, *options).assert_refused(*words)
