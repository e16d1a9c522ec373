"""Every rule of the record, on every kind of source, and what the quarantine says."""

import json
import math

import polars as pl
import pytest

from rankloom import scan
from rankloom.datasets import Quarantine, parse_interaction
from rankloom.errors import InvalidInputError, StoreError

GOOD = {
    "feature_id": "a",
    "interaction_type": ["click"],
    "position": 0,
    "timestamp": "2026-01-31T12:00:00Z",
}
DEEP = "[" * 65 + "]" * 65

BAD = {
    "feature_id missing": ({"feature_id": None}, "feature_id: missing"),
    "feature_id too long": ({"feature_id": "é" * 1025}, "feature_id: longer than 1,024"),
    "types missing": ({"interaction_type": None}, "interaction_type: missing"),
    "type unknown": ({"interaction_type": ["click", "clik"]}, "interaction_type: unknown type"),
    "position missing": ({"position": None}, "position: missing"),
    "position negative": ({"position": -1}, "position: negative"),
    "position huge": ({"position": 2**31}, "position: above 2147483647"),
    "position beyond 64 bits": ({"position": 1e30}, "position: above 2147483647"),
    "position not whole": ({"position": 1.5}, "position: not a whole number"),
    "size 0": ({"result_set_size": 0}, "result_set_size: below 1"),
    "size negative": (
        {"result_set_size": -1, "interaction_type": ["zero_results"]},
        "result_set_size: below 1",
    ),
    "size huge": ({"result_set_size": 2**31}, "result_set_size: above"),
    "size not whole": ({"result_set_size": 2.5}, "result_set_size: not a whole number"),
    "user_id too long": ({"user_id": "u" * 1025}, "user_id: longer than 1,024"),
    "execution_id too long": ({"execution_id": "u" * 1025}, "execution_id: longer than"),
    "feature_uri too long": ({"feature_uri": "u" * 1025}, "feature_uri: longer than"),
    "10 MB in one field": ({"query_snapshot": "q" * 10_000_000}, "longer than"),
    "over a million characters": ({"query_snapshot": "q" * 1_000_001}, "query_snapshot: longer"),
    "metadata no object": ({"metadata": "[1]"}, "metadata: not a JSON object"),
    "metadata deep": ({"metadata": '{"a": ' + DEEP + "}"}, "nested more than 64 deep"),
    "metadata 5,000 deep": ({"metadata": '{"a": ' + "[" * 5000 + "]" * 5000 + "}"}, "nested more"),
    "snapshot deep": ({"query_snapshot": DEEP}, "query_snapshot: nested more than 64 deep"),
    "time missing": ({"timestamp": None}, "occurred_at: missing"),
    "time unparsable": ({"timestamp": "yesterday"}, "timestamp: not an ISO 8601 time"),
    "time without a day": ({"timestamp": "2026-02-30"}, "timestamp: not an ISO 8601 time"),
    "aliases differ": ({"document_id": "b"}, "document_id: feature_id and its alias"),
}
FINE = {
    "longest id": {"feature_id": "é" * 1024, "user_id": "u" * 1024},
    "highest position": {"position": 2**31 - 1},
    "whole float": {"position": 3.0, "result_set_size": 4.0},
    "longest snapshot": {"query_snapshot": "q" * 1_000_000},
    "as deep as allowed": {"metadata": '{"a": ' + DEEP[1:-1][:63] + DEEP[-63:] + "}"},
    "plain text with brackets": {"query_snapshot": "say " + "[" * 200 + "]" * 200},
    "brackets within strings": {"metadata": json.dumps({"a": "[{" * 100, 'b\\"': "[" * 100})},
    "no results": {"interaction_type": ["zero_results"], "result_set_size": 0},
    "several types": {"interaction_type": ["click", "dwell", "click"]},
    "empty optional ids": {"user_id": "", "execution_id": "", "metadata": ""},
    "alias agrees": {"document_id": "a"},
}


def _dicts(rows, folder):
    del folder
    return rows


def _jsonl(rows, folder):
    path = folder / "log.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def _frame(rows, folder):
    del folder
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _parquet(rows, folder):
    path = folder / "log.parquet"
    _frame(rows, folder).write_parquet(path)
    return path


def _csv(rows, folder):
    path = folder / "log.csv"
    names = pl.col("interaction_type").list.join("|")
    _frame(rows, folder).with_columns(names).write_csv(path)
    return path


KINDS = {"dicts": _dicts, "jsonl": _jsonl, "polars": _frame, "parquet": _parquet, "csv": _csv}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_lands_in_the_quarantine_and_its_neighbours_stay(case, kind, tmp_path):
    change, expected = BAD[case]
    result = scan(KINDS[kind]([GOOD, GOOD | change, GOOD], tmp_path))
    assert result.rows_read == 3
    assert result.frame.height == 2
    (reason,) = result.quarantine.reasons
    assert expected in reason
    (row,) = result.quarantine.to_frame()["row"]
    assert row == {"jsonl": 2, "csv": 3}.get(kind, 1)
    values = result.quarantine.to_frame()["value"].drop_nulls()
    assert all(len(value) <= 200 for value in values)


@every_kind
@pytest.mark.parametrize("case", FINE)
def test_a_row_at_the_limit_is_kept(case, kind, tmp_path):
    result = scan(KINDS[kind]([GOOD, GOOD | FINE[case]], tmp_path))
    assert result.quarantine.reasons == {}
    assert result.frame.height == 2


@pytest.mark.parametrize("case", BAD)
def test_one_record_is_refused_for_the_same_reason(case):
    change, expected = BAD[case]
    if case == "time missing":
        pytest.skip("a rule of the whole source")
    with pytest.raises(InvalidInputError) as refused:
        parse_interaction(GOOD | change)
    assert expected.partition(": ")[2] in str(refused.value)


@pytest.mark.parametrize("case", FINE)
def test_one_record_at_the_limit_is_taken(case):
    assert parse_interaction(GOOD | FINE[case]).interaction_type


@pytest.mark.parametrize("kind", ["dicts", "polars", "parquet", "csv"])
@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_an_infinite_score_is_refused_and_nan_is_missing(score, kind, tmp_path):
    rows = [GOOD | {"document_score": 1.0}, GOOD | {"document_score": score}]
    result = scan(KINDS[kind](rows, tmp_path))
    missing = math.isnan(score)
    assert result.frame["document_score"].to_list() == [1.0, *([None] if missing else [])]
    assert result.quarantine.reasons == ({} if missing else {"document_score: not finite": 1})


@every_kind
def test_empty_ids_are_missing_values_and_never_an_execution(kind, tmp_path):
    rows = [GOOD | {"execution_id": "", "user_id": ""}, GOOD | {"execution_id": "e"}]
    frame = scan(KINDS[kind](rows, tmp_path)).frame
    assert frame["execution_id"].to_list() == [None, "e"]
    assert frame["user_id"].to_list() == [None, None]


@every_kind
def test_an_empty_feature_id_is_refused(kind, tmp_path):
    result = scan(KINDS[kind]([GOOD | {"feature_id": ""}, GOOD], tmp_path))
    assert result.frame.height == 1
    assert next(iter(result.quarantine.reasons)).startswith("feature_id: ")


@pytest.mark.parametrize("types", [[], [None], ["click", None], [""]])
@pytest.mark.parametrize("kind", ["dicts", "jsonl", "polars", "parquet"])
def test_a_list_without_a_name_in_it_is_refused(types, kind, tmp_path):
    result = scan(KINDS[kind]([GOOD, GOOD | {"interaction_type": types}], tmp_path))
    assert result.frame.height == 1
    assert next(iter(result.quarantine.reasons)).startswith("interaction_type: ")


JSON_LINES = {
    "cut in half": ('{"feature_id": "a", "interac', "not valid JSON: the line is cut short"),
    "text for a position": ({"position": "0"}, "position: not a whole number"),
    "true for a position": ({"position": True}, "position: not a whole number"),
    "a list for a position": ({"position": [0]}, "position: not a whole number"),
    "text for a score": ({"document_score": "0.5"}, "document_score: not a number"),
    "an object for types": ({"interaction_type": {"a": 1}}, "interaction_type: unknown type"),
    "a number among types": ({"interaction_type": [1]}, "interaction_type: unknown type"),
    "true for an id": ({"user_id": True}, "user_id: expected text or a whole number"),
    "an object for an id": ({"feature_id": {"a": 1}}, "feature_id: expected text"),
    "a list for an id": ({"feature_id": []}, "feature_id: expected text"),
    "a fraction for an id": ({"feature_id": 1.5}, "feature_id: expected text"),
    "a list for metadata": ({"metadata": [1]}, "metadata: not a JSON object"),
    "a number for metadata": ({"metadata": 1}, "metadata: not a JSON object"),
    "a number for a time": ({"timestamp": 1_700_000_000}, "timestamp: a number; give time_unit"),
    "infinite": ({"document_score": float("-inf")}, "document_score: not finite"),
    "5,000 deep": ('{"x": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested more than 64 deep"),
    "5,000 deep and open": ("[" * 5_000, "nested more than 64 deep"),
    "a million deep": ('{"x":' * 1_000_000, "nested more than 64 deep"),
    "no object": ("[1, 2]", "the line is not a JSON object"),
    "null": ("null", "the line is not a JSON object"),
    "an object and a half": (json.dumps(GOOD) + '{"feature_id": ', "not valid JSON"),
    "NUL": ('{"feature_id": "a\0"}', "not valid JSON"),
    "half a surrogate pair": ('{"feature_id": "a\\ud800"}', "not valid JSON"),
    "10 MB": ('{"x": "' + "y" * 10_000_000 + '"}', "longer than 8,000,000 bytes"),
    "20 MB": ('{"x": "' + "y" * 20_000_000 + '"}', "longer than 8,000,000 bytes"),
}


@pytest.mark.parametrize("case", JSON_LINES)
def test_a_bad_line_of_json_is_quarantined_with_its_reason_and_its_line(case, tmp_path):
    bad, expected = JSON_LINES[case]
    line = bad if isinstance(bad, str) else json.dumps(GOOD | bad)
    path = tmp_path / "log.jsonl"
    path.write_text(f"{json.dumps(GOOD)}\n\n{line}\n{json.dumps(GOOD)}\n")
    result = scan(path)
    assert result.frame.height == 2
    assert result.quarantine.to_frame()["row"].to_list() == [3]
    assert expected in next(iter(result.quarantine.reasons))


@pytest.mark.parametrize("case", ["cut in half", "5,000 deep", "10 MB", "an object and a half"])
def test_a_bad_last_line_without_a_newline_is_quarantined(case, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + JSON_LINES[case][0])
    result = scan(path)
    assert (result.frame.height, result.quarantine.rows) == (1, 1)


def test_lines_that_are_not_utf8_are_quarantined(tmp_path):
    path = tmp_path / "log.jsonl"
    good = json.dumps(GOOD).encode()
    path.write_bytes(good + b"\n" + good.replace(b'"a"', b'"\xff"') + b"\n" + good)
    result = scan(path)
    assert result.frame.height == 2
    assert result.quarantine.reasons == {"not valid UTF-8": 1}


def test_the_first_of_repeated_keys_holds_whether_or_not_a_neighbour_is_bad(tmp_path):
    line = json.dumps(GOOD)[:-1] + ', "feature_id": "b"}'
    (tmp_path / "one.jsonl").write_text(line)
    (tmp_path / "two.jsonl").write_text(line + "\nbroken")
    found = [
        scan(tmp_path / name).frame["feature_id"].to_list() for name in ("one.jsonl", "two.jsonl")
    ]
    assert found[0] == found[1] == ["a"]


def test_control_characters_in_json_stay_escaped(tmp_path):
    metadata = {"a": '\x01\n\t"\\é', "b": [1, {"c": None}]}
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(GOOD | {"metadata": metadata}))
    (text,) = scan(path).frame["metadata"]
    assert json.loads(text) == metadata


HEADER = "feature_id,interaction_type,position,query_snapshot\n"
CSV_ROWS = {
    "too few fields": ("a,click\n", "wrong number of fields"),
    "too many fields": ("a,click,0,x,y\n", "wrong number of fields"),
    "text for a position": ("a,click,x,\n", "position: not a whole number"),
    "NaN for a position": ("a,click,nan,\n", "position: missing"),
    "infinite position": ("a,click,inf,\n", "position: above"),
    "text after a quote": ('a,click,0,"x"y\n', "not valid CSV"),
    "quote never closed": ('a,click,0,"x\n', "not valid CSV"),
    "10 MB in one field": ("a,click,0," + "y" * 10_000_000 + "\n", "longer than 8,000,000"),
    "no types": ("a,,0,\n", "interaction_type: missing"),
    "half a list": ('a,"[""click"",",0,\n', "interaction_type: unknown type"),
}


@pytest.mark.parametrize("case", CSV_ROWS)
def test_a_bad_row_of_csv_is_quarantined_with_its_reason_and_its_line(case, tmp_path):
    row, expected = CSV_ROWS[case]
    path = tmp_path / "log.csv"
    path.write_text(
        HEADER + 'b,click,0,5" screen\n' + "\n" + 'c,click|view,1.0,"two\nlines"\n' + row
    )
    result = scan(path)
    assert result.frame["feature_id"].to_list() == ["b", "c"]
    assert result.frame["query_snapshot"][1] == "two\nlines"
    assert result.quarantine.to_frame()["row"].to_list() == [6]
    assert expected in next(iter(result.quarantine.reasons))


def test_rows_of_csv_that_are_not_utf8_are_quarantined(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(HEADER.encode() + b"b,click,0,x\n\xff,click,1,\nc,click,0,x\n")
    result = scan(path)
    assert result.frame["feature_id"].to_list() == ["b", "c"]
    assert result.quarantine.reasons == {"not valid UTF-8": 1}


def test_columns_of_csv_named_twice_are_refused(tmp_path):
    (tmp_path / "log.csv").write_text("feature_id,position,position\n")
    with pytest.raises(InvalidInputError, match="'position' more than once"):
        scan(tmp_path / "log.csv")


def test_a_types_name_in_csv_may_hold_spaces_around_it(tmp_path):
    (tmp_path / "log.csv").write_text(HEADER + 'a,click | view,0,\nb,"[ ""click"" ,""view""]",0,\n')
    assert scan(tmp_path / "log.csv").frame["interaction_type"].to_list() == [["click", "view"]] * 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00", "2026-01-31 12:00:00"),
        ("2026-01-31 12:00:00", "2026-01-31 12:00:00"),
        ("2026-01-31T12:00", "2026-01-31 12:00:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31 12:00:00"),
        ("2026-01-31 12:00:00+02:00", "2026-01-31 10:00:00"),
        ("2026-01-31T12:00:00.123456-0530", "2026-01-31 17:30:00.123456"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31 12:00:00.123456"),
        ("2026-01-31T12:00+02", "2026-01-31 10:00:00"),
        ("2026-01-31", "2026-01-31 00:00:00"),
    ],
)
def test_iso_8601_times_are_read_as_utc_by_the_engine_and_for_one_record(text, expected):
    row = GOOD | {"timestamp": text}
    (time,) = scan([row]).frame["timestamp"]
    assert str(time) == expected
    assert str(parse_interaction(row).timestamp.replace(tzinfo=None)) == expected


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_quarantine_is_written_whole(suffix, tmp_path):
    target = tmp_path / f"bad.{suffix}"
    target.write_text("old")
    result = scan(
        [GOOD, GOOD | {"position": -1}, GOOD | {"feature_id": "é" * 2000}], quarantine=target
    )
    read = {"jsonl": pl.read_ndjson, "csv": pl.read_csv, "parquet": pl.read_parquet}[suffix]
    assert read(target).rows() == result.quarantine.to_frame().rows()
    assert read(target).columns == ["source", "row", "field", "value", "reason"]
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_an_empty_quarantine_is_written_too(tmp_path):
    scan([GOOD], quarantine=tmp_path / "bad.jsonl")
    assert (tmp_path / "bad.jsonl").read_text() == ""


def test_rows_of_several_quarantines_keep_their_reasons_however_often_they_are_put_together():
    one = scan([{**GOOD, "position": -1}, {**GOOD, "feature_id": ""}]).quarantine
    other = scan([{**GOOD, "feature_id": ""}, {**GOOD, "feature_id": None}]).quarantine
    once, twice = Quarantine(), Quarantine()
    for each in (one, other):
        once.extend(each)
    twice.extend(once)
    expected = [*one.to_frame().rows(), *other.to_frame().rows()]
    assert once.to_frame().rows() == twice.to_frame().rows() == expected
    assert once.reasons == twice.reasons


@pytest.mark.parametrize("name", ["bad.txt", "bad", "nowhere/bad.csv"])
def test_a_place_where_no_quarantine_can_be_written_is_refused_before_reading(name, tmp_path):
    with pytest.raises(InvalidInputError, match="quarantine"):
        scan(tmp_path / "missing.parquet", quarantine=tmp_path / name)


def test_a_failing_write_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    target = tmp_path / "bad.csv"
    target.write_text("old")

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rankloom._shared.atomic_files.os.fsync", broken)
    with pytest.raises(StoreError, match="No space left"):
        Quarantine().write(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_million_bad_rows_stay_small_and_counted():
    n = 1_000_000
    types = pl.Series([["click"]]).new_from_index(0, n)
    frame = pl.DataFrame({"feature_id": range(n), "interaction_type": types})
    result = scan(frame.with_columns(position=pl.lit(-7)))
    assert result.quarantine.reasons == {"position: negative; positions are 0-based": n}
    assert result.frame.height == 0
    held = sum(part.estimated_size() for _, part in result.quarantine._parts)
    assert held < 40 * n
