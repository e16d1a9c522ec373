"""Another system's export on the command line: `--suggest-map`, `--map` and `--drop-bots`."""

import json

import polars as pl
import pytest

T0 = 1_767_225_600_000
SHOWN = [
    {
        "request": f"r{e}",
        "sku": 1000 + (e + k) % 9,
        "rank": k + 1,
        "term": f"shoes {e % 7}",
        "ts": T0 + e,
    }
    for e in range(120)
    for k in range(5)
]
EVENTS = [
    {**row, "event": ("Click", "Prebook")[i % 4 == 0], "ts": row["ts"] + 500}
    for i, row in enumerate(SHOWN)
    if (i // 5) % 3 == i % 5
]


@pytest.fixture
def export(tmp_path):
    """Write an export under its own names: events as CSV, what was shown as Parquet."""
    pl.DataFrame(EVENTS).write_csv(tmp_path / "events.csv")
    pl.DataFrame(SHOWN).write_parquet(tmp_path / "shown.parquet")
    products = pl.DataFrame({"sku": range(1000, 1009), "brand": ["acme", "zen", "kit"] * 3})
    products.write_csv(tmp_path / "products.csv", separator=";")
    return tmp_path


@pytest.fixture
def mapping(run, export):
    """Write the mapping that is suggested, with the one type that it leaves open."""
    code, out, err = run("validate", export / "events.csv", "--suggest-map")
    assert (code, err) == (0, "")
    path = export / "mapping.toml"
    path.write_text(out.replace('# Prebook = "click"', 'Prebook = "purchase"'))
    return path


def test_the_suggested_mapping_validates_the_export_that_was_refused(run, export, mapping):
    run("validate", export / "events.csv").assert_refused("Did you mean columns=", "'sku'")
    code, out, _ = run("validate", export / "events.csv", "--map", mapping, "--json")
    report = json.loads(out)
    assert (code, report["rows_kept"], report["quarantined"]) == (0, len(EVENTS), 0)
    clicks = sum(row["event"] == "Click" for row in EVENTS)
    assert report["types"] == {"click": clicks, "purchase": len(EVENTS) - clicks}
    assert report["coverage"]["time"] == 1.0


def test_train_and_evaluate_read_all_tables_by_the_mapping(run, export, mapping):
    given = ["--impressions", export / "shown.parquet", "--features", export / "products.csv"]
    given += ["--map", mapping, "--json"]
    model = export / "model"
    options = ["--debias", "none", "--threads", 1, "--out", model]
    code, out, _ = run("train", export / "events.csv", *given, *options)
    report = json.loads(out)
    assert (code, report["pairs"], report["clicked"]) == (0, len(SHOWN), len(EVENTS))
    assert set(report["feature_importances"]) == {"brand"}
    code, out, _ = run("evaluate", model, export / "events.csv", *given)
    assert (code, json.loads(out)["load"]["executions"]) == (0, 120)


@pytest.mark.parametrize("command", ["validate", "position-bias"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[columns]\nfeature = 'sku'", ["no field 'feature'", "Did you mean 'feature_id'"]),
        ("[columns]\nfeature_id = 'skuu'", ["no column skuu (for feature_id)"]),
        ("[types]\nClick = 'clik'", ["'clik'", "Did you mean 'click'"]),
        ("position_base = 2", ["position_base: expected 0 or 1"]),
        ("columns", ["mapping.toml: cannot be read as a mapping in TOML"]),
    ],
)
def test_a_mapping_that_is_wrong_is_one_line_with_the_way_out(run, export, command, content, words):
    path = export / "mapping.toml"
    path.write_text(content)
    run(command, export / "events.csv", "--map", path).assert_refused(*words)


def test_bots_are_named_and_left_out_on_request(run, tmp_path):
    generator = pl.Series(range(4_000)).hash(seed=7)
    rows = []
    for e in range(400):
        for k in range(8):
            chance = 0.9 if e % 20 == 0 else (0.4, 0.2, 0.1, 0.07, 0.05, 0.05, 0.04, 0.04)[k]
            clicked = (generator[e] * (2 * k + 1) % 10_007) / 10_007 < chance
            row = {"execution_id": f"e{e}", "feature_id": f"d{(e * 3 + k) % 40}", "position": k}
            types = ["impression", "click"] if clicked else ["impression"]
            row |= {"query_snapshot": f"q{e % 5}", "document_score": float(k * e % 7)}
            rows.append({**row, "interaction_type": types})
    path = tmp_path / "log.parquet"
    pl.DataFrame(rows).write_parquet(path)
    given = ["train", path, "--debias", "none", "--threads", 1, "--out", tmp_path / "m", "--json"]
    kept, dropped = (json.loads(run(*given, *more).out)["load"] for more in ([], ["--drop-bots"]))
    assert kept["bot_executions"] == dropped["bot_executions"] == 20
    assert any("drop_bots=True" in note for note in kept["notes"])
    assert dropped["executions_dropped"]["likely bots"] == 20
