"""svmlight and LETOR files: every number exact, and what is malformed refused with its line."""

from __future__ import annotations

import gzip
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rankloom.datasets import load_letor
from rankloom.datasets.pairs.training_pairs import NO_POSITION
from rankloom.errors import InvalidInputError, UnreadableSourceError

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
LETOR = """\
2 qid:10 1:107 2:NULL 3:0.25 #docid = GX000-24 inc = 0.6 prob = 0.41
0 qid:10 1:NULL 2:nan 3:-1e-3 #docid = GX000-62 inc = 1 prob = 0.5

# a comment between two queries
1 qid:9 1:1 3:4 # docid=GX111
0 qid:9 2:5
"""
DTYPES = {
    **dict.fromkeys(["X", "y", "age_days", "weight"], "float32"),
    **dict.fromkeys(["group", "position", "query_code", "document_code"], "int32"),
    **dict.fromkeys(["clicked", "negative"], "bool"),
    "document_score": "float64",
    "time": "datetime64[us]",
}
MAX = float(np.finfo(np.float32).max)


def write(folder, text, name="file.txt"):
    path = folder / name
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def test_letor_lines_written_by_hand(tmp_path):
    pairs = load_letor(write(tmp_path, LETOR))
    nan = np.nan
    expected = [[107, nan, 0.25], [nan, nan, -1e-3], [1, 0, 4], [0, 5, 0]]
    np.testing.assert_array_equal(pairs.X, np.array(expected, dtype=np.float32))
    assert pairs.X.flags.c_contiguous
    assert pairs.y.tolist() == [2, 0, 1, 0]
    assert pairs.clicked.tolist() == [True, False, True, False]
    assert pairs.group.tolist() == [2, 2]
    assert pairs.query_id.to_list() == pairs.execution_id.to_list() == ["10", "9"]
    assert pairs.document_id.to_list() == ["GX000-24", "GX000-62", "GX111", "9:1"]
    assert pairs.feature_names == ("1", "2", "3")
    assert {name: str(getattr(pairs, name).dtype) for name in DTYPES} == DTYPES


def test_lists_were_judged_and_never_shown(tmp_path):
    pairs = load_letor(write(tmp_path, LETOR))
    assert (pairs.position == NO_POSITION).all()
    assert not pairs.has_positions
    assert not pairs.has_times
    assert not pairs.negative.any()
    assert np.isnan(pairs.document_score).all()
    assert np.isnan(pairs.age_days).all()
    assert (pairs.weight == 1).all()
    assert pairs.examination is None
    report = pairs.report
    assert (report.rows_read, report.rows_kept, report.executions) == (4, 4, 2)


@pytest.mark.parametrize("name", ["rank.train", "rank.train.gz"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_group_file_next_to_the_file_is_found(tmp_path, name, suffix):
    write(tmp_path, "1 1:2\n0 1:3\n2 2:1\n", name)
    write(tmp_path, "2\n1\n", f"rank.train.query{suffix}")
    pairs = load_letor(tmp_path / name)
    assert pairs.group.tolist() == [2, 1]
    assert pairs.query_id.to_list() == ["0", "1"]
    assert pairs.document_id.to_list() == ["0:0", "0:1", "1:0"]


def test_group_file_named_by_the_caller_and_one_that_qids_make_needless(tmp_path):
    file = write(tmp_path, "1 1:2\n0 1:3\n")
    groups = write(tmp_path, "1\n1\n", "elsewhere")
    assert load_letor(file, query=groups).group.tolist() == [1, 1]
    write(tmp_path, "7\n", "named.query")
    assert load_letor(write(tmp_path, LETOR, "named")).group.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("text", "options", "names", "values"),
    [
        ("1 qid:1 0:5 2:7\n", {}, "012", [[5, 0, 7]]),
        ("1 qid:1 1:5\n", {"zero_based": True, "features": 4}, "0123", [[0, 5, 0, 0]]),
        ("1 qid:1 1:5\n", {"features": 2}, "12", [[5, 0]]),
        ("1 qid:1 1:5", {}, "1", [[5]]),
        ("1 qid:1 1:5\r\n", {}, "1", [[5]]),
        ("\ufeff1\tqid:1\t1:5 \n\n", {}, "1", [[5]]),
        ("1 QID:1 1:5 3:nUll", {}, "123", [[5, 0, math.nan]]),
        ("1 qid:1\n2 qid:1 1:0", {}, "1", [[0], [0]]),
    ],
)
def test_indices_and_widths_and_line_ends(tmp_path, text, options, names, values):
    pairs = load_letor(write(tmp_path, text), **options)
    np.testing.assert_array_equal(pairs.X, values)
    assert pairs.feature_names == tuple(names)
    assert pairs.query_id.to_list() == ["1"]


def test_several_files_are_put_one_after_the_other(tmp_path):
    first = write(tmp_path, "1 qid:a_1 1:1 #docid = x\n", "first")
    second = write(tmp_path, "0 qid:b 3:2 #docid = x\n2 qid:b 1:4\n", "second.gz")
    pairs = load_letor([first, second])
    assert pairs.X.tolist() == [[1, 0, 0], [0, 0, 2], [4, 0, 0]]
    assert pairs.query_id.to_list() == ["a_1", "b"]
    assert pairs.group.tolist() == [1, 2]
    assert pairs.document_id.to_list() == ["x", "x", "b:1"]
    assert pairs.document_code[0] == pairs.document_code[1]
    for name in ("a", "b"):
        write(tmp_path, "1 1:2\n0 1:3\n", name)
        write(tmp_path, "1\n1\n", f"{name}.query")
    numbered = load_letor([tmp_path / "a", str(tmp_path / "b")])
    assert numbered.query_id.to_list() == ["0", "1", "2", "3"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_matrix_survives_the_round_trip(tmp_path_factory, data):
    """Every float32, written with enough digits, is read back bit for bit."""
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 6)))
    values = st.floats(width=32, allow_infinity=False, allow_nan=True)
    X = data.draw(npst.arrays(np.float32, shape, elements=values))
    grades = data.draw(st.lists(st.integers(0, 31), min_size=shape[0], max_size=shape[0]))
    base = data.draw(st.sampled_from([0, 1]))
    cuts = data.draw(st.lists(st.booleans(), min_size=shape[0], max_size=shape[0]))
    qid = np.cumsum(cuts)
    form = data.draw(st.sampled_from(["{:.9g}", "{:.17g}", "{:.60f}", "{:+.12E}"]))
    texts = [["NULL" if math.isnan(v) else form.format(float(v)) for v in row] for row in X]
    lines = [
        f"{grade} qid:{q} " + " ".join(f"{j}:{text}" for j, text in enumerate(row, base))
        for grade, q, row in zip(grades, qid, texts, strict=True)
    ]
    path = write(tmp_path_factory.mktemp("letor"), "\n".join(lines))
    pairs = load_letor(path, zero_based=base == 0)
    if form == "{:.60f}":  # loses the smallest numbers
        X = np.array([[np.float32(text.replace("NULL", "nan")) for text in row] for row in texts])
    np.testing.assert_array_equal(pairs.X, X)
    assert pairs.y.tolist() == grades
    assert pairs.group.tolist() == [int((qid == q).sum()) for q in dict.fromkeys(qid.tolist())]


def test_numbers_close_to_the_middle_of_two_float32_are_rounded_as_python_does(tmp_path):
    middle = 1 + 2.0**-24  # exactly between 1 and the next float32
    texts = [
        f"{middle:.60f}",
        f"{middle - 1e-16:.60f}",
        "1.00000005960464477539062500001",
        "1.00000005960464477539062499999",
        "0.000000000000000000000000000000000000000000001e-0",
        "1e-320",
        "123456789012345678901234567890",
        "9007199254740993",
        "3.4028235e38",
    ]
    line = " ".join(f"{j}:{text}" for j, text in enumerate(texts, 1))
    pairs = load_letor(write(tmp_path, f"1 qid:1 {line} # docid = 7\n"))
    assert pairs.X[0].tolist() == [float(np.float32(float(text))) for text in texts]
    assert pairs.document_id.to_list() == ["7"]


HUGE = ["1.79769313486231570E+308", "3.4028236e38", "1e9999999", "inf", "-Infinity", "-1e39"]


@pytest.mark.parametrize("text", HUGE)
def test_values_beyond_float32_are_read_on_request_alone(tmp_path, text):
    path = write(tmp_path, f"1 qid:1 1:1\n0 qid:1 1:{text} 2:3.4028234e38")
    place = re.escape(f"{path}, line 2: ")
    with pytest.raises(InvalidInputError, match=f"{place}.* too large for float32.*huge="):
        load_letor(path)
    sign = -1 if text.startswith("-") else 1
    largest = float(np.float32(3.4028234e38))
    assert load_letor(path, huge="clip").X.tolist() == [[1, 0], [sign * MAX, largest]]
    missing = load_letor(path, huge="nan").X
    np.testing.assert_array_equal(missing, np.array([[1, 0], [math.nan, largest]]))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("x qid:1 1:1", 1, "grade is no number"),
        ("1 qid:1 1:1\n\n-1 qid:1 1:1", 3, "whole number"),
        ("0.5 qid:1 1:1", 1, "whole number"),
        ("nan qid:1 1:1", 1, "grade is absent"),
        ("NULL qid:1 1:1", 1, "grade is absent"),
        ("1e99 qid:1 1:1", 1, "whole number"),
        ("inf qid:1 1:1", 1, "whole number"),
        ("1_0 qid:1 1:1", 1, "grade is no number"),
        ("1 qid: 1:1", 1, "query id"),
        ("1 qid:1 1", 1, "index:value"),
        ("1 qid:1 1:1 word", 1, "index:value"),
        ("1 qid:1 a:1", 1, "feature index is no whole number"),
        ("1 qid:1 -1:1", 1, "feature index is no whole number"),
        ("1 qid:1 :1", 1, "feature index is no whole number"),
        ("1 1:1 qid:1", 1, "feature index is no whole number"),
        ("1 qid:1 qid:2 1:1", 1, "feature index is no whole number"),
        ("1 qid:1 1:1 1:2", 1, "ascend"),
        ("1 qid:1 2:1 1:2", 1, "ascend"),
        ("1 qid:1 1:", 1, "no number"),
        ("1 qid:1 1:1e", 1, "no number"),
        ("1 qid:1 1:1e+", 1, "no number"),
        ("1 qid:1 1:1.2.3", 1, "no number"),
        ("1 qid:1 1:--1", 1, "no number"),
        ("1 qid:1 1:.", 1, "no number"),
        ("1 qid:1 1:1_0", 1, "no number"),
        ("1 qid:1 1:1\n1 qid:2 1:1\n1 qid:1 1:1", 3, "neighbours"),
        ("1 qid:1 1:1\n1 1:1", 2, "some lines only"),
        ("1 1:1\n1 qid:1 1:1", 2, "some lines only"),
        ("\x00\x01\x02", 1, "grade is no number"),
    ],
)
def test_malformed_line_is_refused_with_file_line_and_reason(tmp_path, text, line, reason):
    path = write(tmp_path, text)
    with pytest.raises(InvalidInputError) as caught:
        load_letor(path)
    assert f"{path}, line {line}: " in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("files", "options", "word"),
    [
        ([LETOR], {"features": 1}, "line 1: the feature index is beyond the number of features"),
        ([LETOR], {"features": 0}, "features"),
        ([LETOR], {"query": []}, "query"),
        ([LETOR], {"query": ["a", "b"]}, "query"),
        ([LETOR], {"query": "exists"}, "has qids"),
        ([LETOR], {"huge": "cilp"}, "Did you mean 'clip'"),
        (["1 qid:1 0:1\n"], {"zero_based": False}, "line 1: .* start at 1"),
        ([LETOR, ""], {}, "no rows"),
        ([LETOR, "\n\n"], {}, "no rows"),
        ([LETOR, "# only a comment\n"], {}, "no rows"),
        (["1 qid:1\n"], {}, "features"),
        (["1 qid:1 1000001:1\n"], {}, "features"),
        ([f"1 qid:1 {2**31}:1\n"], {}, "features"),
        ([f"1 qid:1 {10**30}:1\n"], {}, "features"),
        (["1 qid:7 1:1\n", "1 qid:7 1:1\n"], {}, "'7' occurs in more than one"),
        (["1 1:1\n"], {}, r"expected 0\.txt\.query next to it"),
        ([], {}, "path"),
    ],
)
def test_files_and_parameters_that_contradict_each_other_are_refused(
    tmp_path, files, options, word
):
    paths = [write(tmp_path, text, f"{i}.txt") for i, text in enumerate(files)]
    with pytest.raises(InvalidInputError, match=word):
        load_letor(paths, **options)


@pytest.mark.parametrize(
    ("groups", "word"),
    [
        ("1\n", "sum to 1"),
        ("2\n1\n", "sum to 3"),
        ("two\n", "'two'"),
        ("0\n2\n", "'0'"),
        ("-2", "-2"),
    ],
)
def test_group_sizes_that_do_not_fit_are_refused(tmp_path, groups, word):
    path = write(tmp_path, "1 1:1\n0 1:1\n")
    write(tmp_path, groups, "file.txt.query")
    with pytest.raises(InvalidInputError, match=word):
        load_letor(path)


def test_unreadable_files_raise_and_name_the_file(tmp_path):
    not_gzip = tmp_path / "plain.gz"
    not_gzip.write_text(LETOR)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(LETOR.encode())[:-12])
    for path in (tmp_path / "missing", tmp_path, not_gzip, cut):
        with pytest.raises(UnreadableSourceError, match=path.name):
            load_letor(path)
    without_suffix = tmp_path / "compressed"
    without_suffix.write_bytes(gzip.compress(LETOR.encode()))
    assert len(load_letor(without_suffix)) == 4


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_public_files_have_their_published_sizes_and_the_values_of_their_text():
    path = DATA / "lambdarank_example" / "rank.train.gz"
    pairs = load_letor(path)
    expected = np.zeros((3005, 300), dtype=np.float32)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    for row, line in enumerate(lines):
        for index, value in (item.split(":") for item in line.split()[1:]):
            expected[row, int(index) - 1] = float(value)
    np.testing.assert_array_equal(pairs.X, expected)
    assert pairs.y.tolist() == [float(line.split()[0]) for line in lines]
    assert pairs.n_executions == 201
    letor = load_letor([DATA / "mq2007agg" / f"A{part}.txt.gz" for part in range(1, 6)])
    assert letor.X.shape == (69_623, 21)
    assert letor.n_executions == 1_692
    assert set(np.unique(letor.y)) == {0, 1, 2}
    assert np.nanmin(letor.X) == 1
    assert letor.document_id[1] == "GX000-24-12369390"
