"""svmlight and LETOR files: equal to scikit-learn's reader, exact, and refused with the line."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from rankloom.datasets import load_letor
from rankloom.datasets.training_pairs import NO_POSITION
from rankloom.errors import InvalidInputError, UnreadableSourceError

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LETOR = """\
2 qid:10 1:107 2:NULL 3:0.25 #docid = GX000-24 inc = 0.6 prob = 0.41
0 qid:10 1:NULL 2:nan 3:-1e-3 #docid = GX000-62 inc = 1 prob = 0.5

# a comment between two queries
1 qid:9 1:1 3:4 # docid=GX111
0 qid:9 2:5
"""


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


def test_lists_were_judged_and_never_shown(tmp_path):
    pairs = load_letor(write(tmp_path, LETOR))
    assert (pairs.position == NO_POSITION).all()
    assert not pairs.has_positions
    assert not pairs.has_times
    assert np.isnan(pairs.document_score).all()
    assert np.isnan(pairs.age_days).all()
    assert (pairs.weight == 1).all()
    assert not pairs.negative.any()
    assert pairs.examination is None
    report = pairs.report
    assert (report.rows_read, report.rows_kept, report.executions) == (4, 4, 2)


def test_arrays_have_the_dtypes_of_training_pairs(tmp_path):
    pairs = load_letor(write(tmp_path, LETOR))
    dtypes = {
        "X": "float32",
        "y": "float32",
        "clicked": "bool",
        "negative": "bool",
        "group": "int32",
        "position": "int32",
        "document_score": "float64",
        "age_days": "float32",
        "weight": "float32",
        "time": "datetime64[us]",
        "query_code": "int32",
        "document_code": "int32",
    }
    assert {name: str(getattr(pairs, name).dtype) for name in dtypes} == dtypes


@pytest.mark.parametrize("name", ["rank.train", "rank.train.gz"])
def test_group_file_next_to_the_file_is_found(tmp_path, name):
    write(tmp_path, "1 1:2\n0 1:3\n2 2:1\n", name)
    write(tmp_path, "2\n1\n", name.replace("train", "train.query"))
    pairs = load_letor(tmp_path / name)
    assert pairs.group.tolist() == [2, 1]
    assert pairs.query_id.to_list() == ["0", "1"]
    assert pairs.document_id.to_list() == ["0:0", "0:1", "1:0"]


def test_gzipped_file_with_a_plain_group_file(tmp_path):
    write(tmp_path, "1 1:2\n0 1:3\n", "rank.train.gz")
    write(tmp_path, "2\n", "rank.train.query")
    assert load_letor(tmp_path / "rank.train.gz").group.tolist() == [2]


def test_group_file_named_by_the_caller(tmp_path):
    file = write(tmp_path, "1 1:2\n0 1:3\n")
    groups = write(tmp_path, "1\n1\n", "elsewhere")
    assert load_letor(file, query=groups).group.tolist() == [1, 1]


def test_qids_win_over_a_group_file_that_happens_to_lie_there(tmp_path):
    write(tmp_path, "7\n", "file.txt.query")
    assert load_letor(write(tmp_path, LETOR)).group.tolist() == [2, 2]


def test_index_zero_makes_the_file_zero_based(tmp_path):
    pairs = load_letor(write(tmp_path, "1 qid:1 0:5 2:7\n"))
    assert pairs.X.tolist() == [[5, 0, 7]]
    assert pairs.feature_names == ("0", "1", "2")


def test_base_and_width_can_be_said_for_a_test_file(tmp_path):
    file = write(tmp_path, "1 qid:1 1:5\n")
    zero_based = load_letor(file, zero_based=True, features=4)
    assert zero_based.X.tolist() == [[0, 5, 0, 0]]
    assert zero_based.feature_names == ("0", "1", "2", "3")
    assert load_letor(file, features=2).X.tolist() == [[5, 0]]


def test_several_files_are_put_one_after_the_other(tmp_path):
    first = write(tmp_path, "1 qid:a 1:1 #docid = x\n", "first")
    second = write(tmp_path, "0 qid:b 3:2 #docid = x\n2 qid:b 1:4\n", "second.gz")
    pairs = load_letor([first, second])
    assert pairs.X.tolist() == [[1, 0, 0], [0, 0, 2], [4, 0, 0]]
    assert pairs.group.tolist() == [1, 2]
    assert pairs.document_id.to_list() == ["x", "x", "b:1"]
    assert pairs.document_code[0] == pairs.document_code[1]


def test_queries_of_several_group_files_are_numbered_through(tmp_path):
    for name in ("a", "b"):
        write(tmp_path, "1 1:2\n0 1:3\n", name)
        write(tmp_path, "1\n1\n", f"{name}.query")
    pairs = load_letor([tmp_path / "a", str(tmp_path / "b")])
    assert pairs.query_id.to_list() == ["0", "1", "2", "3"]


@pytest.mark.parametrize("text", ["1 qid:1 1:5", "1 qid:1 1:5\r\n", "\ufeff1\tqid:1\t1:5 \n\n"])
def test_line_ends_tabs_and_byte_order_marks_make_no_difference(tmp_path, text):
    pairs = load_letor(write(tmp_path, text))
    assert pairs.X.tolist() == [[5]]
    assert pairs.query_id.to_list() == ["1"]


def test_equals_the_reader_of_scikit_learn(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 12)) * 10.0 ** rng.integers(-6, 7, (200, 12))
    X[rng.random(X.shape) < 0.5] = 0
    y, qid = rng.integers(0, 5, 200), np.repeat(np.arange(20), 10)
    path = tmp_path / "dumped.svm"
    dump_svmlight_file(X, y, str(path), query_id=qid, zero_based=False)
    oracle, grades, queries = load_svmlight_file(
        str(path), n_features=12, dtype=np.float64, query_id=True, zero_based=False
    )
    pairs = load_letor(path, features=12)
    np.testing.assert_array_equal(pairs.X, oracle.toarray().astype(np.float32))
    np.testing.assert_array_equal(pairs.y, grades)
    assert pairs.query_id.to_list() == [str(q) for q in dict.fromkeys(queries)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_matrix_survives_the_round_trip(tmp_path_factory, data):
    """Every float32, written so that it identifies itself, is read back bit for bit."""
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 6)))
    values = st.floats(width=32, allow_infinity=False, allow_nan=True)
    X = data.draw(npst.arrays(np.float32, shape, elements=values))
    grades = data.draw(st.lists(st.integers(0, 31), min_size=shape[0], max_size=shape[0]))
    base = data.draw(st.sampled_from([0, 1]))
    cuts = data.draw(st.lists(st.booleans(), min_size=shape[0], max_size=shape[0]))
    qid = np.cumsum(cuts)
    form = data.draw(st.sampled_from(["{:.9g}", "{:.17g}", "{:.60f}", "{:+.12E}"]))
    lines = [
        f"{grade} qid:{q} "
        + " ".join(
            f"{j + base}:{'NULL' if math.isnan(v) else form.format(float(v))}"
            for j, v in enumerate(row)
        )
        for grade, q, row in zip(grades, qid, X, strict=True)
    ]
    path = write(tmp_path_factory.mktemp("letor"), "\n".join(lines))
    pairs = load_letor(path, zero_based=base == 0)
    if form == "{:.60f}":  # loses the smallest numbers
        expected = np.array([[np.float32(form.format(float(v))) for v in row] for row in X])
    else:
        expected = X
    np.testing.assert_array_equal(pairs.X, expected.astype(np.float32))
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
    expected = [np.float32(float(text)) for text in texts]
    assert pairs.X[0].tolist() == [float(value) for value in expected]
    assert pairs.document_id.to_list() == ["7"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("x qid:1 1:1", 1, "grade is no number"),
        ("1 qid:1 1:1\n\n-1 qid:1 1:1", 3, "whole number"),
        ("0.5 qid:1 1:1", 1, "whole number"),
        ("nan qid:1 1:1", 1, "grade is absent"),
        ("NULL qid:1 1:1", 1, "grade is absent"),
        ("1e99 qid:1 1:1", 1, "whole number"),
        ("inf qid:1 1:1", 1, "grade is no number"),
        ("1 qid: 1:1", 1, "query id"),
        ("1 qid:1 1", 1, "index:value"),
        ("1 qid:1 1:1 word", 1, "index:value"),
        ("1 qid:1 a:1", 1, "feature index is no whole number"),
        ("1 qid:1 -1:1", 1, "feature index is no whole number"),
        ("1 qid:1 :1", 1, "feature index is no whole number"),
        ("1 1:1 qid:1", 1, "feature index is no whole number"),
        ("1 qid:1 1:1 1:2", 1, "ascend"),
        ("1 qid:1 2:1 1:2", 1, "ascend"),
        ("1 qid:1 1:", 1, "no number"),
        ("1 qid:1 1:1e", 1, "no number"),
        ("1 qid:1 1:1e+", 1, "no number"),
        ("1 qid:1 1:1.2.3", 1, "no number"),
        ("1 qid:1 1:--1", 1, "no number"),
        ("1 qid:1 1:.", 1, "no number"),
        ("1 qid:1 1:1_0", 1, "no number"),
        ("1 qid:1 1:inf", 1, "no number"),
        ("1 qid:1 1:1e39", 1, "too large"),
        ("1 qid:1 1:1e9999999", 1, "too large"),
        ("1 qid:1 1:3.4028236e38", 1, "too large"),
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
    ("options", "word"),
    [
        ({"features": 1}, "beyond the number of features"),
        ({"features": 0}, "features"),
        ({"query": []}, "query"),
        ({"query": ["a", "b"]}, "query"),
        ({"query": "exists"}, "qids of its own"),
    ],
)
def test_parameters_that_contradict_the_file_are_refused(tmp_path, options, word):
    with pytest.raises(InvalidInputError, match=word):
        load_letor(write(tmp_path, LETOR), **options)


def test_index_below_the_stated_base_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="start at 1"):
        load_letor(write(tmp_path, "1 qid:1 0:1\n"), zero_based=False)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_file_without_rows_is_refused(tmp_path, text):
    full = write(tmp_path, LETOR, "full")
    with pytest.raises(InvalidInputError, match="no rows"):
        load_letor([full, write(tmp_path, text)])


def test_rows_without_any_feature_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="features"):
        load_letor(write(tmp_path, "1 qid:1\n"))


@pytest.mark.parametrize("index", [1_000_001, 2**31, 10**30])
def test_absurd_feature_index_is_refused_before_memory_is_taken(tmp_path, index):
    with pytest.raises(InvalidInputError, match="features"):
        load_letor(write(tmp_path, f"1 qid:1 {index}:1\n"))


def test_same_qid_in_two_files_is_refused(tmp_path):
    first = write(tmp_path, "1 qid:7 1:1\n", "first")
    second = write(tmp_path, "1 qid:7 1:1\n", "second")
    with pytest.raises(InvalidInputError, match="'7' occurs in more than one"):
        load_letor([first, second])


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


def test_neither_qids_nor_group_file_says_where_one_was_expected(tmp_path):
    with pytest.raises(InvalidInputError, match=r"expected file\.txt\.query next to it"):
        load_letor(write(tmp_path, "1 1:1\n"))


def test_no_file_at_all_is_refused():
    with pytest.raises(InvalidInputError, match="path"):
        load_letor([])


def test_unreadable_files_raise_and_name_the_file(tmp_path):
    not_gzip = tmp_path / "plain.gz"
    not_gzip.write_text(LETOR)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(LETOR.encode())[:-12])
    for path in (tmp_path / "missing", tmp_path, not_gzip, cut):
        with pytest.raises(UnreadableSourceError, match=path.name):
            load_letor(path)


def test_gzip_is_recognised_without_its_suffix(tmp_path):
    path = tmp_path / "compressed"
    path.write_bytes(gzip.compress(LETOR.encode()))
    assert len(load_letor(path)) == 4


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_ranking_example_of_lightgbm_equals_scikit_learn():
    path = DATA / "lambdarank_example" / "rank.train.gz"
    pairs = load_letor(path)
    oracle, grades = load_svmlight_file(str(path), dtype=np.float32, zero_based=False)
    assert pairs.X.shape == (3005, 300)
    assert pairs.n_executions == 201
    np.testing.assert_array_equal(pairs.X, oracle.toarray())
    np.testing.assert_array_equal(pairs.y, grades)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_mq2007_has_its_published_size():
    pairs = load_letor([DATA / "mq2007agg" / f"A{part}.txt.gz" for part in range(1, 6)])
    assert pairs.X.shape == (69_623, 21)
    assert pairs.n_executions == 1_692
    assert set(np.unique(pairs.y)) == {0, 1, 2}
    assert np.nanmin(pairs.X) == 1
    assert pairs.document_id[1] == "GX000-24-12369390"
