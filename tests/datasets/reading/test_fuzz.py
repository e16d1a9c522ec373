"""Whatever the bytes are: every row is counted, and nothing but a RankloomError is raised."""

import io
import json
import subprocess
import sys

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rankloom import scan
from rankloom.datasets import Scan, parse_interaction
from rankloom.datasets.reading.json_stream import is_json_stream
from rankloom.errors import InvalidInputError, RankloomError

FAST = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.integers(-2, 3),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.sampled_from(["2026-01-31", "click", "1.5", "true", "{}", "[]", "", "-1"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
good = {
    "feature_id": "a",
    "interaction_type": ["click"],
    "position": 0,
    "timestamp": "2026-01-31T00:00:00Z",
}
fields = st.sampled_from(
    [
        *good,
        "document_id",
        "user_id",
        "execution_id",
        "metadata",
        "query_snapshot",
        "document_score",
        "result_set_size",
        "occurred_at",
        "unknown",
    ]
)
records = st.dictionaries(fields, values, max_size=4).map(lambda changes: good | changes)


NAMES = ["x.jsonl", "x.json", "x.csv", "x.tsv", "x.parquet", "x.csv.gz", "x.jsonl.zst"]
BYTES = [b"", b"\n", b'"', b",", b"{", b"]", b"\\", b"\xff", b"\x00", b"\r", b"9", b"\\ud800"]


def _check(path):
    """Read a file and hold the books to their balance."""
    try:
        result = scan(path)
    except RankloomError:
        return None
    assert result.rows_read == result.frame.height + result.quarantine.rows
    assert result.quarantine.to_frame().height == result.quarantine.rows
    with_reason = result.quarantine.to_frame()["reason"].str.len_chars() > 0
    assert with_reason.all()
    return result


@FAST
@given(data=st.binary(max_size=300))
@example(b"[" * 5_000)
@example(b"\xff\xfe{\x00}\x00\n\x00")
@example(b"\n\r\n\t\n")
@example(b'{"a":1}\r{"b":2}\r')
@pytest.mark.parametrize(
    "name", ["x.jsonl", "x.json", "x.csv", "x.tsv", "x.parquet", "x.csv.gz", "x.jsonl.zst"]
)
def test_random_bytes_raise_a_rankloom_error_or_are_counted(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    _check(tmp_path / name)


mutations = st.lists(
    st.tuples(
        st.integers(0, 10_000),
        st.sampled_from(BYTES),
    ),
    min_size=1,
    max_size=5,
)


def _mutated(data, changes):
    for place, text in changes:
        cut = place % (len(data) + 1)
        data = data[:cut] + text + data[cut + (not text) :]
    return data


def _is_valid(line):
    try:
        parse_interaction(json.loads(line))
    except (ValueError, RankloomError):
        return False
    return True


@FAST
@given(rows=st.lists(records, min_size=1, max_size=4), changes=mutations)
@example(rows=[good], changes=[(5290, b",")])  # in the middle of the only "position"
@example(rows=[good, {**good, "feature_id": None}], changes=[(2, b",")])  # in the first of two
def test_mutated_json_lines_are_counted_line_by_line(tmp_path, rows, changes):
    data = _mutated(b"\n".join(json.dumps(row).encode() for row in rows), changes)
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    result = _check(path)
    if result is None:  # refused as a whole, which is right only where no row is valid
        assert not any(map(_is_valid, data.split(b"\n")))
        return
    lines = [line for line in data.split(b"\n") if line.strip(b" \t\r")]
    several = data.count(b"}{")  # objects without a newline between them
    # A first object over several lines makes the file a stream of objects, whatever their lines.
    fewest = 1 if is_json_stream(io.BytesIO(data)) else len(lines)
    assert fewest <= result.rows_read <= len(lines) + several


@FAST
@given(changes=mutations)
def test_mutated_csv_is_counted(tmp_path, changes):
    header = b"feature_id,interaction_type,position,query_snapshot,timestamp\n"
    body = b'a,click,0,"x, y",2026-01-31\nb,click|view,1,"a ""b""\nc",2026-01-31\nc,,2,,\n' * 3
    path = tmp_path / "x.csv"
    path.write_bytes(header + _mutated(body, changes))
    result = _check(path)
    assert result is not None
    assert result.rows_read > 0


@FAST
@given(row=records)
@example({**good, "feature_id": 1e5})
@example({**good, "feature_id": 12.0, "user_id": -0.0})
@example({**good, "query_snapshot": {"a": "\ud83d\ude00"}})
@example({**good, "unknown": [[[[]]]], "user_id": {}})
def test_a_lines_fate_does_not_depend_on_its_neighbours(tmp_path, row):
    (tmp_path / "alone.jsonl").write_text(json.dumps(row))
    (tmp_path / "neighbours.jsonl").write_text("broken\n" + json.dumps(row))
    columns = [c for c in scan([]).frame.columns if c != "user_id"]
    alone, neighbours = (
        Scan(tmp_path / f"{n}.jsonl", columns=columns) for n in ("alone", "neighbours")
    )
    rows = [[r for b in reader.batches() for r in b.rows()] for reader in (alone, neighbours)]
    assert rows[0] == rows[1]
    assert alone.rows_valid == neighbours.rows_valid
    reasons = [reader.quarantine.to_frame()["reason"].to_list() for reader in (alone, neighbours)]
    assert reasons[1][1:] == reasons[0]


@FAST
@given(row=records)
def test_one_record_and_the_engine_agree(tmp_path, row):
    """`parse_interaction` takes what `scan` takes, and both read the same."""
    text = json.dumps(row)
    (tmp_path / "x.jsonl").write_text(text)
    result = scan(tmp_path / "x.jsonl")
    try:
        record = parse_interaction(text)
    except InvalidInputError:
        record = None
    if row["timestamp"] is None and not row.get("occurred_at"):
        return
    if isinstance(row.get("metadata"), str) and row["metadata"]:
        return  # polars checks the braces only
    assert (record is not None) == (result.frame.height == 1)
    if record is not None:
        (read,) = result.frame.to_dicts()
        for name in (
            "feature_id",
            "interaction_type",
            "position",
            "user_id",
            "execution_id",
            "result_set_size",
        ):
            assert read[name] == getattr(record, name)
        if record.timestamp is not None:
            assert read["timestamp"] == record.timestamp.replace(tzinfo=None)


@FAST
@given(rows=st.lists(records, max_size=4))
def test_dicts_and_their_json_are_read_alike(tmp_path, rows):
    finite = [msgspec.json.decode(msgspec.json.encode(row)) for row in rows]
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in finite))
    direct, file = scan(finite), scan(tmp_path / "x.jsonl")
    assert direct.frame.rows() == file.frame.rows()
    assert direct.quarantine.reasons == file.quarantine.reasons


_FLIP = """
import random, sys
from rankloom import scan
from rankloom.datasets.reading.json_stream import is_json_stream
from rankloom.errors import RankloomError

path, seed = sys.argv[1], int(sys.argv[2])
data = open(path, "rb").read()
chance = random.Random(seed)
for _ in range(120):
    broken = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 20])):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    open(path + ".x.parquet", "wb").write(broken)
    try:
        result = scan(path + ".x.parquet")
    except RankloomError:
        continue
    assert result.rows_read == result.frame.height + result.quarantine.rows
"""


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["zstd", "uncompressed", "snappy"])
def test_a_parquet_file_with_flipped_bits_never_ends_the_process(tmp_path, compression):
    """In a process of its own: a crash of polars would end the test run."""
    n = 200
    frame = pl.DataFrame(
        {
            "feature_id": [f"d{i}" for i in range(n)],
            "interaction_type": [["click"]] * n,
            "position": range(n),
            "document_score": [i / 7 for i in range(n)],
            "query_snapshot": ["blue shoes"] * n,
        }
    )
    path = tmp_path / "log.parquet"
    frame.write_parquet(path, compression=compression, row_group_size=64)
    run = subprocess.run(
        [sys.executable, "-c", _FLIP, str(path), "7"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2_000:]
