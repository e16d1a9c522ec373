"""The command line: what it prints where, how it ends, and that it never shows a traceback."""

import importlib.metadata
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from rankloom.cli import app, main
from rankloom.ltr import Ranker

COMMANDS = [
    "validate",
    "position-bias",
    "train",
    "evaluate",
    "compare",
    "rerank",
    "learn-fusion",
    "weights",
    "replay",
    "serve",
    "simulate",
    "demo",
]
RANKLOOM = Path(sys.executable).with_name("rankloom")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a clean log, a later one, a dirty one, features and a trained model."""
    folder = tmp_path_factory.mktemp("world")
    size = ["--executions", "700"]
    for arguments in (
        ["simulate", "log.parquet", *size, "--seed", "1", "--features-out", "features.parquet"],
        ["simulate", "one-ranker.parquet", *size, "--rankers", "1"],
        ["simulate", "dirty.jsonl", *size, "--seed", "1", "--dirty", "0.05"],
    ):
        subprocess.run([RANKLOOM, *arguments], cwd=folder, check=True, capture_output=True)
    log = pl.read_parquet(folder / "log.parquet")
    half = log["timestamp"].quantile(0.7)
    log.filter(pl.col("timestamp") < half).write_parquet(folder / "early.parquet")
    log.filter(pl.col("timestamp") >= half).write_parquet(folder / "late.parquet")
    with pytest.raises(SystemExit, match="^0$"):
        main([*train_arguments(folder), "--out", str(folder / "model"), "--debias", "position"])
    return folder


def train_arguments(folder):
    """Return the arguments of a quick training."""
    features = ["--features", str(folder / "features.parquet")]
    return ["train", str(folder / "early.parquet"), *features, "--threads", "1"]


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process; return exit code, stdout and stderr."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        return ending.value.code, *capsys.readouterr()

    return run


def assert_refused(result, *words):
    """Assert exit code 2, nothing on stdout, and one line that starts with error: and has words."""
    code, out, err = result
    lines = err.splitlines()
    assert (code, out, len(lines)) == (2, "", 1), err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


# How it starts


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, command):
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: rankloom {command}" in out
    assert "Example" in out


def test_the_help_lists_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert [command for command in COMMANDS if command not in out] == []
    assert len(app.registered_commands) == len(COMMANDS)


@pytest.mark.parametrize("start", [[RANKLOOM], [sys.executable, "-m", "rankloom"]])
def test_the_command_and_the_module_print_the_version(start, tmp_path):
    done = subprocess.run(
        [*start, "--version"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == f"rankloom {importlib.metadata.version('rankloom')}\n"


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], ["trian", "Did you mean 'train'", "rankloom --help"]),
        (["validate"], ["FILE", "rankloom validate --help"]),
        (["train", "log.parquet"], ["--out", "rankloom train --help"]),
        (["simulate", "x.parquet", "--executions", "many"], ["--executions"]),
        (["simulate", "x.parquet", "--executions", "0"], ["--executions"]),
        (["simulate", "x.parquet", "--executions", "5", "--nonsense"], ["--nonsense"]),
        (["simulate", "x.exe", "--executions", "5"], [".parquet, .jsonl or .csv", "x.exe"]),
        (["validate", "x.parquet", "--grade", "purchase"], ["--grade", "'purchase'"]),
        (["validate", "x.parquet", "--grade", "purchase=-1"], ["--grade", "'purchase=-1'"]),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(run, arguments, words):
    assert_refused(run(*arguments), *words)


def test_an_unknown_mode_is_refused_by_name(run, world):
    result = run(*train_arguments(world), "--out", world / "never", "--debias", "postion")
    assert_refused(result, "debias", "postion")
    assert not (world / "never").exists()


def test_an_unknown_click_model_is_refused_by_name(run, tmp_path):
    out = tmp_path / "x.parquet"
    result = run("simulate", out, "--executions", "5", "--click-model", "pmb")
    assert_refused(result, "click_model", "pmb")
    assert not out.exists()


@pytest.mark.parametrize("command", ["validate", "position-bias", "train", "evaluate"])
@pytest.mark.parametrize("name", ["missing.parquet", "folder", "none-*.jsonl", "torn.parquet"])
def test_a_file_that_cannot_be_read_is_named_in_one_line(run, world, tmp_path, command, name):
    (tmp_path / "folder").mkdir()
    torn = (world / "log.parquet").read_bytes()[:-100]
    (tmp_path / "torn.parquet").write_bytes(torn)
    extra = {"train": ["--out", tmp_path / "model"], "evaluate": [world / "model"]}
    given = [*extra.get(command, []), tmp_path / name]
    assert_refused(run(command, *given), name)


def test_a_folder_that_cannot_be_written_is_one_line(run, tmp_path):
    result = run("simulate", tmp_path / "no" / "such" / "x.parquet", "--executions", "5")
    assert_refused(result, "x.parquet")


def test_a_real_process_ends_with_2_and_no_traceback(tmp_path):
    done = subprocess.run(
        [RANKLOOM, "train", "missing.parquet", "--out", "model"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_stops_early_is_no_error(world):
    """`rankloom ... | head -n 1` ends quietly."""
    documents = b'{"feature_id": "a", "features": {}}\n' * 20_000
    with subprocess.Popen(
        [RANKLOOM, "rerank", world / "model"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(documents)
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert b"Traceback" not in errors
    assert b"BrokenPipe" not in errors


def test_an_interrupt_ends_with_130(run, monkeypatch, tmp_path):
    monkeypatch.setattr("rankloom.datasets.simulate_catalogue", raising(KeyboardInterrupt))
    assert run("simulate", tmp_path / "x.parquet", "--executions", "5")[0] == 130


def test_a_defect_of_ours_is_not_dressed_up_as_the_users_fault(monkeypatch, tmp_path):
    monkeypatch.setattr("rankloom.datasets.simulate_catalogue", raising(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        main(["simulate", str(tmp_path / "x.parquet"), "--executions", "5"])


def raising(error):
    """Return a function that raises the error."""

    def function(**_):
        raise error

    return function


# simulate


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_every_format_that_simulate_writes_is_valid_input(run, tmp_path, suffix):
    log = tmp_path / f"log.{suffix}"
    code, out, err = run("simulate", log, "--executions", "50")
    assert (code, out) == (0, "")
    assert str(log) in err
    code, out, _ = run("validate", log, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["rows_read"] > 500
    assert report["quarantined"] == 0


def test_the_same_seed_writes_the_same_log_and_another_seed_another(run, tmp_path):
    logs = [tmp_path / f"{i}.parquet" for i in range(3)]
    for log, seed in zip(logs, [5, 5, 6], strict=True):
        assert run("simulate", log, "--executions", "40", "--seed", seed)[0] == 0
    frames = [pl.read_parquet(log) for log in logs]
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_the_feature_file_does_not_hold_the_truth(world):
    columns = pl.read_parquet_schema(world / "features.parquet")
    assert "feature_id" in columns
    assert not {"grade", "query"} & set(columns)


# validate


def test_a_clean_log_ends_with_0(run, world):
    code, out, err = run("validate", world / "log.parquet")
    assert (code, err) == (0, "")
    rows = pl.scan_parquet(world / "log.parquet").select(pl.len()).collect().item()
    assert f"{rows:,}" in out


def test_a_dirty_log_ends_with_1_and_accounts_for_every_row(run, world, tmp_path):
    bad = tmp_path / "bad.jsonl"
    code, out, _ = run("validate", world / "dirty.jsonl", "--quarantine", bad, "--json")
    report = json.loads(out)
    rows = (world / "dirty.jsonl").read_bytes().count(b"\n")
    assert code == 1
    assert report["rows_read"] == rows
    assert report["quarantined"] == sum(report["quarantine_reasons"].values()) > 0
    refused = pl.read_ndjson(bad)
    assert refused.height == report["quarantined"]
    assert {"source", "row", "field", "value", "reason"} <= set(refused.columns)


def test_the_text_of_validate_says_the_reasons(run, world):
    code, out, _ = run("validate", world / "dirty.jsonl")
    _, document, _ = run("validate", world / "dirty.jsonl", "--json")
    reasons = json.loads(document)["quarantine_reasons"]
    assert code == 1
    assert [reason for reason in reasons if reason not in out] == []


def test_several_files_and_globs_are_one_log(run, world):
    whole = json.loads(run("validate", world / "log.parquet", "--json")[1])["rows_read"]
    parts = run("validate", world / "early.parquet", world / "late.parquet", "--json")
    assert json.loads(parts[1])["rows_read"] == whole
    globbed = run("validate", world / "[el]a*.parquet", "--json")
    assert json.loads(globbed[1])["rows_read"] == whole


def test_a_type_of_the_users_own_is_known_once_it_is_graded(run, tmp_path):
    log = tmp_path / "own.jsonl"
    row = {"feature_id": "a", "interaction_type": ["save_recipe"], "position": 0}
    log.write_text(json.dumps(row), encoding="utf-8")
    assert run("validate", log)[0] == 1
    assert run("validate", log, "--grade", "save_recipe=2")[0] == 0


# train, evaluate, rerank


def test_train_tells_what_it_read_and_learnt_as_json(run, world, tmp_path):
    out = tmp_path / "model"
    code, text, _ = run(*train_arguments(world), "--out", out, "--json")
    told = json.loads(text)
    load = told["load"]
    assert code == 0
    assert told["debias"] == "auto"
    assert told["choice"]["click_model"] in told["choice"]["evidence"]
    assert sum(told["choice"]["members"].values()) == pytest.approx(1)
    assert [note for note in told["notes"] if note not in told["choice"]["reasons"]] == []
    assert load["rows_read"] == load["rows_kept"] + load["duplicates"] + load["quarantined"]
    assert told["pairs"] > told["clicked"] > 0
    assert told["trees"] > 0
    assert "f0" in told["feature_importances"]
    assert (out / "manifest.json").exists()


def test_train_writes_tables_for_people(run, world, tmp_path):
    code, text, err = run(*train_arguments(world), "--out", tmp_path / "model")
    assert code == 0
    assert "share of gain" in text
    assert "document_score" in text
    assert "debias=auto" in text
    assert "held-out log-likelihood" in text
    assert str(Ranker.load(tmp_path / "model").choice_) in text
    assert str(tmp_path / "model") in err


@pytest.mark.parametrize("mode", ["none", "position", "ips", "pairwise", "click_model"])
def test_train_knows_every_mode(run, world, tmp_path, mode):
    arguments = [*train_arguments(world), "--out", tmp_path / "m", "--debias", mode]
    code, text, _ = run(*arguments, "--json")
    told = json.loads(text)
    assert (code, told["debias"]) == (0, mode)
    assert (told["choice"] is not None) == (mode == "click_model")
    assert mode in run("train", "--help")[1]


def test_train_on_dirty_interactions_counts_and_keeps_the_bad_rows(run, world, tmp_path):
    bad = tmp_path / "bad.jsonl"
    code, text, _ = run(
        "train", world / "dirty.jsonl", "--out", tmp_path / "model", "--quarantine", bad,
        "--half-life", "10", "--grade", "purchase=9", "--threads", "1", "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(text)["load"]["quarantined"] == pl.read_ndjson(bad).height > 0


def test_ips_refuses_where_positions_never_varied(run, world, tmp_path):
    result = run("train", world / "one-ranker.parquet", "--out", tmp_path / "m", "--debias", "ips")
    assert_refused(result, "position")


def test_evaluate_compares_with_the_production_order(run, world):
    features = ["--features", world / "features.parquet"]
    code, text, _ = run("evaluate", world / "model", world / "late.parquet", *features, "--json")
    told = json.loads(text)
    assert code == 0
    assert told["queries"] > told["queries_left_out"] > 0
    ndcg = next(value for name, value in told["metrics"].items() if name.lower() == "ndcg@10")
    assert 0 < ndcg["baseline"] < 1
    assert ndcg["difference"] == pytest.approx(ndcg["ranker"] - ndcg["baseline"])
    assert ndcg["interval"][0] <= ndcg["difference"] <= ndcg["interval"][1]
    code, text, _ = run("evaluate", world / "model", world / "late.parquet", *features)
    assert code == 0
    assert "production order" in text


def test_evaluate_without_the_features_of_the_model_names_one(run, world):
    assert_refused(run("evaluate", world / "model", world / "late.parquet"), "f0")


def test_evaluate_refuses_a_folder_without_a_model(run, world, tmp_path):
    assert_refused(run("evaluate", tmp_path, world / "late.parquet"), str(tmp_path))


def document(execution, name, **features):
    """Return one line of input for rerank."""
    fields = {"execution_id": execution, "feature_id": name, "document_score": 0.5}
    return json.dumps({**fields, "features": features, "title": "kept"}).encode() + b"\n"


def test_rerank_sorts_each_execution_best_first(run, world):
    stdin = b"".join(
        [
            document("e1", "poor", f0=-3.0, f1=-3.0),
            document("e2", "only", f0=0.0),
            b"\n",
            document("e1", "good", f0=3.0, f1=3.0),
        ]
    )
    code, text, _ = run("rerank", world / "model", stdin=stdin)
    ranked = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert [(d["execution_id"], d["feature_id"], d["position"]) for d in ranked] == [
        ("e1", "good", 0),
        ("e1", "poor", 1),
        ("e2", "only", 0),
    ]
    assert ranked[0]["score"] > ranked[1]["score"]
    assert all(d["title"] == "kept" for d in ranked)


def test_rerank_of_nothing_is_nothing(run, world):
    assert run("rerank", world / "model")[:2] == (0, "")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"execution_id": "e1", "feature_id"', "JSON"),
        (b"[1, 2]", "dict"),
        (b'{"feature_id": "a", "features": [1]}', "features"),
        (b'{"feature_id": "a", "features": {"f0": "much"}}', "f0"),
        (b'{"feature_id": "a", "features": {"f0": 1e300}}', "f0"),
        (b'{"feature_id": "a", "features": {"f0": NaN}}', "JSON"),
        (b'{"feature_id": {"a": 1}}', "feature_id"),
        (b'{"feature_id": "a", "document_score": "high"}', "document_score"),
        (b'{"feature_id": "\xff"}', "JSON"),
        (b"[" * 100_000, "JSON"),
    ],
)
def test_a_bad_line_is_refused_by_its_number_and_nothing_is_printed(run, world, line, reason):
    stdin = document("e1", "a") + b"\n" + line + b"\n"
    assert_refused(run("rerank", world / "model", stdin=stdin), "line 3:", reason)


def test_rerank_refuses_a_damaged_model(run, world, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (world / "model").iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content if file.suffix == ".json" else content[:-1])
    assert_refused(run("rerank", folder, stdin=document("e1", "a")))


# position-bias


def test_position_bias_prints_a_curve_with_intervals(run, world):
    code, text, _ = run("position-bias", world / "log.parquet", "--json")
    told = json.loads(text)
    assert code == 0
    assert told["examination"][0] == pytest.approx(1.0)
    curve = zip(told["lower"], told["examination"], told["upper"], strict=True)
    assert all(low <= value <= high for low, value, high in curve)
    assert told["load"]["rows_read"] > 0
    code, text, _ = run("position-bias", world / "log.parquet")
    assert code == 0
    assert f"{told['examination'][1]:.4f}" in text


def test_position_bias_by_a_column_has_a_curve_for_each_value(run, world):
    code, text, _ = run("position-bias", world / "log.parquet", "--by", "device", "--json")
    assert code == 0
    told = json.loads(text)
    missing = {"desktop", "mobile", "tablet"} - set(told["curves"])
    assert "desktop" in told["curves"]
    assert [name for name in missing if name not in "".join(told["notes"])] == []


def test_position_bias_without_swaps_says_the_cause_in_one_line(run, world):
    assert_refused(run("position-bias", world / "one-ranker.parquet"))


def test_position_bias_draws_a_picture(run, world, tmp_path):
    picture = tmp_path / "curve.png"
    code, _, err = run("position-bias", world / "log.parquet", "--plot", picture)
    assert code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in err


def test_a_picture_in_a_format_that_cannot_be_drawn_is_refused_before_reading(run):
    assert_refused(run("position-bias", "missing.parquet", "--plot", "curve.doc"), "curve.doc")


# demo


def test_the_demo_runs_and_leaves_its_files(run, tmp_path):
    code, text, err = run("demo", tmp_path / "out", "--executions", "400", "--threads", "1")
    assert (code, err) == (0, "")
    for heading in ("examined", "debias='auto'", "members:", "reranked", "learnt weight"):
        assert heading in text
    written = {path.name for path in (tmp_path / "out").iterdir()}
    data = {"log.parquet", "features.parquet", "quarantine.jsonl"}
    assert written == data | {"model", "weights.json"}
