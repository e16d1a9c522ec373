"""Pieces of a Parquet file are whole row groups, and together the file."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets.reading.open_sources import open_sources
from rankloom.datasets.reading.parquet_rows import ParquetRows, parquet_pieces


@given(
    rows=st.integers(0, 60),
    group=st.integers(1, 20),
    pieces=st.integers(1, 9),
    least=st.integers(1, 30),
)
def test_pieces_are_whole_row_groups_of_the_file(tmp_path_factory, rows, group, pieces, least):
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    frame = pl.DataFrame({"number": range(rows), "value": [None, *range(1, rows)][:rows]})
    frame.write_parquet(path, row_group_size=group)
    found = parquet_pieces(path, pieces, least)
    assert 1 <= len(found) <= pieces
    sources = [source for each in found for source in open_sources(each)]
    blocks = [block for source in sources for block in source.blocks({"number": "position"})]
    assert [n for block in blocks for n in block.frame["number"]] == list(range(rows))
    assert all(block.numbers == block.frame["number"][0] for block in blocks)
    assert [source.rows for source in sources][:-1] == [len(b.frame) for b in blocks][:-1]
    for each in found[:-1]:
        assert each.end - each.start >= least
        assert each.end % group == 0


def test_a_piece_answers_for_its_file_and_stands_beside_paths(tmp_path):
    folder = tmp_path / "region=north"
    folder.mkdir()
    frame = pl.DataFrame({"a": [None, None, 1, 1], "b": [1, 2, 3, 4]})
    frame.write_parquet(folder / "log.parquet", row_group_size=2)
    first, second = parquet_pieces(folder / "log.parquet", 2, 1)
    source, whole = open_sources([first, folder / "log.parquet"])
    assert source.has_values({"a": "a"})
    assert source.name == whole.name
    [block] = source.blocks({"a": "a", "region": "region"})
    assert block.frame.rows() == [(None, "north")] * 2
    assert second == ParquetRows(folder / "log.parquet", 2, 4)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and something PAR1"])
def test_a_damaged_file_stays_whole(tmp_path, content):
    path = tmp_path / "log.parquet"
    path.write_bytes(content)
    assert parquet_pieces(path, 4, 1) == [path]
    assert parquet_pieces(tmp_path / "absent.parquet", 4, 1) == [tmp_path / "absent.parquet"]
