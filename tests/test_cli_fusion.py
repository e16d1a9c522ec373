"""Learned fusion on the command line: evidence into a store, weights and verdicts out of it."""

import io
import json
import sys

import polars as pl
import pytest

from rankloom.bandit import FusionBandit
from rankloom.cli import main
from rankloom.datasets import simulate_catalogue, simulate_interactions
from tests.bandit._fusion_world import ARMS, World, log_of

CHANNELS = {"mixpeek://text", "mixpeek://image", "mixpeek://audio"}


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A folder with logs: two of a simulated engine, three of one that serves drawn weights."""
    folder = tmp_path_factory.mktemp("logs")
    catalogue = simulate_catalogue(n_queries=40, random_state=0)
    for name, seed in (("early", 1), ("late", 2)):
        log = simulate_interactions(catalogue, n_executions=300, random_state=seed)
        log.write_parquet(folder / f"{name}.parquet")
    world = World(0, queries=12, documents=20)
    served = log_of(world, 1600, 1)
    half = served["timestamp"].quantile(0.4)
    served.filter(pl.col("timestamp") < half).write_parquet(folder / "served.parquet")
    served.filter(pl.col("timestamp") >= half).write_parquet(folder / "later.parquet")
    return folder


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; return exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        return ending.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def state(tmp_path):
    """The address of an empty state."""
    return f"sqlite:///{tmp_path}/fusion.db"


@pytest.fixture
def learnt(run, logs, state):
    """The address of a state that has learnt what was served."""
    assert run("learn-fusion", logs / "served.parquet", "--state", state)[0] == 0
    return state


def assert_refused(result, *words):
    code, out, err = result
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert err.startswith("error: ")
    assert [word for word in words if word not in err] == []


# learn-fusion


def test_the_simulated_log_holds_scores_of_every_channel(logs):
    log = pl.read_parquet(logs / "early.parquet")
    found = set()
    for text in log["metadata"].unique().to_list():
        found |= set(json.loads(text).get("features", {}))
    assert found == CHANNELS


def test_learning_finds_channels_and_tells_what_became_of_every_row(run, logs, state):
    code, out, _ = run(
        "learn-fusion", logs / "early.parquet", "--state", state, "--retriever", "search", "--json"
    )
    told = json.loads(out)
    rows = pl.read_parquet(logs / "early.parquet").height
    assert code == 0
    assert set(told["weights"]) == CHANNELS
    assert told["update"]["rows"] == rows
    assert told["update"]["rows_used"] + told["update"]["list_level"] == rows
    assert told["update"]["units_opened"] > 2000


def test_learning_again_changes_nothing_and_learning_more_does(run, logs, state):
    here = ["--state", state, "--retriever", "search", "--json"]
    first = json.loads(run("learn-fusion", logs / "early.parquet", *here)[1])
    again = json.loads(run("learn-fusion", logs / "early.parquet", *here)[1])
    more = json.loads(run("learn-fusion", logs / "late.parquet", *here)[1])
    assert again["update"]["units_opened"] == 0
    assert again["weights"] == first["weights"]
    assert more["weights"] != first["weights"]


def test_the_text_shows_the_weights_and_stderr_where_they_are(run, logs, state):
    code, out, err = run("learn-fusion", logs / "served.parquet", "--state", state)
    assert code == 0
    assert "rows read" in out
    assert out.splitlines()[-len(ARMS)].startswith("text")
    assert err.splitlines()[-1] == f"evidence -> {state}"


def test_a_log_of_another_retriever_is_refused_with_its_name(run, logs, state):
    result = run("learn-fusion", logs / "early.parquet", "--state", state)
    assert_refused(result, "--retriever", "'default'", "search")


def test_a_log_without_exposures_is_kept_and_the_reason_is_said(run, logs, state, tmp_path):
    log = pl.read_parquet(logs / "served.parquet")
    log.filter(pl.col("interaction_type").list.contains("click")).write_parquet(
        tmp_path / "clicks.parquet"
    )
    code, out, err = run("learn-fusion", tmp_path / "clicks.parquet", "--state", state, "--json")
    assert code == 0
    assert json.loads(out)["weights"] is None
    assert "note: no exposures" in err


def test_another_half_life_than_the_state_has_is_refused(run, logs, learnt):
    result = run(
        "learn-fusion", logs / "served.parquet", "--state", learnt, "--half-life", "30", "--json"
    )
    assert_refused(result, "half_life")


@pytest.mark.parametrize("command", ["learn-fusion", "weights", "replay"])
@pytest.mark.parametrize(
    ("url", "word"), [("fusion.db", "sqlite:///"), ("sqlite:////no/such/folder/x.db", "no folder")]
)
def test_a_wrong_state_is_one_line(run, logs, command, url, word):
    files = [] if command == "weights" else [logs / "served.parquet"]
    assert_refused(run(command, *files, "--state", url), word)


@pytest.mark.parametrize("command", ["weights", "replay"])
def test_an_empty_state_says_how_to_fill_it(run, logs, state, command):
    files = [] if command == "weights" else [logs / "served.parquet"]
    assert_refused(run(command, *files, "--state", state), "nothing is learnt", "learn-fusion")


# weights


def test_weights_are_those_of_a_bandit_that_learnt_the_same(run, logs, learnt):
    bandit = FusionBandit(ARMS)
    bandit.update(logs / "served.parquet")
    told = json.loads(run("weights", "--state", learnt, "--format", "json")[1])
    assert told["weights"] == pytest.approx(bandit.mean(), rel=1e-9)
    assert told["level"] == "global"
    user = json.loads(run("weights", "--state", learnt, "--format", "json", "--user", "u7")[1])
    assert user["weights"] == pytest.approx(bandit.mean(user_id="u7"), rel=1e-9)
    assert user["level"] == "user"


def test_segments_are_asked_for_by_value_or_by_field(run, logs, state):
    here = ["--state", state, "--retriever", "search"]
    learn = ["learn-fusion", logs / "early.parquet", *here, "--segment-by", "device"]
    assert run(*learn)[0] == 0
    by_value = run("weights", *here, "--format", "json", "--segment", "mobile")[1]
    by_field = run("weights", *here, "--format", "json", "--segment", "device=mobile")[1]
    assert json.loads(by_value) == json.loads(by_field)
    assert json.loads(by_value)["level"] == "segment"
    assert_refused(run("weights", *here, "--segment", "a", "--segment", "b"), "FIELD=VALUE")


def test_a_segment_without_segments_is_refused(run, learnt):
    assert_refused(run("weights", "--state", learnt, "--segment", "mobile"), "segment")


def test_the_text_explains_the_weights(run, learnt):
    code, out, err = run("weights", "--state", learnt)
    assert (code, err) == (0, "")
    assert "level: global" in out
    assert [arm for arm in ARMS if arm not in out] == []


def test_exports_hold_the_weights_and_what_each_channel_asks(run, learnt, tmp_path):
    queries = {arm: {"match": {"title": arm}} for arm in ARMS}
    (tmp_path / "queries.json").write_text(json.dumps(queries), encoding="utf-8")
    weights = json.loads(run("weights", "--state", learnt, "--format", "json")[1])["weights"]
    for engine in ("elasticsearch", "opensearch", "qdrant"):
        given = ["--format", engine, "--queries", tmp_path / "queries.json"]
        code, out, err = run("weights", "--state", learnt, *given)
        assert code == 0
        assert (engine == "qdrant") == err.startswith("warning: "), err
        assert len(err.splitlines()) <= 1
        assert all(f'"title": "{arm}"' in out for arm in ARMS)
        if engine != "qdrant":
            assert all(f"{weight:.6f}"[:8] in out for weight in weights.values())
    assert "<query>" in run("weights", "--state", learnt, "--format", "opensearch")[1]


def test_qdrant_is_exact_on_one_shard_with_scores_fused_alike(run, learnt):
    options = ["--method", "rrf", "--learnt-with", "rrf", "--single-shard"]
    code, out, err = run("weights", "--state", learnt, "--format", "qdrant", *options)
    assert (code, err) == (0, "")
    assert "formula" in json.loads(out)["query"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "solr"], ["--format", "solr"]),
        (["--format", "opensearch", "--single-shard"], ["--single-shard"]),
        (["--format", "opensearch", "--queries", "missing.json"], ["missing.json"]),
        (["--format", "elasticsearch", "--method", "z_score"], ["z_score"]),
    ],
)
def test_wrong_options_of_weights_are_one_line(run, learnt, options, words):
    assert_refused(run("weights", "--state", learnt, *options), *words)


# replay


def test_better_weights_pass_on_later_lists_against_equal_ones(run, logs, learnt):
    code, out, _ = run("replay", logs / "later.parquet", "--state", learnt, "--against", "equal")
    assert out.startswith("The gate passes: policy-aware")
    assert code == 0
    assert "learnt until" in out


def test_replay_as_json_holds_verdict_and_learning_curve(run, logs, learnt):
    given = ["--state", learnt, "--against", "equal", "--steps", "4", "--json"]
    code, out, _ = run("replay", logs / "later.parquet", *given)
    told = json.loads(out)
    assert code == 0
    assert told["passed"]
    assert told["metrics"]["DCG@10"]["interval"][0] > 0
    assert len(told["learning_curve"]["weights"]) == 4
    assert set(told["candidate"]["weights"]) == set(ARMS)


def test_lists_that_were_learnt_are_refused_or_judged_without_passing(run, logs, learnt):
    given = [logs / "served.parquet", "--state", learnt, "--against", "equal"]
    assert_refused(run("replay", *given), "later", "--all")
    code, out, _ = run("replay", *given, "--all")
    assert code == 1
    assert "evidence of the candidate itself" in out


def test_a_log_without_served_weights_is_re_ranked_and_does_not_pass(run, logs, state):
    here = ["--state", state, "--retriever", "search"]
    run("learn-fusion", logs / "early.parquet", *here)
    code, out, _ = run("replay", logs / "late.parquet", *here, "--all")
    assert code == 1
    assert "plain re-ranking of shown lists" in out


def test_a_snapshot_file_is_judged_instead_of_the_state(run, logs, learnt, tmp_path):
    bandit = FusionBandit(ARMS)
    bandit.update(pl.read_parquet(logs / "served.parquet").head(3000))
    bandit.snapshot().save(tmp_path / "snapshot.json")
    given = ["--state", learnt, "--snapshot", tmp_path / "snapshot.json", "--json"]
    told = json.loads(run("replay", logs / "later.parquet", *given)[1])
    assert told["candidate"]["snapshot_id"] == bandit.snapshot().snapshot_id


def test_an_unknown_baseline_is_refused(run, logs, learnt):
    result = run("replay", logs / "later.parquet", "--state", learnt, "--against", "best")
    assert_refused(result, "--against", "best")
