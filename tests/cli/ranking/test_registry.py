"""`rankloom promote`, `rollback` and `versions`, after a gate by `rankloom compare`."""

import json
import shutil

import pytest

from rankloom.ltr import Ranker

FEATURES = ("--features", "features.parquet")
pytestmark = pytest.mark.usefixtures("in_folder")


def trees(registry):
    return Ranker.load(registry / "current").best_iteration_


@pytest.fixture
def model(simulated, tmp_path):
    """A copy of the trained model, which nothing has compared yet."""
    return shutil.copytree(simulated / "uncompared", tmp_path / "model")


@pytest.fixture
def smaller(model, tmp_path):
    """Another model: the first 20 trees."""
    ranker = Ranker.load(model)
    import lightgbm

    text = ranker.booster_.model_to_string(num_iteration=20)
    ranker.booster_ = lightgbm.Booster(model_str=text)
    ranker.save(tmp_path / "smaller")
    return tmp_path / "smaller"


@pytest.mark.slow
def test_a_model_that_compare_lets_pass_is_promoted(run, model, tmp_path):
    registry = tmp_path / "registry"
    run("promote", model, "--to", registry).assert_refused("no gate", f"compare {model} production")
    assert not registry.exists()
    assert run("compare", model, "production", "late.parquet", *FEATURES).code == 0
    code, out, err = run("promote", model, "--to", registry)
    assert (code, err) == (0, "")
    assert out.startswith("current: 2")
    assert out.endswith("before: none\n")
    code, out, err = run("promote", model, "--to", registry)
    assert (code, out) == (0, "")
    assert "already" in err
    code, out, _ = run("versions", registry)
    assert code == 0
    assert "*  2" in out
    assert "the gate against production" in out


@pytest.mark.slow
def test_against_a_registry_a_model_has_to_beat_what_is_current(run, model, smaller, tmp_path):
    registry = tmp_path / "registry"
    first = json.loads(
        run("promote", model, "--to", registry, "--force", "the first", "--json").out
    )
    assert first["current"]["reason"] == "the first"
    command = f"compare {smaller} {registry / 'current'}"
    run("promote", smaller, "--to", registry).assert_refused("current version", command)
    log = ["late.parquet", *FEATURES]
    code, _, err = run("compare", smaller, registry / "current", *log)
    assert (code, err) == (1, "")  # with a bound that says so
    run("promote", smaller, "--to", registry).assert_refused("did not pass", "DCG@10")
    code, _, err = run("promote", smaller, "--to", registry, "--force", "it is faster")
    assert (code, err, trees(registry)) == (0, "", 20)
    assert "forced: it is faster" in run("versions", registry).out
    code, out, _ = run("rollback", registry, "--json")
    document = json.loads(out)
    assert document["current"]["name"] == first["current"]["name"]
    assert (code, document["changed"], trees(registry)) == (0, True, 150)
    listed = json.loads(run("versions", registry, "--json").out)
    assert listed["current"] == first["current"]["name"]
    assert [each["reason"] for each in listed["versions"]] == ["it is faster", "the first"]
    code, out, _ = run("rollback", registry, "--to", listed["versions"][0]["name"])
    assert (code, trees(registry)) == (0, 20)


def test_old_versions_are_removed_and_named(run, model, smaller, tmp_path):
    options = ["--to", tmp_path / "registry", "--keep", "2", "--force", "test"]
    errors = [run("promote", each, *options).err for each in (model, smaller, model, smaller)]
    assert errors[:2] == ["", ""]
    assert "removed: 1 old version (2" in errors[2]


def test_a_verdict_that_cannot_be_left_is_said_and_does_not_change_the_exit_code(
    run, model, monkeypatch
):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("rankloom.ltr.model.gate_record.write_whole", refuse)
    code, out, err = run("compare", model, "production", "small.parquet", *FEATURES)
    assert code in (0, 1)
    assert "The gate" in out
    assert err.startswith("note: cannot write the verdict")
    assert "promote" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["promote", "absent", "--to", "registry"], ["absent"]),
        (["promote", "model", "--to", "log.parquet", "--force", "x"], ["cannot write", "registry"]),
        (["promote", "model", "--to", "/proc/registry", "--force", "x"], ["cannot write"]),
        (["promote", "model", "--to", "registry", "--keep", "1"], ["keep"]),
        (["promote", "model", "--to", "registry", "--force", ""], ["reason"]),
        (["promote", "model"], ["--to"]),
        (["rollback", "absent"], ["no registry"]),
        (["rollback", "model"], ["no registry"]),
        (["versions", "absent"], ["no registry"]),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(run, arguments, words):
    run(*arguments).assert_refused(*words)
