"""A mapping from another system's table: its file, its errors, and single records."""

import pytest

from rankloom import load_pairs
from rankloom.datasets.record.mapping import InputMapping
from rankloom.errors import InvalidInputError, UnreadableSourceError

MAPPING = InputMapping(
    {"feature_id": 'we "ird\\ näme', "position": "rank"}, {"Clíck\t|x": "click"}, 1, "ms"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mapping_survives_its_file_in_every_encoding_of_a_shell(encoding, tmp_path):
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING.to_toml(), encoding=encoding)
    assert InputMapping.from_toml(path) == MAPPING


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("colums = {}", "unknown key 'colums'. Did you mean 'columns'"),
        ("position_base = '1'", "position_base: expected 0 or 1"),
        ("time_unit = 'msec'", "time_unit: expected 's', 'ms'"),
        ("[columns]\nfeature = 'sku'", "no field 'feature'. Did you mean 'feature_id'"),
        ("[types]\nClick = 1", "types: expected a dict of text to text"),
        ("a = ", "cannot be read as a mapping in TOML"),
    ],
)
def test_an_error_names_the_file_and_the_way_out(content, message, tmp_path):
    path = tmp_path / "mapping.toml"
    path.write_text(content)
    with pytest.raises((InvalidInputError, UnreadableSourceError)) as error:
        InputMapping.from_toml(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_a_single_record_goes_by_its_own_field_where_the_mapped_one_is_missing():
    mapping = InputMapping({"feature_id": "sku"}, {"Buy": "purchase"}, 1)
    own = {"feature_id": "b", "position": 1, "interaction_type": "BUY"}
    expected = {"feature_id": "b", "position": 0, "interaction_type": ["purchase"]}
    assert mapping.apply(own) == mapping.apply({**own, "sku": None}) == expected
    assert mapping.apply({**own, "sku": "a"}) == {**expected, "feature_id": "a"}


def test_a_text_is_no_mapping_of_types():
    with pytest.raises(InvalidInputError, match="types: expected a dict of text to text"):
        load_pairs([], types="click")
