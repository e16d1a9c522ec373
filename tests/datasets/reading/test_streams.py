"""Streams of Arrow batches from other libraries give the rows that a table of them gives."""

import dataclasses
import datetime as dt
import decimal
import gc
import subprocess
import sys
import uuid
import weakref

import duckdb
import polars as pl
import polars.testing
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as arrow_dataset
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.catalog.memory import InMemoryCatalog

from datasets import Dataset, Features, IterableDataset, Value
from rankloom import FusionBandit, load_pairs
from rankloom.datasets.behaviour import behaviour_features
from rankloom.datasets.quality.validate import validate
from rankloom.datasets.reading import started_input, stream_source
from rankloom.datasets.reading.arrow_types import polars_series, polars_type
from rankloom.datasets.reading.open_sources import open_sources
from rankloom.datasets.reading.scan import Scan, scan
from rankloom.errors import InvalidInputError, UnreadableSourceError
from rankloom.insights import read_searches

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
LOG = pa.table(
    {
        "execution_id": [f"e{i // 5}" for i in range(60)],
        "feature_id": [f"d{i % 7}" for i in range(60)],
        "position": [i % 5 if i % 13 else -1 for i in range(60)],
        "interaction_type": [["click"] if i % 3 == 0 else ["impression"] for i in range(60)],
        "session_id": [f"s{i // 10}" for i in range(60)],
        "occurred_at": pa.array(
            [NOON + dt.timedelta(seconds=i) for i in range(60)], pa.timestamp("us", "UTC")
        ),
    }
)
HALVES = [LOG[:23], LOG[23:]]
EXPECTED = scan(LOG)


class OnlyBatches:
    """What has nothing but a method that starts to read, as scans of some catalogues."""

    def __init__(self, method, make):
        setattr(self, method, make)


class Capsule:
    """What exports a stream and is no iterator; `again`: as often as it is asked to."""

    def __init__(self, table, *, again):
        self.table, self.again, self.reader = table, again, table.to_reader()

    def __arrow_c_stream__(self, requested_schema=None):
        if self.again:
            self.reader = self.table.to_reader()
        return self.reader.__arrow_c_stream__(requested_schema)


def delta(folder, tables):
    for table in tables:
        write_deltalake(folder, table, mode="append")
    return DeltaTable(folder)


def iceberg(folder, tables):
    catalog = InMemoryCatalog("c", warehouse=f"file://{folder}")
    catalog.create_namespace("n")
    table = catalog.create_table("n.log", schema=LOG.schema)
    for each in tables:
        table.append(each)
    catalog.engine.dispose()  # pyiceberg leaves its connections open
    return table


def relation(tables):
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    for number, table in enumerate(tables):
        connection.register(f"t{number}", table)
    return connection.sql(
        " union all ".join(f"select * from t{i}" for i in range(len(tables)))  # noqa: S608
    )


REPEATED = {
    "DuckDB": lambda _: relation(HALVES),
    "Delta": lambda folder: delta(folder, HALVES),
    "Iceberg table": lambda folder: iceberg(folder, HALVES),
    "Iceberg scan": lambda folder: iceberg(folder, HALVES).scan(),
    "dataset": lambda _: arrow_dataset.dataset(LOG),
    "scanner": lambda _: arrow_dataset.dataset(LOG).scanner(batch_size=7),
    "Hugging Face": lambda _: Dataset(LOG),
    "Hugging Face, streamed": lambda _: Dataset(LOG).to_iterable_dataset(num_shards=2),
    "to_arrow_batch_reader": lambda _: OnlyBatches("to_arrow_batch_reader", LOG.to_reader),
    "to_reader": lambda _: OnlyBatches("to_reader", LOG.to_reader),
    "to_batches": lambda _: OnlyBatches("to_batches", lambda: iter(LOG.to_batches(7))),
    "capsule": lambda _: Capsule(LOG, again=True),
}
ONCE = {
    "reader": lambda _: LOG.to_reader(7),
    "Delta scan": lambda folder: delta(folder, [LOG]).scan(),
    "Iceberg reader": lambda folder: iceberg(folder, [LOG]).scan().to_arrow_batch_reader(),
    "DuckDB reader": lambda _: relation(HALVES).to_arrow_reader(7),
    "capsule": lambda _: Capsule(LOG, again=False),
}


@pytest.fixture(params=REPEATED)
def repeated(request, tmp_path):
    return REPEATED[request.param](str(tmp_path / "table"))


@pytest.fixture(params=ONCE)
def once(request, tmp_path):
    return ONCE[request.param](str(tmp_path / "table"))


def assert_equals_table(result):
    """Files of a table may come in any order; all rows come, and bad ones by their number."""
    assert result.rows_read == 60
    pl.testing.assert_frame_equal(
        result.frame.sort("occurred_at"), EXPECTED.frame.sort("occurred_at")
    )
    assert result.quarantine.reasons == EXPECTED.quarantine.reasons


def test_a_stream_gives_the_rows_of_a_table_each_time_that_it_is_read(repeated):
    for _ in range(2):
        assert_equals_table(scan(repeated))
    pairs = [load_pairs(source, impressions=repeated) for source in (LOG, repeated)]
    assert pairs[0].X.tobytes() == pairs[1].X.tobytes()
    assert pairs[0].document_id.equals(pairs[1].document_id)


def test_bad_rows_are_known_by_their_number_in_the_stream():
    for source in (LOG, LOG.to_reader(7), relation(HALVES), Dataset(LOG)):
        bad = scan(source).quarantine.to_frame()
        assert bad["row"].to_list() == [0, 13, 26, 39, 52]


def test_a_stream_that_is_read_once_gives_all_rows_and_then_an_error(once):
    assert_equals_table(scan(once))
    for _ in range(2):
        with pytest.raises(
            (InvalidInputError, UnreadableSourceError), match="gives its rows once|closed stream"
        ):
            scan(once)


def counts(report):
    """Return a report without its examples, which name their source."""
    return dataclasses.replace(report, examples=[])


def test_a_delta_table_with_deletion_vectors_is_read_by_its_own_scan(tmp_path):
    vectors = {"delta.enableDeletionVectors": "true"}
    write_deltalake(tmp_path / "t", LOG, configuration=vectors)
    table = DeltaTable(tmp_path / "t")
    with pytest.raises(Exception, match="deletionVectors"):
        table.to_pyarrow_dataset()
    for _ in range(2):
        assert_equals_table(scan(table))
    # The order of its rows may be another each time.
    with pytest.raises(InvalidInputError, match="impressions: it is read twice"):
        load_pairs(LOG, impressions=table)


def test_a_reader_suffices_where_a_source_is_read_once():
    pairs = load_pairs(LOG.to_reader(7))
    assert pairs.X.tobytes() == load_pairs(LOG).X.tobytes()
    assert counts(validate(LOG.to_reader(7))) == counts(validate(LOG))
    assert behaviour_features(LOG.to_reader(7)).equals(behaviour_features(LOG))
    assert len(read_searches(LOG.to_reader(7))) == len(read_searches(LOG))
    channels = LOG.append_column("feature_uri", pa.array(["a", "b"] * 30))
    bandits = [FusionBandit(["a", "b"]) for _ in range(2)]
    reports = [b.update(t) for b, t in zip(bandits, (channels, channels.to_reader(7)), strict=True)]
    assert reports[0] == reports[1]
    assert bandits[0].mean() == bandits[1].mean()


def test_a_reader_is_refused_before_the_log_is_read_where_it_would_be_read_twice():
    log = LOG.to_reader()
    with pytest.raises(InvalidInputError, match=r"impressions: it is read twice.*read_all\(\)"):
        load_pairs(log, impressions=LOG.to_reader())
    assert scan(log).rows_read == 60


def test_rows_without_a_position_make_validate_read_again_or_say_why_it_cannot():
    position = pc.if_else(pc.equal(LOG["position"], 3), None, LOG["position"])
    late = pa.concat_tables([LOG, LOG.set_column(2, "position", position)])
    assert counts(validate(relation([late]))) == counts(validate(late))
    with pytest.raises(InvalidInputError, match="RecordBatchReader: it gives its rows once"):
        validate(late.to_reader(7))


def test_tables_beside_the_log_are_streams_too(tmp_path):
    ids = [f"d{i}" for i in range(7)]
    prices = pa.table({"feature_id": ids, "price": [0.5 * i for i in range(7)]})
    grades = pa.table({"query": ["q"], "feature_id": ["d1"], "grade": [3]})
    log = LOG.append_column("query_snapshot", pa.array(["q"] * 60))
    expected = load_pairs(log, features=prices, judgments=grades)
    for features in (prices.to_reader(), relation([prices]), delta(tmp_path / "t", [prices])):
        found = load_pairs(log, features=features, judgments=grades.to_reader())
        assert found.feature_names == expected.feature_names
        assert found.X.tobytes() == expected.X.tobytes()
        assert repr(found.judgments) == repr(expected.judgments)


U = uuid.UUID(int=5)
UUIDS = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([U.bytes, None], pa.binary(16)))
JSON = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(['{"a": 1}', None]))
MOMENT = dt.datetime(2026, 1, 1, 12, 30, tzinfo=dt.UTC).replace(tzinfo=None)
COLUMNS = {
    "large_string": ("user_id", pa.array(["u", None], pa.large_string()), ["u", None]),
    "string_view": ("user_id", pa.array(["u", None], pa.string_view()), ["u", None]),
    "dictionary": ("user_id", pa.array(["u", None]).dictionary_encode(), ["u", None]),
    "run ends": ("user_id", pc.run_end_encode(pa.array(["u", None])), ["u", None]),
    "decimal": ("user_id", pa.array([decimal.Decimal(7), None], pa.decimal128(38, 0)), ["7", None]),
    "decimal256": (
        "user_id",
        pa.array([decimal.Decimal(7), None], pa.decimal256(60, 0)),
        ["7", None],
    ),
    "uint64": ("user_id", pa.array([2**64 - 1, None], pa.uint64()), [str(2**64 - 1), None]),
    "binary_view": ("user_id", pa.array([b"u", None], pa.binary_view()), ["u", None]),
    "uuid": ("user_id", UUIDS, [str(U), None]),
    "date": (
        "occurred_at",
        pa.array([MOMENT.date()] * 2),
        [dt.datetime.combine(MOMENT, dt.time())] * 2,
    ),
    "s": ("occurred_at", pa.array([MOMENT] * 2, pa.timestamp("s")), [MOMENT] * 2),
    "ms, zone": (
        "occurred_at",
        pa.array([MOMENT] * 2, pa.timestamp("ms", "Asia/Tokyo")),
        [MOMENT] * 2,
    ),
    "us, offset": (
        "occurred_at",
        pa.array([MOMENT] * 2, pa.timestamp("us", "+02:00")),
        [MOMENT] * 2,
    ),
    "ns, UTC": ("occurred_at", pa.array([MOMENT] * 2, pa.timestamp("ns", "UTC")), [MOMENT] * 2),
    "json": ("metadata", JSON, ['{"a": 1}', None]),
    "struct": ("metadata", pa.array([{"a": {"b": [1]}}, None]), ['{"a":{"b":[1]}}', None]),
    "struct of uuid": (
        "metadata",
        pa.StructArray.from_arrays([UUIDS], ["a"]),
        [f'{{"a":"{U}"}}', '{"a":null}'],
    ),
    "struct of views": (
        "metadata",
        pa.array([{"a": ["b"]}, None], pa.struct([("a", pa.list_view(pa.string()))])),
        ['{"a":["b"]}', None],
    ),
    "map": (
        "metadata",
        pa.array([[("a", "b")], None], pa.map_(pa.string(), pa.string())),
        ['{"a":"b"}', None],
    ),
    "map of uuid": (
        "metadata",
        pa.MapArray.from_arrays([0, 1, 2], pa.array(["a", "b"]), UUIDS),
        [f'{{"a":"{U}"}}', '{"b":null}'],
    ),
    "large_list": (
        "interaction_type",
        pa.array([["click"], ["view"]], pa.large_list(pa.string_view())),
        [["click"], ["view"]],
    ),
    "list_view": (
        "interaction_type",
        pa.array([["click"], ["view"]], pa.list_view(pa.string())),
        [["click"], ["view"]],
    ),
    "list of dictionary": (
        "interaction_type",
        pa.array([["click"], ["view"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        [["click"], ["view"]],
    ),
    "fixed list": (
        "interaction_type",
        pa.array([["click"], ["view"]], pa.list_(pa.string(), 1)),
        [["click"], ["view"]],
    ),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_every_type_that_lakes_deliver(kind):
    name, column, expected = COLUMNS[kind]
    rows = pa.table(
        {
            "feature_id": ["a", "b"],
            "position": [0, 1],
            "interaction_type": [["click"], ["view"]],
            # Nothing of it is converted, as it is not read.
            "other": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        }
    )
    rows = rows.drop([name]) if name in rows.column_names else rows
    rows = rows.append_column(name, column)
    result = scan(rows.to_reader(1))
    assert result.quarantine.rows == 0
    assert result.frame[name].to_list() == expected


def test_a_column_of_a_type_without_an_equal_is_refused_where_it_is_needed():
    ids = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    rows = pa.table({"feature_id": ids, "position": [0], "interaction_type": [["click"]]})
    with pytest.raises(InvalidInputError, match="'feature_id' has the type Object"):
        scan(rows.to_reader())
    with pytest.raises(InvalidInputError, match="several columns are named 'a'"):
        scan(pa.table([[1], [2]], names=["a", "a"]).to_reader())


LEAVES = st.sampled_from([pa.string(), pa.int64(), pa.uuid(), pa.json_(pa.string()), pa.bool_()])
TYPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.list_view),
        inner.map(pa.large_list),
        inner.map(lambda dtype: pa.struct([("a", dtype), ("b", pa.string())])),
        inner.map(lambda dtype: pa.map_(pa.string(), dtype)),
    ),
    max_leaves=3,
)


def values_of(dtype):
    """Return a strategy of Python values of an Arrow type, as polars gives them back."""
    if isinstance(dtype, pa.UuidType):
        return st.none() | st.uuids()
    if isinstance(dtype, pa.BaseExtensionType):
        return values_of(dtype.storage_type)
    if pa.types.is_struct(dtype):
        return st.fixed_dictionaries({f.name: values_of(f.type) for f in dtype})
    if pa.types.is_map(dtype):
        entries = st.dictionaries(st.sampled_from("abc"), values_of(dtype.item_type), max_size=2)
        return st.none() | entries
    if pa.types.is_nested(dtype):
        return st.none() | st.lists(values_of(dtype.value_type), max_size=2)
    plain = {pa.string(): st.sampled_from(["", "x", "ü"]), pa.int64(): st.integers(-9, 9)}
    return st.none() | plain.get(dtype, st.booleans())


def built(dtype, values):
    """Return an Arrow array; pyarrow makes none of nested extension types from values."""
    if isinstance(dtype, pa.BaseExtensionType):
        plain = [v.bytes if isinstance(v, uuid.UUID) else v for v in values]
        return pa.ExtensionArray.from_storage(dtype, built(dtype.storage_type, plain))
    if pa.types.is_struct(dtype):
        parts = [built(f.type, [v[f.name] for v in values]) for f in dtype]
        return pa.StructArray.from_arrays(parts, fields=list(dtype))
    if not pa.types.is_nested(dtype):
        return pa.array(values, dtype)
    sizes = [len(v or ()) for v in values]
    starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    mask = pa.array([v is None for v in values], pa.bool_())
    if pa.types.is_map(dtype):
        keys = built(pa.string(), [k for v in values for k in v or ()])
        items = built(dtype.item_type, [i for v in values for i in (v or {}).values()])
        return pa.MapArray.from_arrays(pa.array(starts, pa.int32()), keys, items, mask=mask)
    inner = built(dtype.value_type, [i for v in values for i in v or ()])
    if pa.types.is_list_view(dtype):
        places = pa.array(starts[:-1], pa.int32())
        return pa.ListViewArray.from_arrays(places, pa.array(sizes, pa.int32()), inner, mask=mask)
    kind = pa.LargeListArray if pa.types.is_large_list(dtype) else pa.ListArray
    return kind.from_arrays(starts, inner, mask=mask)


def as_text(value):
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, list):
        return list(map(as_text, value))
    return {k: as_text(v) for k, v in value.items()} if isinstance(value, dict) else value


@given(st.data())
def test_nested_values_come_out_as_they_went_in(data):
    dtype = data.draw(TYPES)
    values = data.draw(st.lists(values_of(dtype), max_size=4))
    column = built(dtype, values)
    cut = data.draw(st.integers(0, len(values)))
    series = polars_series("", column[cut:])
    assert series.dtype == polars_type(dtype)
    # A column of UUIDs stays bytes here; `plain_frame` writes them as it does those of files.
    own = [v and v.bytes for v in values] if isinstance(dtype, pa.UuidType) else values
    assert series.to_list() == list(map(as_text, own[cut:]))


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 50), st.integers(1, 400))
def test_batches_of_any_size_give_the_same_rows_in_parts_of_bounded_size(sizes, rows, size):
    table = pa.table({"feature_id": pa.array(range(sum(sizes)))})
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    batches = [
        table[a : a + n].combine_chunks().to_batches()[0]
        for a, n in zip(starts, sizes, strict=True)
    ]
    reader = pa.RecordBatchReader.from_batches(table.schema, iter(batches))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_source, "BATCH_ROWS", rows)
        patch.setattr(stream_source, "_PART_BYTES", size)
        (source,) = open_sources(reader)
        blocks = list(source.blocks({"feature_id": "feature_id"}))
    assert [i for b in blocks for i in b.frame["feature_id"]] == list(range(sum(sizes)))
    assert [b.numbers for b in blocks] == [
        sum(b.frame.height for b in blocks[:i]) for i in range(len(blocks))
    ]
    assert all(b.frame.height <= rows for b in blocks)


@pytest.mark.parametrize("memory", [1, 1 << 26])
def test_times_that_begin_late_are_found_and_nothing_looked_at_is_lost(memory, monkeypatch):
    monkeypatch.setattr(started_input, "_MEMORY_BYTES", memory)
    times = pa.array([None] * 55 + [NOON] * 5, pa.timestamp("us", "UTC"))
    late = LOG.set_column(5, "occurred_at", times)
    expected, found = scan(late), scan(late.to_reader(7))
    # A row without a time is bad where others have one.
    assert found.quarantine.reasons == expected.quarantine.reasons
    assert found.quarantine.rows == 55
    assert found.frame.equals(expected.frame)


def test_a_stream_that_breaks_or_changes_gives_an_error():
    def broken():
        yield LOG.to_batches(7)[0]
        msg = "connection lost"
        raise RuntimeError(msg)

    reader = pa.RecordBatchReader.from_batches(LOG.schema, broken())
    with pytest.raises(UnreadableSourceError, match="RecordBatchReader: cannot be read: .*lost"):
        scan(reader)
    tables = [LOG]

    def newest():
        return tables[-1].to_reader()

    reader = Scan(OnlyBatches("to_reader", newest))
    assert sum(map(len, reader.batches())) + reader.quarantine.rows == 60
    tables.append(LOG[:30])
    with pytest.raises(UnreadableSourceError, match="gave 60 rows when it was read first, and 30"):
        list(reader.batches())


def test_a_streamed_dataset_must_say_the_types_of_columns_that_begin_empty():
    def rows(user=None):
        return ({"feature_id": f"d{i}", "position": i, "user_id": user} for i in range(60))

    options = {"default_types": ["impression"], "columns": ["feature_id", "user_id"]}
    (batch,) = Scan(IterableDataset.from_generator(lambda: rows("u")), **options).batches()
    assert batch["user_id"].to_list() == ["u"] * 60
    with pytest.raises(InvalidInputError, match="type of column 'user_id' is unknown"):
        Scan(IterableDataset.from_generator(rows), **options)
    types = {"feature_id": Value("string"), "position": Value("int64"), "user_id": Value("string")}
    typed = IterableDataset.from_generator(rows, features=Features(types))
    assert sum(map(len, Scan(typed, **options).batches())) == 60


def test_two_queries_of_one_connection_are_read_one_after_the_other():
    connection = duckdb.connect()
    connection.register("log", LOG)
    log, shown = connection.sql("select * from log"), connection.sql("select * from log limit 50")
    expected = load_pairs(LOG, impressions=LOG[:50])
    assert load_pairs(log, impressions=shown).X.tobytes() == expected.X.tobytes()
    # A scan that is broken off leaves the connection free.
    batches = Scan(log).batches()
    next(batches)
    batches.close()
    assert scan(shown).rows_read == 50


def test_nothing_holds_a_source_once_it_was_read():
    reader = Scan(LOG)
    assert sum(map(len, reader.batches())) == 55
    source = weakref.ref(reader._sources[0])
    del reader
    gc.collect()
    assert source() is None


MEMORY = """
import resource, sys
import pyarrow as pa
from rankloom.datasets.reading.scan import Scan

ROWS, BATCH = int(sys.argv[1]), 50_000
ids = pa.array([f"document-{i}" for i in range(BATCH)])
batch = pa.record_batch({
    "execution_id": ids, "feature_id": ids, "position": pa.array(range(BATCH)),
    "interaction_type": pa.array([["click"]] * BATCH), "user_id": ids,
})
batches = (batch for _ in range(ROWS // BATCH))
scan = Scan(pa.RecordBatchReader.from_batches(batch.schema, batches))
assert sum(map(len, scan.batches())) == ROWS
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_the_memory_of_a_stream_does_not_grow_with_its_rows():
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", MEMORY, str(rows)], check=True, capture_output=True
            ).stdout
        )
        for rows in (1_000_000, 8_000_000)
    ]
    # Seven million rows in columns take more than 700 MB.
    assert peaks[1] < peaks[0] + 100, peaks
