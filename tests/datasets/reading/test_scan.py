import datetime as dt
import gzip
import json
from pathlib import Path

import msgspec
import polars as pl
import pytest
import zstandard
from polars.testing import assert_frame_equal

from rankloom import scan
from rankloom.datasets import Interaction, Scan, SignalTable, canonical_schema
from rankloom.errors import InvalidInputError, RankloomError, UnreadableSourceError

RECORDS = [
    {
        "feature_id": "a",
        "interaction_type": ["click", "dwell"],
        "position": 0,
        "metadata": {"device": "phone", "features": {"m://text": {"score": 0.25}}},
        "user_id": "u1",
        "session_id": "s1",
        "execution_id": "e1",
        "retriever_id": "r1",
        "query_snapshot": 'blue "suede", shoes\nsize 9',
        "document_score": 0.5,
        "result_set_size": 10,
        "feature_uri": "m://text",
        "occurred_at": "2026-01-31T12:00:00.250000Z",
        "timestamp": "2026-01-31T12:00:01Z",
        "interaction_id": "i1",
    },
    {
        "feature_id": "é☃",
        "interaction_type": ["impression"],
        "position": 2**31 - 1,
        "metadata": None,
        "user_id": None,
        "session_id": None,
        "execution_id": "17",
        "retriever_id": None,
        "query_snapshot": None,
        "document_score": -3.0,
        "result_set_size": None,
        "feature_uri": None,
        "occurred_at": None,
        "timestamp": "2026-01-31T14:30:00+02:00",
        "interaction_id": None,
    },
    {
        "feature_id": "b",
        "interaction_type": ["zero_results"],
        "position": 0,
        "metadata": {},
        "user_id": None,
        "session_id": "s2",
        "execution_id": None,
        "retriever_id": None,
        "query_snapshot": "x",
        "document_score": None,
        "result_set_size": 0,
        "feature_uri": None,
        "occurred_at": "2026-01-31",
        "timestamp": None,
        "interaction_id": None,
    },
]


def _as_text(record):
    """A record as the cells of a table: JSON as text."""
    metadata = record["metadata"]
    return record | {"metadata": None if metadata is None else json.dumps(metadata)}


def _table():
    frame = pl.DataFrame([_as_text(r) for r in RECORDS], infer_schema_length=None)
    return frame.with_columns(
        pl.col("occurred_at", "timestamp").map_batches(_utc, return_dtype=pl.Datetime("us", "UTC")),
    )


def _utc(texts):
    moments = [t and dt.datetime.fromisoformat(t) for t in texts]
    utc = [m and m.replace(tzinfo=m.tzinfo or dt.UTC).astimezone(dt.UTC) for m in moments]
    return pl.Series(utc, dtype=pl.Datetime("us", "UTC"))


def _jsonl():
    return "\n".join(json.dumps(record) for record in RECORDS).encode()


def _csv(separator=",", types="|".join):
    frame = pl.DataFrame([_as_text(r) for r in RECORDS], infer_schema_length=None)
    names = pl.Series("interaction_type", [types(r["interaction_type"]) for r in RECORDS])
    return frame.with_columns(names).write_csv(separator=separator).encode()


def _ending(newline):
    """CSV with other line ends, but for the newline within a text."""
    return _csv().replace(b"\n", newline).replace(newline + b"size", b"\nsize")


def _write(name, data):
    def source(folder):
        path = folder / name
        path.write_bytes(data())
        return path

    return source


def _parquet(folder):
    path = folder / "log.parquet"
    _table().write_parquet(path, row_group_size=2)
    return path


def _glob(folder):
    for index in range(3):
        _table()[index : index + 1].write_parquet(folder / f"part-{index}.parquet")
    return str(folder / "part-*.parquet")


def _mixed_files(folder):
    _table()[:1].write_parquet(folder / "one.pq")
    (folder / "two.jsonl").write_bytes(b"\n".join(_jsonl().split(b"\n")[1:]))
    return [folder / "one.pq", str(folder / "two.jsonl")]


def _zoned(folder):
    del folder
    zones = {"occurred_at": "Asia/Tokyo", "timestamp": "America/New_York"}
    return _table().with_columns(pl.col(n).dt.convert_time_zone(z) for n, z in zones.items())


class _Log:
    def scan(self):
        yield from _table().iter_slices(2)


SOURCES = {
    "jsonl": _write("log.jsonl", _jsonl),
    "json": _write("log.json", _jsonl),
    "ndjson with a BOM": _write("log.ndjson", lambda: b"\xef\xbb\xbf" + _jsonl()),
    "jsonl with CRLF and blank lines": _write(
        "log.jsonl", lambda: b"\r\n  \r\n" + _jsonl().replace(b"\n", b"\r\n\n") + b"\r\n\r\n"
    ),
    "jsonl.gz": _write("log.jsonl.gz", lambda: gzip.compress(_jsonl())),
    "jsonl.zst": _write("log.jsonl.zst", lambda: zstandard.compress(_jsonl())),
    "csv": _write("log.csv", _csv),
    "csv with CRLF": _write("log.csv", lambda: _ending(b"\r\n")),
    "csv with JSON lists": _write("log.csv", lambda: _csv(types=json.dumps)),
    "csv with blank lines and a BOM": _write(
        "log.csv",
        lambda: b"\xef\xbb\xbf" + _ending(b"\n\n"),
    ),
    "csv.gz": _write("log.csv.gz", lambda: gzip.compress(_csv())),
    "csv.zst": _write("log.csv.zst", lambda: zstandard.compress(_csv())),
    "tsv": _write("log.tsv", lambda: _csv("\t")),
    "parquet": _parquet,
    "glob": _glob,
    "list of files": _mixed_files,
    "polars": lambda _: _table(),
    "polars in other zones": _zoned,
    "polars lazy": lambda _: _table().lazy(),
    "polars list": lambda _: [_table()[:1], _table()[1:]],
    "categories": lambda _: _table().with_columns(
        pl.col("user_id").cast(pl.Categorical),
        pl.col("interaction_type").cast(pl.List(pl.Categorical)),
    ),
    "pandas": lambda _: _table().to_pandas(),
    "arrow table": lambda _: _table().to_arrow(),
    "arrow batch": lambda _: _table().rechunk().to_arrow().to_batches()[0],
    "dicts": lambda _: RECORDS,
    "records": lambda _: [
        msgspec.convert({k: v for k, v in r.items() if v is not None}, _LooseInteraction)
        for r in RECORDS
    ],
    "object with scan": lambda _: _Log(),
}


class _LooseInteraction(Interaction):
    occurred_at: str | None = None
    timestamp: str | None = None


def _at(time, day="2026-01-31"):
    return dt.datetime.fromisoformat(f"{day}T{time}")


EXPECTED = pl.DataFrame(
    {
        "feature_id": ["a", "é☃", "b"],
        "interaction_type": [["click", "dwell"], ["impression"], ["zero_results"]],
        "position": [0, 2**31 - 1, 0],
        "user_id": ["u1", None, None],
        "session_id": ["s1", None, "s2"],
        "execution_id": ["e1", "17", None],
        "retriever_id": ["r1", None, None],
        "query_snapshot": ['blue "suede", shoes\nsize 9', None, "x"],
        "document_score": [0.5, -3.0, None],
        "result_set_size": [10, None, 0],
        "feature_uri": ["m://text", None, None],
        "occurred_at": [
            _at("12:00:00.250000"),
            None,
            _at("00:00"),
        ],
        "timestamp": [_at("12:00:01"), _at("12:30"), None],
        "interaction_id": ["i1", None, None],
    },
    schema={n: t for n, t in canonical_schema().items() if n != "metadata"},
)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_canonical_frame(kind, tmp_path):
    result = scan(SOURCES[kind](tmp_path))
    assert result.quarantine.reasons == {}
    assert result.rows_read == 3
    assert dict(result.frame.schema) == canonical_schema()
    assert_frame_equal(result.frame.drop("metadata"), EXPECTED)
    metadata = [text and json.loads(text) for text in result.frame["metadata"]]
    assert metadata == [r["metadata"] for r in RECORDS]


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_knows_its_columns_and_times_after_reading(kind, tmp_path):
    reader = Scan(SOURCES[kind](tmp_path), columns=["feature_id", "user_id"])
    batches = list(reader.batches())
    assert reader.present == {"feature_id", "user_id"}
    assert reader.has_times
    assert next(b.columns for b in batches) == ["feature_id", "user_id", "type_mask", "event_time"]
    assert sum(b.height for b in batches) == reader.rows_valid == 3


def test_batches_can_be_read_twice(tmp_path):
    reader = Scan(_parquet(tmp_path))
    first, second = (pl.concat(reader.batches()) for _ in range(2))
    assert_frame_equal(first, second)
    assert reader.rows_read == 3


def test_type_mask_and_event_time_follow_the_signal_table():
    signals = SignalTable({"save": 2})
    rows = [
        {
            "feature_id": "a",
            "interaction_type": ["save", "click"],
            "position": 0,
            "timestamp": "2026-01-02",
            "occurred_at": "2026-01-01",
        },
        {
            "feature_id": "a",
            "interaction_type": ["click", "click"],
            "position": 0,
            "timestamp": "2026-01-02",
        },
    ]
    (batch,) = Scan(rows, signals=signals).batches()
    click, save = 1 << signals.bit("click"), 1 << signals.bit("save")
    assert batch["type_mask"].to_list() == [click | save, click]
    assert batch.schema["type_mask"] == pl.UInt64
    assert batch["event_time"].to_list() == [_at("00:00", "2026-01-01"), _at("00:00", "2026-01-02")]


def test_extra_columns_pass_through_untouched_and_are_null_where_absent():
    frame = _table().with_columns(device=pl.Series([1.5, None, 3.0]))
    (batch,) = Scan(frame, columns=[], extra=["device", "nowhere"]).batches()
    assert batch["device"].to_list() == [1.5, None, 3.0]
    assert batch["nowhere"].to_list() == [None] * 3
    reader = Scan(frame, columns=["user_id", "position"], extra=["device", "nowhere"])
    assert reader.present == {"user_id", "position", "device"}


def test_an_impressions_table_takes_the_default_types():
    frame = pl.DataFrame({"feature_id": ["a", "b"], "position": [0, 1]})
    reader = Scan(frame, default_types=["impression"])
    (batch,) = reader.batches()
    assert batch["interaction_type"].to_list() == [["impression"]] * 2
    assert batch["type_mask"].to_list() == [int(reader.signals.impression)] * 2
    rows = [{"feature_id": "a", "position": 0}]
    (batch,) = Scan(rows, default_types=["impression"]).batches()
    assert batch["interaction_type"].to_list() == [["impression"]]


def test_document_id_stands_for_feature_id_and_must_agree_with_it():
    frame = pl.DataFrame(
        {
            "document_id": ["a", "b", None, "d"],
            "feature_id": ["a", None, "c", "other"],
            "interaction_type": ["click"] * 4,
            "position": [0] * 4,
        }
    )
    result = scan(frame)
    assert result.frame["feature_id"].to_list() == ["a", "b", "c"]
    assert result.quarantine.to_frame()["value"].to_list() == ["other and d"]
    only = scan(frame.drop("feature_id"))
    assert only.frame["feature_id"].to_list() == ["a", "b", "d"]
    assert only.quarantine.reasons == {"feature_id: missing": 1}


def test_a_source_without_times_loads_with_null_event_times():
    rows = [{"feature_id": "a", "interaction_type": ["click"], "position": 0, "timestamp": None}]
    reader = Scan(rows)
    (batch,) = reader.batches()
    assert not reader.has_times
    assert batch["event_time"].to_list() == [None]


def test_ids_that_are_whole_numbers_become_text():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "feature_id": [1, 2],
            "interaction_type": ["click"] * 2,
            "position": [0, 1],
            "user_id": [7, None],
        }
    )
    result = scan(frame)
    assert result.frame["feature_id"].to_list() == ["1", "2"]
    assert result.frame["user_id"].to_list() == ["7", None]


def _rows(n):
    return pl.DataFrame(
        {"feature_id": range(n), "interaction_type": ["click"] * n, "position": range(n)}
    )


def test_structs_and_maps_become_json_text():
    base = pl.DataFrame(
        {"feature_id": ["a"] * 3, "interaction_type": ["click"] * 3, "position": [0] * 3}
    )
    values = [{"x": 1, "y": {"z": 'q"'}}, None, {"x": None, "y": None}]
    struct = base.with_columns(pl.Series("metadata", values))
    decoded = [t and json.loads(t) for t in scan(struct).frame["metadata"]]
    assert decoded == [values[0], None, values[2]]
    entry = pl.Struct({"key": pl.String, "value": pl.Int64})
    pairs = [[{"key": 'k"', "value": 1}, {"key": "l", "value": None}], None, []]
    mapped = base.with_columns(pl.Series("query_snapshot", pairs, dtype=pl.List(entry)))
    decoded = [t and json.loads(t) for t in scan(mapped).frame["query_snapshot"]]
    assert decoded == [{'k"': 1, "l": None}, None, {}]


def test_large_tables_come_in_batches(monkeypatch):
    monkeypatch.setattr("rankloom.datasets.reading.tables.BATCH_ROWS", 10)
    frame = pl.DataFrame(
        {"feature_id": range(25), "interaction_type": ["click"] * 25, "position": range(-1, 24)}
    )
    for source in (frame, frame.lazy()):
        reader = Scan(source)
        heights = [batch.height for batch in reader.batches()]
        assert sum(heights) == 24
        assert max(heights) <= 10
        assert reader.quarantine.to_frame()["row"].to_list() == [0]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_text_is_read_in_blocks_with_the_right_line_numbers(tmp_path, monkeypatch, suffix):
    """Small blocks, wherever they cut, change neither the rows nor the lines that are named."""
    rows = [
        {
            "feature_id": f"d{i}",
            "interaction_type": ["click"],
            "position": i - 3 * (i % 7 == 5) * i,
            "query_snapshot": "q,\n" * (i % 3),
        }
        for i in range(60)
    ]
    path = tmp_path / f"log{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(r) + "\n" * (1 + i % 2) for i, r in enumerate(rows)))
    else:
        frame = pl.DataFrame(rows).with_columns(pl.col("interaction_type").list.join("|"))
        path.write_text(frame.write_csv())
    whole = scan(path)
    assert whole.quarantine.rows == 8
    for size in (7, 100, 257, 1000):
        monkeypatch.setattr("rankloom.datasets.reading.text_blocks.BLOCK_BYTES", size)
        cut = scan(path)
        assert_frame_equal(cut.frame, whole.frame)
        assert_frame_equal(cut.quarantine.to_frame(), whole.quarantine.to_frame())
    lines = path.read_text().split("\n")
    for line in whole.quarantine.to_frame()["row"]:
        assert "d" in lines[line - 1][:20]


UNREADABLE = {
    "missing.parquet": None,
    "empty.parquet": b"",
    "magic.parquet": b"not parquet at all, really",
    "half.parquet": b"PAR1" + b"\0" * 100,
    "wrong.jsonl.gz": b'{"feature_id": "a"}',
    "wrong.csv.zst": b"feature_id,position",
    "gzipped.jsonl": gzip.compress(b"{}"),
    "parquet.csv": b"PAR1....PAR1",
    "nothing-*.parquet": None,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_refused_before_any_batch(tmp_path, name):
    if UNREADABLE[name] is not None:
        (tmp_path / name).write_bytes(UNREADABLE[name])
    with pytest.raises(UnreadableSourceError, match=r"\S"):
        Scan([_parquet(tmp_path), tmp_path / name])


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_parquet_is_refused_before_any_batch(tmp_path, keep):
    data = _parquet(tmp_path).read_bytes()
    broken = tmp_path / "cut.parquet"
    broken.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UnreadableSourceError, match="truncated|damaged|starts with"):
        Scan([tmp_path / "log.parquet", broken])


@pytest.mark.parametrize("name", ["log.jsonl.gz", "log.jsonl.zst", "log.csv.gz", "log.csv.zst"])
def test_a_truncated_compressed_file_is_never_read_as_if_it_were_whole(tmp_path, name):
    kind = name.removeprefix("log.")
    data = SOURCES[kind](tmp_path).read_bytes()
    (tmp_path / name).write_bytes(data[:-9])
    with pytest.raises(UnreadableSourceError, match="cut off|ended|cannot be read"):
        scan(tmp_path / name)


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(UnreadableSourceError, match="holds no file"):
        Scan(tmp_path)


@pytest.mark.parametrize("source", [5, None, {"a": 1}, b"abc", [1, 2], ["a.parquet", 3], object()])
def test_a_source_of_an_unknown_kind_is_refused(source):
    with pytest.raises((InvalidInputError, UnreadableSourceError)):
        Scan(source)


def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path):
    (tmp_path / "log.xlsx").write_bytes(b"x")
    with pytest.raises(InvalidInputError, match=r"\.parquet.*\.jsonl.*\.csv"):
        Scan(tmp_path / "log.xlsx")


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv", "log.jsonl.gz"])
def test_an_empty_file_has_no_rows(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    result = scan(tmp_path / name)
    assert result.rows_read == result.frame.height == result.quarantine.rows == 0


@pytest.mark.parametrize("column", ["feature_id", "interaction_type", "position"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "polars"])
def test_a_missing_column_names_those_that_are_there(tmp_path, column, kind):
    frame = _table().drop("metadata").rename({column: f"{column}s"})
    if kind == "csv":
        flat = frame.with_columns(pl.lit("click").alias("x")).select(pl.exclude(pl.List(pl.String)))
        flat.write_csv(tmp_path / "log.csv")
        source = tmp_path / "log.csv"
    elif kind == "parquet":
        frame.write_parquet(source := tmp_path / "log.parquet")
    else:
        source = frame
    with pytest.raises(InvalidInputError, match=rf"(?s)no column.*{column}.*It has: .*user_id"):
        Scan(source)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("position", ["0"]),
        ("position", [True]),
        ("document_score", ["0.5"]),
        ("result_set_size", ["3"]),
        ("feature_id", [1.5j and dt.date(2026, 1, 1)]),
        ("user_id", [[1]]),
        ("occurred_at", [1_700_000_000]),
        ("interaction_type", [[1]]),
        ("metadata", [3]),
    ],
)
def test_a_column_of_a_wrong_type_is_refused_with_how_to_cast_it(column, values):
    good = {"feature_id": ["a"], "interaction_type": ["click"], "position": [0]}
    with pytest.raises(InvalidInputError, match=rf"{column}.*has the type .*expected .*"):
        Scan(pl.DataFrame(good | {column: values}))


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_error": "ignore"},
        {"columns": ["positon"]},
        {"extra": "device"},
        {"extra": ["position"]},
        {"default_types": []},
        {"default_types": ["nope"]},
        {"default_types": "click"},
    ],
)
def test_wrong_parameters_are_named(arguments):
    with pytest.raises(InvalidInputError):
        Scan(_table(), **arguments)


def test_on_error_raise_names_the_first_bad_row_and_its_source(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        _jsonl() + b'\n\n{"feature_id": "a", "interaction_type": ["click"], "position": -4}\n'
    )
    with pytest.raises(InvalidInputError, match=r"log\.jsonl, line 5: position: negative.*-4"):
        scan(path, on_error="raise")
    bad = _table().with_columns(pl.Series("position", [0, None, -1]))
    with pytest.raises(InvalidInputError, match="row 1: position: missing"):
        scan(bad, on_error="raise")


def test_a_types_own_to_the_user_is_known_once_it_is_named():
    rows = [{"feature_id": "a", "interaction_type": ["save"], "position": 0}]
    assert scan(rows).quarantine.rows == 1
    assert scan(rows, types=["save"]).frame["interaction_type"].to_list() == [["save"]]


def test_every_error_of_a_scan_is_a_rankloom_error(tmp_path):
    assert issubclass(UnreadableSourceError, RankloomError)
    with pytest.raises(RankloomError):
        scan(str(tmp_path / "a\0b.parquet"))
    with pytest.raises(RankloomError):
        scan(Path("x" * 5_000 + ".parquet"))


def test_a_dict_of_columns_is_a_table():
    columns = {"execution_id": ["e", "e"], "feature_id": pl.Series(["a", "b"]), "position": [0, 1]}
    types = [["impression", "click"], ["impression"]]
    frame = scan({**columns, "interaction_type": types}).frame
    assert frame["feature_id"].to_list() == ["a", "b"]
    assert frame["position"].to_list() == [0, 1]


@pytest.mark.parametrize(
    "source", [{"feature_id": "a", "interaction_type": ["click", "view"]}, {"a": [1, 2], "b": [1]}]
)
def test_a_dict_that_is_no_table_is_refused(source):
    """One record, whose list of types would be taken for a column, or columns of two lengths."""
    with pytest.raises(InvalidInputError, match=r"a dict of columns of one length.*\[\{"):
        scan(source)
