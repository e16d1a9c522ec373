"""The first mapping that is suggested for another system's table."""

import polars as pl
import pytest

from rankloom.datasets.reading.suggest_mapping import suggest_mapping
from rankloom.datasets.record.mapping import InputMapping

EXPORT = {"sku": ["a", "b"], "rank": [1, 2], "event": ["Buy", "Prebook"], "ts": [1_767_225_600] * 2}
FIELDS = {
    "feature_id": "sku",
    "interaction_type": "event",
    "position": "rank",
    "occurred_at": "ts",
}


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_names_positions_and_the_unit_of_times_are_found(unit, factor):
    frame = pl.DataFrame(EXPORT).with_columns(pl.col("ts") * factor)
    assert suggest_mapping(frame).mapping == InputMapping(FIELDS, {"Buy": "purchase"}, 1, unit)


def test_what_is_left_open_is_a_line_to_complete(tmp_path):
    path = tmp_path / "mapping.toml"
    text = suggest_mapping(pl.DataFrame(EXPORT)).to_toml()
    path.write_text(text.replace('# Prebook = "click"', 'Prebook = "purchase"'))
    types = {"Buy": "purchase", "Prebook": "purchase"}
    assert InputMapping.from_toml(path) == InputMapping(FIELDS, types, 1, "s")
    only_unknown = suggest_mapping(pl.DataFrame(EXPORT)[1:]).to_toml()
    path.write_text(only_unknown.replace('# Prebook = "click"', 'Prebook = "click"'))
    assert InputMapping.from_toml(path).types == {"Prebook": "click"}


def test_all_files_are_looked_at(tmp_path):
    frame = pl.DataFrame(EXPORT)
    frame.drop("rank").write_csv(tmp_path / "a.csv")
    frame.with_columns(rank=pl.col("rank") - 1).write_csv(tmp_path / "b.csv")
    suggestion = suggest_mapping(str(tmp_path / "*.csv"))
    assert suggestion.mapping == InputMapping(FIELDS, {"Buy": "purchase"}, 0, "s")


@pytest.mark.parametrize(
    "source",
    [
        [],
        pl.DataFrame({"a": [1.5]}),
        pl.DataFrame({"rank": [[1]], "ts": [[1]], "event": [{"a": 1}]}),
    ],
)
def test_a_table_without_anything_to_map_is_no_error(source):
    assert "feature_id" in suggest_mapping(source).missing
