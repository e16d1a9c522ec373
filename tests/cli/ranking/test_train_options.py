"""`rankloom train`: parameters, the period, what is held out, the card, and --config."""

import json
import shutil

import polars as pl
import pytest

from rankloom.datasets import load_pairs
from rankloom.ltr import Ranker

QUICK = ("--features", "features.parquet", "--threads", "1", "--debias", "none")
LOG = ("train", "late.parquet", *QUICK)
pytestmark = pytest.mark.usefixtures("in_folder")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "model"


def test_parameters_of_the_ranker_and_of_lightgbm_are_set(run, out, tmp_path):
    (tmp_path / "params.json").write_text(
        '{"num_leaves": 5, "params": {"lambda_l1": 0.5}, "debias": "ips"}'
    )
    given = [
        "--param",
        "num_leaves=7",
        "--param",
        "metric=ndcg",
        "--param",
        "label_gain=[0,1,2,3,4,5]",
    ]
    run(*LOG, "--out", out, "--params", tmp_path / "params.json", *given, "--seed", "3")
    found = Ranker.load(out).get_params()
    assert found["num_leaves"] == 7
    assert (found["debias"], found["random_state"], found["n_jobs"]) == ("none", 3, 1)
    assert found["params"] == {"lambda_l1": 0.5, "metric": "ndcg", "label_gain": [0, 1, 2, 3, 4, 5]}


def test_a_seed_makes_the_same_model_again(run, tmp_path):
    names = []
    for n, seed in enumerate((1, 1, 2)):
        random = ["--param", "bagging_fraction=0.5", "--param", "bagging_freq=1"]
        run(*LOG, "--out", tmp_path / str(n), "--seed", seed, *random)
        names.append(
            Ranker.load(tmp_path / str(n)).booster_.model_to_string().split("parameters:")[0]
        )
    assert names[0] == names[1] != names[2]


def test_what_is_outside_the_period_is_counted_and_not_trained_on(run, out):
    pairs = load_pairs("late.parquet")
    first, last = pairs.time[100], pairs.time[300]
    period = ["--since", f"{first}Z", "--until", str(last)]
    code, text, _ = run(*LOG, "--out", out, *period, "--json")
    before, after = pairs.time < first, pairs.time >= last
    assert code == 0
    report = json.loads(text)
    assert report["pairs"] == int(pairs.group[~before & ~after].sum())
    found = [note for note in report["load"]["notes"] if "left out" in note]
    assert found[0].startswith(
        f"{pairs.group[before].sum():,} rows of training data in {before.sum():,} executions "
        "before --since"
    )
    assert found[1].startswith(
        f"{pairs.group[after].sum():,} rows of training data in {after.sum()}"
    )
    assert Ranker.load(out).training_period_[0] == f"{first}Z"
    assert found[0] in (out / "card.md").read_text("utf-8").replace("\\", "")


@pytest.mark.slow
@pytest.mark.parametrize("share", [True, False])
def test_the_latest_executions_are_held_out_and_judge_the_model(run, out, share):
    pairs = load_pairs("late.parquet")
    cut = pairs.time[int(pairs.n_executions * 0.75)]
    code, text, err = run(*LOG, "--out", out, "--validation", "0.25" if share else cut, "--json")
    assert code == 0
    assert json.loads(text)["pairs"] == int(pairs.group[pairs.time < cut].sum())
    assert "gate: " in err
    assert "model card -> " in err
    card = (out / "card.md").read_text("utf-8")
    assert f"On {(pairs.time >= cut).sum()} executions that were held out" in card
    assert (out / "gate-production.json").exists()


@pytest.mark.slow
def test_a_model_that_passed_on_what_was_held_out_starts_a_registry(run, out, tmp_path):
    code, _, err = run("train", "log.parquet", *QUICK, "--out", out, "--validation", "0.3")
    assert code == 0
    assert "gate: passes" in err
    assert run("promote", out, "--to", tmp_path / "registry").code == 0
    assert (tmp_path / "registry" / "current" / "card.html").exists()


@pytest.mark.slow
def test_executions_that_stop_the_training_do_not_let_it_pass_a_gate_as_well(run, out):
    stop = ["--param", "early_stopping_rounds=3", "--param", "learning_rate=0.3"]
    code, _, err = run(*LOG, "--out", out, "--validation", "0.25", *stop)
    assert (code, "gate: " in err) == (0, False)
    assert Ranker.load(out).best_iteration_ < 150
    assert "decided how many trees" in (out / "card.md").read_text("utf-8")
    assert not (out / "gate-production.json").exists()


@pytest.mark.slow
def test_a_context_has_curves_of_its_own_and_a_slice_in_the_card(run, out):
    options = ["--context", "device", "--slice", "device", "--validation", "0.3", "--debias", "ips"]
    arguments = ["train", "log.parquet", "--features", "features.parquet", "--threads", "1"]
    code, _, _ = run(*arguments, "--out", out, *options)
    assert code == 0
    ranker = Ranker.load(out)
    assert ranker.examination_source_ == "given"
    card = (out / "card.md").read_text("utf-8")
    assert "| device | desktop |" in card
    assert "the examination that was applied" in card


def test_compare_adds_its_verdict_to_the_card(run, simulated, out):
    shutil.copytree(simulated / "uncompared", out)
    before = (out / "card.md").read_text("utf-8")
    assert "run rankloom compare" in before
    run("compare", out, "production", "small.parquet", "--features", "features.parquet")
    executions = load_pairs("small.parquet").n_executions
    expected = f"against the order that was shown, on {executions} executions"
    assert expected in (out / "card.md").read_text("utf-8")


def test_every_option_can_come_from_a_file_and_flags_win(run, out, tmp_path):
    config = tmp_path / "train.toml"
    config.write_text(
        f'files = "late.parquet"\nfeatures = "features.parquet"\nout = "{out}"\ndebias = "none"\n'
        "threads = 1\nseed = 5\nsince = 2025-01-01\njson = true\nhalf_life = 30\n"
        "[params]\nnum_leaves = 7\nlambda_l2 = 2.5\n[grade]\npurchase = 9\n"
    )
    code, text, _ = run("train", "--config", config, "--seed", "6", "--param", "num_leaves=9")
    assert code == 0
    assert json.loads(text)["pairs"] == len(load_pairs("late.parquet"))
    ranker = Ranker.load(out)
    assert ranker.num_leaves == 9
    assert ranker.params == {"lambda_l2": 2.5}
    assert ranker.random_state == 6
    assert 9 in ranker.grades_
    code, _, _ = run("train", "small.parquet", "--config", config)
    executions = load_pairs("small.parquet").n_executions
    assert Ranker.load(out).training_report_["executions"] == executions


def test_keys_are_the_flags_of_the_help(run):
    """A key that the file may have and the help does not show, or the reverse, is a mistake."""
    help_text = " ".join(run("train", "--help").out.split())
    from rankloom.cli.config_file import _options
    from rankloom.cli.ranking.train import train

    keys = set(_options(train))
    assert "config" not in keys
    flags = {f"--{key.replace('_', '-')}" for key in keys - {"files"}}
    assert [flag for flag in flags if flag not in help_text] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--param", "nun_leaves=7"], ["--param", "'nun_leaves'", "'num_leaves'"]),
        (["--param", "num_leaves"], ["NAME=VALUE", "'num_leaves'"]),
        (["--param", "num_leaves=0"], ["num_leaves", "at least 1"]),
        (["--param", "seed=1", "--seed", "2"], ["--param seed", "--seed"]),
        (["--param", "seed=1", "--param", "random_state=2"], ["set the same"]),
        (["--param", "num_class=3"], ["num_class"]),
        (["--params", "absent.json"], ["absent.json"]),
        (["--params", "features.parquet"], ["features.parquet"]),
        (["--params", "{1}"], ["JSON object"]),
        (["--params", '{"params": 3}'], ["--params", "object"]),
        (["--params", '{"max_bin": 3, "params": {"max_bin": 4}}'], ["each name once", "max_bin"]),
        (["--params", '{"nun_leaves": 3}'], ["--params", "'num_leaves'"]),
        (["--since", "soon"], ["--since", "UTC", "'soon'"]),
        (["--since", ""], ["--since", "UTC"]),
        (["--since", "2026-02-01", "--until", "2026-01-01"], ["before --until"]),
        (["--until", "2001-01-01"], ["no execution is between", "2025"]),
        (["--validation", "1.5"], ["--validation", "between 0 and 1"]),
        (["--validation", "never"], ["--validation", "share", "'never'"]),
        (["--validation", "2001-01-01"], ["split"]),
        (["--slice", "device"], ["--slice", "--validation"]),
        (["--slice", "devise", "--validation", "0.2"], ["context", "devise"]),
        (["--param", "early_stopping_rounds=3"], ["--validation"]),
        (["--context", "device"], ["--context", "'none'"]),
        (["--config", "absent.toml"], ["--config", "absent.toml"]),
        (["--config", "features.parquet"], ["--config", "TOML"]),
    ],
)
def test_wrong_options_are_refused_in_one_line(run, out, arguments, words):
    run("train", "small.parquet", *QUICK, "--out", out, *arguments).assert_refused(*words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thread = 1\n", ["'thread'", "'threads'", "rankloom train --help"]),
        ('threads = "x"\n', ["threads", "int"]),
        ("threads = true\n", ["threads", "int"]),
        ("drop_bots = 1\n", ["drop_bots", "bool"]),
        ("out = ['a']\n", ["out", "str"]),
        ("config = 'other.toml'\n", ["'config'"]),
        ("[params]\nday = 2026-01-01\n", ["table"]),
        ("[params]\nnun_leaves = 3\n", ["'num_leaves'"]),
    ],
)
def test_wrong_keys_are_refused_with_the_file(run, out, tmp_path, text, words):
    config = tmp_path / "train.toml"
    config.write_text(text)
    arguments = ["train", "small.parquet", "--out", out, "--config", config]
    run(*arguments).assert_refused(*words)
    assert not out.exists()


def test_a_log_without_times_has_no_period(run, out, tmp_path):
    log = pl.read_parquet("small.parquet").drop("timestamp", "occurred_at")
    log.write_parquet(tmp_path / "log.parquet")
    arguments = ["train", tmp_path / "log.parquet", *QUICK, "--out", out]
    run(*arguments, "--since", "2025-01-01").assert_refused("--since", "occurred_at")
    run(*arguments, "--validation", "0.2").assert_refused("occurred_at")
