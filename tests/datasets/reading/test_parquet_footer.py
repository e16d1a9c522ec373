import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom import scan
from rankloom.datasets.reading.parquet_footer import schema_depth
from rankloom.errors import UnreadableSourceError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def _footer(path):
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    return data[-8 - length : -8]


def _write(path, levels):
    kind = pa.int64()
    for _ in range(levels):
        kind = pa.list_(kind)
    good = {"feature_id": ["a"], "interaction_type": ["click"], "position": [0]}
    pq.write_table(pa.table(good | {"deep": pa.array([None], kind)}), path)
    return path


@pytest.mark.parametrize("levels", [0, 1, 2, 30, 300])
def test_the_depth_of_the_schema_is_read_without_recursion(tmp_path, levels):
    """The column itself is one level, and every list around it two more."""
    assert schema_depth(_footer(_write(tmp_path / "log.parquet", levels))) == 2 * levels + 1


def test_files_of_polars_are_understood_too(tmp_path):
    frame = pl.DataFrame({"a": [[{"b": [1]}]], "c": ["x"]})
    frame.write_parquet(tmp_path / "log.parquet", metadata={"k": "v"})
    assert schema_depth(_footer(tmp_path / "log.parquet")) == 6


def test_a_deep_schema_is_refused_where_the_engine_would_end_the_process(tmp_path):
    assert scan(_write(tmp_path / "shallow.parquet", 60)).frame.height == 1
    with pytest.raises(UnreadableSourceError, match="nest deeper than the 200"):
        scan(_write(tmp_path / "deep.parquet", 1_000))


@given(st.binary(max_size=200))
def test_any_bytes_have_a_depth(footer):
    assert schema_depth(footer) >= 0
