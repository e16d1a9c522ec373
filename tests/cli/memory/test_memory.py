"""`rankloom memory`: built, shown, judged on later interactions, and cleaned."""

import json

import polars as pl
import pytest

from rankloom.cli import app
from rankloom.datasets import load_pairs
from rankloom.ltr import QueryMemory, Ranker

pytestmark = pytest.mark.usefixtures("in_folder")
FEATURES = ("--features", "features.parquet")


@pytest.fixture
def built(run, tmp_path):
    """A memory without a ranker, of a log in which few queries come back often."""
    rows = []
    for e in range(400):
        for position in range(5):
            document = (position + e) % 8
            kinds = ["impression", "click"] if document in (e % 4, 7) else ["impression"]
            rows.append(
                {
                    "execution_id": f"e{e:03}",
                    "feature_id": f"d{document}",
                    "position": position,
                    "query_snapshot": json.dumps({"query": f"q{e % 4}"}),
                    "interaction_type": kinds,
                    "user_id": f"u{e % 9}",
                    "timestamp": f"2026-01-{1 + e // 20:02}T00:00:00Z",
                }
            )
    log = pl.DataFrame(rows)
    log.head(1500).write_parquet(tmp_path / "early.parquet")
    log.tail(500).write_parquet(tmp_path / "late.parquet")
    path = tmp_path / "memory.bin"
    code, out, err = run("memory", "build", tmp_path / "early.parquet", "--out", path)
    assert code == 0, err
    assert "4 queries, 32 documents of queries" in out
    assert f"memory -> {path}" in err
    return path


def test_a_memory_passes_on_later_interactions_and_is_restricted_to_what_passed(
    run, built, tmp_path
):
    late = tmp_path / "late.parquet"
    code, out, _ = run("memory", "evaluate", built, late, "--restrict", tmp_path / "kept.bin")
    assert code in (0, 1)
    report = json.loads(run("memory", "evaluate", built, late, "--json").out)
    assert report["passed"] is (code == 0)
    assert ("Memory passes" in out) is report["passed"]
    loaded, kept = QueryMemory.load(built), QueryMemory.load(tmp_path / "kept.bin")
    both = zip(report["passed_bands"], loaded.served_bands_, strict=True)
    assert kept.served_bands_ == tuple(passed and served for passed, served in both)


def test_show_prints_the_strength_and_the_rows_of_one_query(run, built):
    code, out, err = run("memory", "show", built, "--query", "q1", "--limit", "3")
    assert (code, err) == (0, "")
    assert "prior: production's order" in out
    assert "3 of 8 rows" in out
    assert '{"query":"q1"}' in out
    assert '{"query":"q2"}' not in out
    shown = json.loads(run("memory", "show", built, "--json", "--limit", "100").out)
    assert (shown["queries"], len(shown["rows"])) == (4, 32)
    best = max(shown["rows"], key=lambda row: row["clicks"])
    assert best["feature_id"] in {"d0", "d1", "d2", "d3", "d7"}


def test_forget_deletes_a_users_part_in_the_file(run, built, tmp_path):
    before = QueryMemory.load(built).table()["clicks"].sum()
    log = pl.read_parquet(tmp_path / "early.parquet")
    own = log.filter(pl.col("user_id") == "u3")
    code, out, err = run("memory", "forget", built, "--user", "u3")
    assert (code, err) == (0, "")
    assert out.startswith(f"{len(own)} documents of executions")
    clicks = own["interaction_type"].list.contains("click").sum()
    assert QueryMemory.load(built).table()["clicks"].sum() == pytest.approx(before - clicks)


def test_judgements_are_in_the_memory_that_is_built(run, built, tmp_path):
    grades = [
        {"query": f"q{q}", "feature_id": f"d{d}", "grade": int(d in (q % 4, 7)), "source": "expert"}
        for q in range(5)
        for d in range(10)
    ]
    pl.DataFrame(grades).write_csv(tmp_path / "grades.csv")
    path = tmp_path / "judged.bin"
    arguments = ("memory", "build", tmp_path / "early.parquet", "--judgments")
    code, out, err = run(*arguments, tmp_path / "grades.csv", "--out", path)
    assert code == 0, err
    assert "judgments of 'expert' count as" in out
    assert "50 documents, of which 32 were shown" in out
    shown = json.loads(run("memory", "show", path, "--json", "--limit", "100").out)
    assert shown["queries"] == 5  # q4 was judged and never searched for
    assert shown["judgments"]["expert"]["judged"] == len(shown["rows"]) == 50
    alone = json.loads(run("memory", "show", built, "--json", "--limit", "100").out)
    assert alone["judgments"] == {}
    assert sum(r["clicks"] for r in shown["rows"]) == sum(r["clicks"] for r in alone["rows"])
    code, out, _ = run("memory", "forget", path, "--query", "q4")
    assert out == "0 documents of executions, 0 sums and 10 judgments deleted\n"


@pytest.mark.slow
def test_a_memory_on_a_ranker(run, tmp_path):
    path = tmp_path / "memory.bin"
    built = run(
        "memory", "build", "early.parquet", "--model", "model", *FEATURES, "--out", path, "--json"
    )
    assert built.code == 0, built.err
    assert json.loads(built.out)["prior"].startswith("ranker ")
    judged = run("memory", "evaluate", path, "small.parquet", "--model", "model", *FEATURES)
    assert judged.code in (0, 1), judged.err
    run("memory", "evaluate", path, "small.parquet", *FEATURES).assert_refused("prior: expected")
    Ranker.load("model").attach_memory(QueryMemory.load(path)).save(tmp_path / "model")
    stdin = b'{"feature_id": "a"}\n{"feature_id": "b"}\n'
    assert run("rerank", tmp_path / "model", "--query", "red shoes", stdin=stdin).code == 0


def test_a_file_for_serving_is_not_cleaned(run, tmp_path):
    path = tmp_path / "memory.bin"
    assert run("memory", "build", "small.parquet", "--out", path, "--serving").code == 0
    run("memory", "forget", path, "--user", "u").assert_refused("saved for serving only")


def test_wrong_arguments_are_refused_in_one_line(run, built, tmp_path):
    run("memory", "show", tmp_path / "none").assert_refused("none", "cannot be read")
    run("memory", "show", "log.parquet").assert_refused("expected a memory")
    run("memory", "build", "small.parquet").assert_refused("--out", "rankloom memory build --help")
    run("memory", "build", "small.parquet", "--out", tmp_path / "x" / "y").assert_refused("x/y")
    run("memory", "forget", built).assert_refused("expected one of query")
    run("memory", "show", built, "--limit", "-1").assert_refused("--limit")
    refused = run("memory", "build", "small.parquet", "--out", built, "--half-life", "0")
    refused.assert_refused("half_life")
    run("memory", "evaluate", built, tmp_path / "early.parquet").assert_refused("not later")


@pytest.mark.parametrize("command", ["build", "show", "evaluate", "forget"])
def test_every_command_explains_itself(run, command):
    code, out, _ = run("memory", command, "--help")
    assert code == 0
    assert "Example" in out
    assert command in run("memory").out + run("memory", "--help").out
    assert app


@pytest.mark.slow
def test_train_saves_a_memory_only_where_a_replay_lets_it_pass(run, tmp_path):
    pairs = load_pairs("log.parquet", builtin_features=())
    judged = pl.DataFrame(
        {
            "query": pairs.queries.gather(pairs.query_code).head(40),
            "feature_id": pairs.document_id.gather(pairs.offsets[:-1]).head(40),
            "grade": [i % 3 for i in range(40)],
        }
    )
    judged.write_parquet(tmp_path / "judged.parquet")
    arguments = ["train", "log.parquet", *FEATURES, "--debias", "click_model", "--threads", "1"]
    arguments += ["--judgments", str(tmp_path / "judged.parquet")]
    code, out, err = run(*arguments, "--out", tmp_path / "model", "--memory", "--json")
    assert code == 0, err
    passed = json.loads(out)["memory"]["passed"]
    memory = Ranker.load(tmp_path / "model").memory_
    assert (memory is not None) is passed
    assert memory is None or memory.judgments_["judgments"].judged > 0
    assert ("the memory of queries does not pass" in err) is not passed
