"""Judgements beside a log: ids meet, every row is accounted for, splits and files keep them."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import TrainingPairs, load_pairs, split_by_query, split_by_time
from rankloom.errors import InvalidInputError


def make_log(queries=6):
    return pl.DataFrame(
        [
            {
                "execution_id": f"e{q}",
                "feature_id": f"{q}-{d}",
                "position": d,
                "interaction_type": ["impression", "click"] if d == q % 3 else ["impression"],
                "query_snapshot": f'{{"query": "Query {q}"}}',
                "timestamp": f"2025-01-0{1 + q}T00:00:00Z",
            }
            for q in range(queries)
            for d in range(3)
        ]
    )


FEATURES = pl.DataFrame(
    {"feature_id": [f"{q}-{d}" for q in range(7) for d in range(4)], "f": np.arange(28.0)}
)


def judged(*rows):
    return pl.DataFrame(rows, schema=["query", "feature_id", "grade", "source"], orient="row")


TABLE = judged(
    ("query 0", "0-0", 2.0, "person"),
    ("QUERY 0", "0-0", 2.0, "person"),  # the same query and grade again
    ("query 0", "0-1", 1.0, "person"),
    ("query 0", "0-1", 2.0, "person"),  # another grade
    ("query 1", "1-3", 3.0, "person"),  # never shown, with features
    ("query 1", "1-2", None, "person"),  # no grade
    ('{"query": "query 2"}', "2-0", 1.0, "model"),
    ("query 6", "6-0", 1.0, "model"),  # a query that is not logged
    ("query 2", "nowhere", 1.0, "model"),  # a document without features
    ("query 3", "3-1", 0.0, None),
)


def load(table=TABLE, **options):
    return load_pairs(
        make_log(), features=FEATURES, builtin_features=(), judgments=table, **options
    )


def contents(pairs):
    """Return judgements as sets of texts and numbers."""
    judgments = pairs.judgments
    return {
        (
            pairs.queries[int(query)],
            pairs.documents[int(document)],
            judgments.sources[source],
            grade,
            None if np.isnan(x) else x,
        )
        for query, document, source, grade, x in zip(
            judgments.query_code,
            judgments.document_code,
            judgments.source,
            judgments.grade,
            judgments.X[:, 0],
            strict=True,
        )
    }


EXPECTED = {
    ('{"query":"query 0"}', "0-0", "person", 2.0, 0.0),
    ('{"query":"query 0"}', "0-1", "person", 1.5, 1.0),
    ('{"query":"query 1"}', "1-3", "person", 3.0, 7.0),
    ('{"query":"query 2"}', "2-0", "model", 1.0, 8.0),
    ('"query 6"', "6-0", "model", 1.0, 24.0),
    ('{"query":"query 2"}', "nowhere", "model", 1.0, None),
    ('{"query":"query 3"}', "3-1", "judgments", 0.0, 13.0),
}


def test_queries_meet_as_logged_and_the_mean_of_grades_is_taken():
    assert contents(load()) == EXPECTED


def test_every_row_is_accounted_for_by_source():
    report = load().report
    person, model, other = (report.judgments[name] for name in ("person", "model", "judgments"))
    assert person == {
        "rows": 6,
        "without_grade": 1,
        "duplicates": 1,
        "conflicts": 1,
        "judgments": 3,
        "shown": 2,
        "query_not_logged": 0,
        "document_not_logged": 1,
        "without_features": 0,
    }
    assert (model["query_not_logged"], model["document_not_logged"]) == (1, 2)
    assert (model["without_features"], other["rows"]) == (1, 1)
    notes = " ".join(note for note in report.notes if note.startswith("judgments"))
    for part in ("1 of 7 judgements (14.3%) are of queries", "3 of 7", "1 of 6 rows", "'\"query 6"):
        assert part in notes


def test_pairs_themselves_are_those_without_judgments():
    plain, with_judgments = load(None), load()
    for name in ("X", "y", "clicked", "group", "position", "weight", "query_code", "document_code"):
        assert np.array_equal(getattr(plain, name), getattr(with_judgments, name))
    assert plain.query_id.equals(with_judgments.query_id)
    assert plain.judgments is None


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_files_say_the_same_and_ids_stay_text(tmp_path, suffix):
    path = tmp_path / f"judgments.{suffix}"
    rows = TABLE.with_columns(feature_id=pl.col("feature_id").replace("3-1", "007"))
    write = {"csv": rows.write_csv, "jsonl": rows.write_ndjson, "parquet": rows.write_parquet}
    write[suffix](path)
    assert {row[1] for row in contents(load(path))} == {row[1] for row in EXPECTED} - {"3-1"} | {
        "007"
    }


def test_a_query_key_applies_to_the_table():
    log = make_log().with_columns(pl.col("execution_id").alias("search"))
    ids = TABLE.with_columns(search=pl.lit("e1")).drop("query")
    pairs = load_pairs(log, builtin_features=("document_score",), judgments=ids, query_key="search")
    assert set(pairs.queries.gather(pairs.judgments.query_code)) == {"e1"}
    lengths = load(query_key=lambda parsed: str(len(parsed)))
    assert set(lengths.queries.gather(lengths.judgments.query_code)) == {"1", "7"}


def test_splits_by_time_keep_all_and_splits_by_query_keep_their_own():
    pairs = load()
    for part in split_by_time(pairs, test_fraction=0.5):
        assert contents(part) == EXPECTED
    parts = split_by_query(pairs, test_fraction=0.5, salt="1")
    sides = [contents(part) for part in parts]
    assert sides[0] | sides[1] == EXPECTED
    assert all(sides)
    assert not {row[0] for row in sides[0]} & {row[0] for row in sides[1]}
    for part, side, other in zip(parts, sides, parts[::-1], strict=True):
        assert not {row[0] for row in side} & set(other.query_id)
        assert part.judgments is not None


def test_pickle_and_parquet_keep_them(tmp_path):
    pairs = load()
    pairs.to_parquet(tmp_path / "pairs.parquet")
    unpickled = pickle.loads(pickle.dumps(pairs))  # noqa: S301 - made here
    for copy in (unpickled, TrainingPairs.from_parquet(tmp_path / "pairs.parquet")):
        assert contents(copy) == EXPECTED
        assert copy.query_id.equals(pairs.query_id)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop("grade"), "no column grade"),
        (TABLE.rename({"query": "q"}), "no column query"),
        (TABLE.with_columns(grade=pl.lit(np.inf)), "infinite"),
        (TABLE.with_columns(grade=pl.lit("good")), "expected numbers"),
        (TABLE.with_columns(grade=None), "has a grade"),
        (
            TABLE.with_columns(feature_id=pl.col("feature_id").replace("0-0", None)),
            "2 rows have no feature_id",
        ),
        (TABLE.with_columns(query=pl.lit("other")), "none of the 1 queries occurs in the log"),
    ],
)
def test_wrong_tables_are_refused(table, message):
    with pytest.raises(InvalidInputError, match=f"judgments.*{message}"):
        load(table)
