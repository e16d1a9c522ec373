"""Tables that accompany a log, in every form that other tools give them."""

import csv
import decimal
import gzip
import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import zstandard

from rankloom import load_pairs
from rankloom.errors import InvalidInputError, UnreadableSourceError

IDS = ("007", "b", "1.20", "1e5")
LOG = [
    {"execution_id": "e", "feature_id": d, "position": i, "interaction_type": types}
    for i, d in enumerate(IDS)
    for types in (["impression"], ["click"])[: 2 - (i > 0)]
]
PRICES = (1.0, 2.0, None, 0.5)
TEXT = "feature_id,price\n007,1\nb,2\n1.20,NA\n1e5,0.5\n"
ROWS = [{"feature_id": d, "price": p} for d, p in zip(IDS, PRICES, strict=True)]
FRAME = pl.DataFrame(ROWS)
PANDAS = FRAME.to_pandas()
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def prices(features, **options):
    """Return the feature of the four documents, None where it is missing."""
    pairs = load_pairs(LOG, features=features, **options)
    assert pairs.feature_names == ("price",)
    assert pairs.categories == {}
    by_id = dict(zip(pairs.document_id, pairs.X[:, 0].tolist(), strict=True))
    return tuple(None if np.isnan(by_id[d]) else by_id[d] for d in IDS)


FILES = {
    "features.csv": TEXT,
    "semicolons.csv": TEXT.replace(",", ";"),
    "tabs.csv": TEXT.replace(",", "\t"),
    "bars.csv": TEXT.replace(",", "|"),
    "commas.tsv": TEXT,
    "spaces.csv": TEXT.replace(",", ", "),
    "spaced-header.csv": TEXT.replace("feature_id,price", " feature_id , price "),
    "excel.csv": "sep=;\n" + TEXT.replace(",", ";"),
    "mark.csv": b"\xef\xbb\xbf" + TEXT.encode(),
    "windows.csv": TEXT.replace("\n", "\r\n"),
    "quoted.csv": '"feature_id";"price"\n' + TEXT.replace(",", ";").split("\n", 1)[1],
    "no-suffix": TEXT,
    "no-suffix-semicolons": TEXT.replace(",", ";"),
    "hive.csv": TEXT.replace("NA", r"\N"),
    "spreadsheet.csv": TEXT.replace("NA", "#N/A"),
    "script.csv": TEXT.replace("NA", "undefined"),
    "features.csv.gz": gzip.compress(TEXT.encode()),
    "features.jsonl.zst": zstandard.ZstdCompressor().compress(LINES.encode()),
    "array.json": json.dumps(ROWS),
    "late.jsonl": LINES.replace(', "price": null', ""),
    "one-line.jsonl": LINES.replace("\n", ""),
    "array-in-a-line.jsonl": LINES.split("\n", 1)[0] + "\n" + json.dumps(ROWS[1:]) + "\n",
    "words.jsonl": LINES.replace("null", "NaN"),
    "index.csv": "".join(f"{i},{line}\n" for i, line in enumerate(TEXT.split())).replace(
        "0,f", ",f"
    ),
    "filtered.csv": "index,feature_id,price\n9,007,1\n4,b,2\n7,1.20,\n5,1e5,0.5\n",
}


@pytest.mark.parametrize("name", FILES)
def test_every_spelling_of_a_file_gives_the_same_numbers(name, tmp_path):
    content = FILES[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert prices(path) == PRICES


@pytest.mark.parametrize("name", ["f.arrow", "f", "stream.arrow", "f.parquet", "parquet"])
def test_arrow_and_parquet_files_are_known_by_their_content(name, tmp_path):
    path = tmp_path / name
    if "stream" in name:
        FRAME.write_ipc_stream(path)
    elif "parquet" in name:
        FRAME.write_parquet(path)
    else:
        FRAME.write_ipc(path)
    assert prices(path) == PRICES


OBJECTS = {
    "named index": PANDAS.set_index("feature_id"),
    "series with a named index": PANDAS.set_index("feature_id")["price"],
    "numbers of several types": PANDAS.assign(price=[1, 2.0, None, "0.5"]),
    "decimals": PANDAS.assign(price=[*map(decimal.Decimal, "12"), None, decimal.Decimal("0.5")]),
    "bytes in the other order": PANDAS.assign(price=np.array(PRICES, ">f8")),
    "sparse": PANDAS.assign(price=pd.arrays.SparseArray([1.0, 2.0, np.nan, 0.5])),
    "categorical ids": PANDAS.astype({"feature_id": "category"}),
    "dict of object arrays": {n: np.array(list(FRAME[n]), object) for n in FRAME.columns},
    "dict of Arrow arrays": {n: pa.array(FRAME[n].to_list()) for n in FRAME.columns},
    "dict of series": {n: PANDAS[n] for n in PANDAS},
    "structured array": np.array(
        [(d, np.nan if p is None else p) for d, p in zip(IDS, PRICES, strict=True)],
        dtype=[("feature_id", "U9"), ("price", ">f8")],
    ),
    "Arrow dictionary": pa.table(FRAME).set_column(
        0, "feature_id", pa.array(IDS).dictionary_encode()
    ),
    "decimal256": pa.table(
        {"feature_id": IDS, "price": pa.array([1, 2, None, None], pa.decimal256(60, 2))}
    ),
    "lazy": FRAME.lazy(),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_gives_the_same_numbers(name):
    expected = (*PRICES[:3], None) if name == "decimal256" else PRICES
    assert prices(OBJECTS[name]) == expected


@pytest.mark.parametrize(
    "rows",
    [csv.DictReader(io.StringIO(TEXT)), (row for row in ROWS), iter([FRAME[:2], FRAME[2:]])],
    ids=["csv.DictReader", "generator", "frames"],
)
def test_iterators_are_read_whole(rows):
    assert prices(rows) == PRICES


REFUSED = {
    "decimal comma": ("feature_id;price\n007;1,5\nb;2,5\n", "point as decimal mark"),
    "thousands": ('feature_id,price\n007,"1,500"\nb,"2,000.5"\n', "point as decimal mark"),
    "currency": ("feature_id,price\n007,$1.50\nb,$2\n", "point as decimal mark"),
    "per cent": ("feature_id,price\n007,1%\nb,20 %\n", "point as decimal mark"),
    "other dates": ("feature_id,price\n007,01/31/2026\nb,12/1/2026\n", "ISO 8601"),
    "UTF-16": (TEXT.encode("utf-16"), "this is UTF-16; convert it"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "this is UTF-16; convert it"),
    "Latin-1 header": ("feature_id,größe\n007,1\n".encode("latin-1"), "not UTF-8; convert"),
    "CR alone": (TEXT.replace("\n", "\r"), "end in CR alone; convert"),
    "JSON": (LINES, "looks like JSON; name the file .jsonl"),
    "header only": ("feature_id,price\n", "the table has no rows"),
    "null id": (TEXT.replace("007", "NULL"), "1 rows have no feature_id"),
    "word": (TEXT.replace("0.5", "cheap"), "line 5: price: not a number, while 2 of 3 are"),
    "names repeated": ("feature_id,price,price\n007,1,1\n", "'price' more than once"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_read_wrongly_is_refused_with_the_way_out(name, tmp_path):
    content, message = REFUSED[name]
    path = tmp_path / "features.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((InvalidInputError, UnreadableSourceError), match=message):
        prices(path)


def test_wrong_objects_are_refused_with_the_way_out():
    for wrong, message in (
        (io.StringIO(TEXT), r"an open file \(StringIO\) is not read. Give its path"),
        ("nosuch://bucket/f.parquet", "Protocol not known: nosuch"),
        ("sqlite:///log.db", r"is a URL.*InteractionLog\('sqlite:///log.db'\)"),
        (pd.DataFrame([[1, 2, 2]], columns=["feature_id", "p", "p"]), "several columns 'p'"),
        (pa.table([[1], [2], [2]], names=["feature_id", "p", "p"]), "several columns 'p'"),
        (pd.Series([1.0], name="price"), "no column feature_id"),
    ):
        with pytest.raises((InvalidInputError, UnreadableSourceError), match=message):
            prices(wrong)


def test_declared_categories_may_look_like_numbers():
    table = pl.DataFrame({"feature_id": IDS[:2], "size": ["38,5", "39,5"]})
    pairs = load_pairs(LOG, features=table.cast({"size": pl.Categorical}))
    assert pairs.categories == {"size": ("38,5", "39,5")}


def test_a_column_that_only_folders_name_is_reported(tmp_path):
    folder = tmp_path / "cat=x"
    folder.mkdir()
    FRAME.write_parquet(folder / "part.parquet")
    pairs = load_pairs(LOG, features=tmp_path)
    assert pairs.feature_names == ("price",)
    assert "only folders name it" in pairs.report.features_left_out["cat"]


def test_an_index_is_no_feature_and_the_report_says_so(tmp_path):
    path = tmp_path / "features.csv"
    PANDAS.sort_values("price").reset_index().to_csv(path)
    pairs = load_pairs(LOG, features=path)
    assert pairs.feature_names == ("price",)
    assert set(pairs.report.features_left_out) == {"index", "Unnamed: 0"}


def test_impressions_without_an_id_do_not_stop_their_features():
    shown = [{**row, "execution_id": "e", "position": i} for i, row in enumerate(ROWS)]
    shown.append({"execution_id": "NULL", "feature_id": "z", "position": 0, "price": 9.0})
    clicks = [row for row in LOG if row["interaction_type"] == ["click"]]
    pairs = load_pairs(clicks, impressions=shown)
    assert pairs.feature_names == ("price",)
    assert pairs.report.rows_without_execution == 1
    assert sorted(pairs.X[:, 0][~np.isnan(pairs.X[:, 0])].tolist()) == [0.5, 1.0, 2.0]
