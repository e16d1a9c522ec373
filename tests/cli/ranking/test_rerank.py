"""`rankloom rerank`: documents in, the same documents out, best first."""

import json

import pytest


def document(execution, name, **features):
    """Return one line of input for rerank."""
    fields = {"execution_id": execution, "feature_id": name, "document_score": 0.5}
    return json.dumps({**fields, "features": features, "title": "unchanged"}).encode() + b"\n"


def test_rerank_sorts_each_execution_best_first(run, simulated):
    stdin = b"".join(
        [
            document("e1", "poor", f0=-3.0, f1=-3.0),
            document("e2", "only", f0=0.0),
            b"\n",
            document("e1", "good", f0=3.0, f1=3.0),
        ]
    )
    code, text, _ = run("rerank", simulated / "model", stdin=stdin)
    ranked = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert [(d["execution_id"], d["feature_id"], d["position"]) for d in ranked] == [
        ("e1", "good", 0),
        ("e1", "poor", 1),
        ("e2", "only", 0),
    ]
    assert ranked[0]["score"] > ranked[1]["score"]
    assert all(d["title"] == "unchanged" for d in ranked)


def test_rerank_of_nothing_is_nothing(run, simulated):
    assert run("rerank", simulated / "model")[:2] == (0, "")


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
def test_a_bad_line_is_refused_by_its_number_and_nothing_is_printed(run, simulated, line, reason):
    stdin = document("e1", "a") + b"\n" + line + b"\n"
    run("rerank", simulated / "model", stdin=stdin).assert_refused("line 3:", reason)


def test_rerank_refuses_a_damaged_model(run, simulated, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (simulated / "model").iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content if file.suffix == ".json" else content[:-1])
    run("rerank", folder, stdin=document("e1", "a")).assert_refused()
