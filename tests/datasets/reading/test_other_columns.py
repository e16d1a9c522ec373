"""Ids, types and nested columns in every form that other tools give them."""

import datetime as dt
import decimal
import json
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from rankloom import scan, validate
from rankloom.errors import InvalidInputError

ID = uuid.UUID(int=5)
BIG = 2**60 + 1


def column(values, name, wrap=pl.DataFrame, **options):
    """Return what becomes of a column, and the reasons of the quarantine."""
    rows = len(values)
    required = {"feature_id": "a", "position": 0, "interaction_type": "click"}
    table = {key: [value] * rows for key, value in required.items()} | {name: values}
    result = scan(wrap(table), **options)
    return result.frame[name].to_list(), list(result.quarantine.reasons)


GOOD_IDS = {
    "whole numbers of 64 bits, dict": (dict, [BIG, 2**60], [str(BIG), str(2**60)]),
    "whole numbers with a gap, dict": (dict, [BIG, None], [str(BIG), None]),
    "numbers and text, dict": (dict, [7, "007"], ["7", "007"]),
    "numbers and text, pandas": (pd.DataFrame, [7, "007"], ["7", "007"]),
    "numbers with a gap, pandas": (pd.DataFrame, [7.0, np.nan], ["7", None]),
    "categories of numbers": (pd.DataFrame, pd.Categorical([7, 8]), ["7", "8"]),
    "bytes in the other order": (pd.DataFrame, np.array([7, 8], ">i8"), ["7", "8"]),
    "object array": (dict, np.array(["u", 7, None], object), ["u", "7", None]),
    "UUIDs, pandas": (pd.DataFrame, [ID], [str(ID)]),
    "UUIDs, Arrow": (pa.table, pa.array([ID.bytes], pa.uuid()), [str(ID)]),
    "16 bytes": (pa.table, pa.array([ID.bytes], pa.binary(16)), [str(ID)]),
    "16 letters": (pa.table, pa.array([b"abcdefghijklmnop"], pa.binary(16)), ["abcdefghijklmnop"]),
    "bytes of text": (pl.DataFrame, [b"u1", None], ["u1", None]),
    "decimals": (dict, [decimal.Decimal("7.00"), decimal.Decimal(2**70)], ["7", str(2**70)]),
    "decimal256": (pa.table, pa.array([7], pa.decimal256(60, 0)), ["7"]),
    "128 bits": (pl.DataFrame, pl.Series([2**100], dtype=pl.Int128), [str(2**100)]),
    "dictionary": (pa.table, pa.array(["007", "x"]).dictionary_encode(), ["007", "x"]),
    "runs": (pa.table, pa.compute.run_end_encode(pa.array(["x", "x"])), ["x", "x"]),
    "empty, as times": (pd.DataFrame, [pd.NaT, pd.NaT], [None, None]),
    "empty, as numbers": (pd.DataFrame, [np.nan, np.nan], [None, None]),
    "empty, without a type": (pa.table, pa.nulls(2), [None, None]),
}


@pytest.mark.parametrize("name", GOOD_IDS)
def test_ids_are_the_text_that_they_were(name):
    wrap, values, expected = GOOD_IDS[name]
    assert column(values, "user_id", wrap) == (expected, [])


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pl.Series([2.0**53, 7.0]), ["7"]),
        (pl.Series([2.0**24, 7.0], dtype=pl.Float32), ["7"]),
        (pl.Series([-(2.0**53), 1.5]), []),
        ([2.0**60, "007"], ["007"]),
    ],
)
def test_floats_that_lost_digits_are_refused(values, kept):
    found, reasons = column(values, "user_id", dict if isinstance(values, list) else pl.DataFrame)
    assert found == kept
    assert "user_id: a float of 2^53 or more (float32: 2^24)" in reasons[0]


@pytest.mark.parametrize(
    "word", ["NULL", r"\N", "nan", "None", "N/A", "#N/A", "NaT", "(null)", "<null>", "  "]
)
def test_words_for_a_missing_value_are_counted_on_every_way_in(word, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f"feature_id,position,interaction_type,user_id\na,0,click,{word}\n")
    rows = [{"feature_id": "a", "position": 0, "interaction_type": "click", "user_id": word}]
    for source in (path, rows, pl.DataFrame(rows), pd.DataFrame(rows)):
        result = scan(source)
        assert result.frame["user_id"].to_list() == [None]
        (note,) = result.notes
        assert note.startswith("user_id: 1 rows hold a word for a missing value")


TYPES = {
    " CLICK": ["click"],
    "click,view": ["click", "view"],
    "Click|View": ["click", "view"],
    "click; view": ["click", "view"],
    "['click']": ["click"],
    "['click' 'view']": ["click", "view"],
    "('click',)": ["click"],
    "{click,view}": ["click", "view"],
    '{"add to cart",click}': ["add_to_cart", "click"],
    '"click"': ["click"],
    "addToCart": ["add_to_cart"],
}


@pytest.mark.parametrize("text", TYPES)
def test_types_are_read_alike_from_every_source(text, tmp_path):
    row = {"feature_id": "a", "position": 0, "interaction_type": text}
    lines, table = tmp_path / "log.jsonl", tmp_path / "log.csv"
    lines.write_text(json.dumps(row))
    pl.DataFrame([row]).write_csv(table)
    for source in ([row], lines, table, pd.DataFrame([row])):
        found = scan(source).frame["interaction_type"].to_list()
        assert [[each.lower() for each in types] for types in found] == [TYPES[text]]


@pytest.mark.parametrize("word", ["NULL", "nan", "", "[]", "  "])
def test_a_word_for_a_missing_type_is_a_missing_type(word):
    _, reasons = column([word], "interaction_type")
    assert reasons == ["interaction_type: missing: at least one type is required"]


@pytest.mark.parametrize("values", [[1, 0], [1.0, 0.0], ["1", "0"]])
def test_codes_of_types_are_mapped_by_their_text(values):
    types = {"1": "click", "0": "impression"}
    assert column(values, "interaction_type", types=types) == ([["click"], ["impression"]], [])


@pytest.mark.parametrize(
    ("wrap", "values", "expected"),
    [
        (pa.table, pa.array([[("n", 1)], None], pa.map_(pa.string(), pa.int64())), {"n": 1}),
        (pa.table, pa.array(['{"n":1}', None], pa.json_()), {"n": 1}),
        (pl.DataFrame, [b'{"n": 1}', None], {"n": 1}),
        (pl.DataFrame, pl.Series([[{"key": "n", "value": 1}], None]), {"n": 1}),
        (pd.DataFrame, [{"n": 1}, None], {"n": 1}),
        (dict, [{"n": "x"}, {"n": 1}], {"n": "x"}),
        (pd.DataFrame, [{"n": "x"}, '{"n": 1}'], {"n": "x"}),
    ],
)
def test_nested_columns_are_json(wrap, values, expected):
    found, reasons = column(values, "metadata", wrap)
    assert (json.loads(found[0]), reasons) == (expected, [])


@pytest.mark.parametrize("text", ["{'n': 1}", "{bad}", "[1]", "x"])
def test_metadata_that_is_no_json_is_refused_and_not_stored(text):
    assert column([text], "metadata") == (
        [],
        ['metadata: not a JSON object, such as {"device": "mobile"}'],
    )


def test_numbers_as_queries_have_no_decimals_and_nan_is_missing():
    assert column([3.0, float("nan")], "query_snapshot") == (["3", None], [])


@pytest.mark.parametrize(
    "name",
    ["metadata", "document_score", "result_set_size", "occurred_at", "timestamp", "execution_id"],
)
def test_an_optional_column_that_is_empty_is_absent_whatever_its_type(name):
    for empty in (None, np.nan, pd.NaT, pd.NA):
        assert column([empty, empty], name, pd.DataFrame) == ([None, None], [])


def test_an_error_about_a_type_names_the_column_of_the_file():
    table = pl.DataFrame({"sku": ["a"], "rank": [0], "event": ["click"], "ts": [1]})
    fields = {"feature_id": "sku", "position": "rank", "interaction_type": "event"}
    with pytest.raises(InvalidInputError, match=r"column 'ts' \(for occurred_at\) has the type"):
        scan(table, columns={**fields, "occurred_at": "ts"})


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([2**30], pl.Date), ([2**62], pl.Datetime("ms")), ([2**62], pl.Datetime("us"))],
)
def test_times_beyond_the_calendar_go_to_the_quarantine(values, dtype):
    dtype_values = pl.Series(values, dtype=pl.Int64).cast(
        pl.Int32 if dtype == pl.Date else pl.Int64
    )
    found = column(dtype_values.cast(dtype), "occurred_at")
    assert found == ([], ["occurred_at: outside the years 1 to 9999"])


def test_nanoseconds_of_numpy_are_a_time_and_no_number():
    row = {"feature_id": "a", "position": 0, "interaction_type": "click"}
    result = scan([{**row, "occurred_at": np.datetime64("2026-01-31T12:00", "ns")}])
    assert result.frame["occurred_at"].to_list() == [dt.datetime(2026, 1, 31, 12)]  # noqa: DTZ001


def test_json_records_with_other_keys_are_answered_with_the_likely_mapping(tmp_path):
    row = {"sku": "a", "rank": 0, "event": "click"}
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(row))
    likely = {"feature_id": "sku", "interaction_type": "event", "position": "rank"}
    for source in ([row], path):
        with pytest.raises(InvalidInputError) as error:
            validate(source)
        assert f"Did you mean columns={likely}?" in str(error.value)
        assert scan(source, columns=likely).frame["feature_id"].to_list() == ["a"]


def test_a_record_that_lacks_the_mapped_key_is_read_by_the_fields_own_name(tmp_path):
    fields = {"feature_id": "sku", "position": "rank", "occurred_at": "ts", "user_id": "who"}
    mapped = {"sku": "a", "rank": 1, "ts": "2026-01-31", "who": "u"}
    own = {"feature_id": "b", "position": 2, "occurred_at": "2026-02-01", "user_id": "v"}
    # What the fields' own keys hold besides the mapped ones does not matter.
    both = {**mapped, "feature_id": [], "position": "header", "occurred_at": {}, "user_id": [1]}
    rows = [{**row, "interaction_type": "click"} for row in (mapped, own, both)]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for source in (rows, path):
        frame = scan(source, columns=fields, position_base=1).frame
        assert frame["feature_id"].to_list() == ["a", "b", "a"]
        assert frame["position"].to_list() == [0, 1, 0]
        assert frame["user_id"].to_list() == ["u", "v", "u"]
        days = [time.date() for time in frame["occurred_at"]]
        assert days == [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 1, 31)]
