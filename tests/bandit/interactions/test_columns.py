"""Dictionary-encoded columns give the same evidence as the rows that they encode."""

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.bandit.evidence.evidence import Evidence
from rankloom.bandit.interactions.columns import EventColumns
from rankloom.bandit.units.record import LIVE
from rankloom.errors import InvalidInputError

ARMS = ["text", "image"]
TYPE_SETS = [["impression"], ["impression", "click"], ["purchase"], ["zero_results"]]


def make_columns(n=500, seed=0, **changes):
    rng = np.random.default_rng(seed)
    scores = rng.random((n, 2))
    scores[rng.random((n, 2)) < 0.3] = np.nan
    given = {
        "execution": rng.integers(-1, 40, n),
        "executions": [f"e{i}" for i in range(40)],
        "document": rng.integers(0, 9, n),
        "documents": [f"d{i}" for i in range(9)],
        "types": rng.integers(0, 4, n),
        "type_sets": TYPE_SETS,
        "time": 1_700_000_000_000_000 + rng.integers(0, 10**13, n),
        "position": rng.integers(0, 12, n),
        "feature_uri": rng.integers(-1, 3, n),
        "feature_uris": [*ARMS, "gone"],
        "user": rng.integers(-1, 5, n),
        "users": [f"u{i}" for i in range(5)],
        "session": rng.integers(-1, 5, n),
        "sessions": [f"s{i}" for i in range(5)],
        "segment": rng.integers(-1, 2, n),
        "segments": [("de",), ("fr",)],
        "scores": scores,
        "score_uris": ARMS,
        "weights": rng.random((n, 2)),
    }
    return EventColumns(**{**given, **changes})


def as_rows(columns):
    """The rows that the columns encode, as a log would hold them."""

    def text_of(names, code):
        return None if code < 0 else names[code]

    rows = []
    for i in range(len(columns)):
        row = {
            "execution_id": text_of(columns.executions, columns.execution[i]),
            "feature_id": columns.documents[columns.document[i]],
            "interaction_type": TYPE_SETS[columns.types[i]],
            "timestamp": pl.Series([columns.time[i]]).cast(pl.Datetime("us")).item().isoformat(),
            "position": int(columns.position[i]),
            "feature_uri": text_of(columns.feature_uris, columns.feature_uri[i]),
            "user_id": text_of(columns.users, columns.user[i]),
            "session_id": text_of(columns.sessions, columns.session[i]),
        }
        metadata = {}
        if columns.segment[i] >= 0:
            metadata["country"] = columns.segments[columns.segment[i]][0]
        if columns.scores is not None:
            scores = zip(ARMS, columns.scores[i].tolist(), strict=True)
            metadata["features"] = {u: {"score": x} for u, x in scores if not math.isnan(x)}
            weights = zip(ARMS, columns.weights[i].tolist(), strict=True)
            metadata["fusion"] = {"weights": dict(weights)}
        rows.append({**row, "metadata": metadata})
    return rows


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_columns_dicts_and_live_events_give_the_same_bytes(seed):
    columns = make_columns(200, seed)
    states = [Evidence(ARMS, segment_by=["country"], source="s") for _ in range(4)]
    reports = [states[0].update(columns), states[1].update(columns.interned())]
    rows = as_rows(columns)
    reports.append(states[2].update(rows))
    for row in rows:
        states[3].observe({**row, "occurred_at": row["timestamp"]})
    assert reports[0] == reports[1] == reports[2]
    data = states[0].to_bytes()
    assert [state.to_bytes() == data for state in states] == [True] * 4


def test_an_update_reports_how_every_row_was_used():
    columns = make_columns()
    evidence = Evidence(ARMS, segment_by=["country"])
    report = evidence.update(columns)
    listed = columns.types == 3
    without = ~listed & (columns.execution < 0)
    used = ~listed & ~without
    assert report.list_level == listed.sum()
    assert report.without_execution == without.sum()
    assert report.rows_used == used.sum()
    assert report.without_feature_uri == (used & (columns.feature_uri < 0)).sum()
    assert report.unknown_feature_uri == (used & (columns.feature_uri == 2)).sum()
    keys = {*zip(columns.execution[used].tolist(), columns.document[used].tolist(), strict=True)}
    assert report.units_opened == len(keys)
    again = evidence.update(columns)
    assert (again.units_opened, again.rows_changing) == (0, 0)


def test_a_column_that_is_not_given_is_missing_in_every_row():
    none = dict.fromkeys(["user", "session", "segment", "feature_uri", "scores", "weights"])
    missing = np.full(500, -1)
    filled = {"user": missing, "session": missing, "segment": missing, "feature_uri": missing}
    states = [Evidence(ARMS, segment_by=["country"], source="s") for _ in range(2)]
    reports = [
        states[0].update(make_columns(**none)),
        states[1].update(make_columns(scores=None, weights=None, **filled)),
    ]
    assert reports[0] == reports[1]
    assert reports[0].without_feature_uri == reports[0].rows_used
    assert states[0].to_bytes() == states[1].to_bytes()


def test_one_large_batch_gives_the_same_as_many_small_ones():
    """The compiled fold works in blocks; some open units only, some none, most both."""
    columns = make_columns(
        6_000,
        execution=np.sort(np.random.default_rng(3).integers(-1, 3_000, 6_000)),
        executions=[f"e{i}" for i in range(3_000)],
    )
    names = ["execution", "document", "types", "time", "position", "feature_uri"]
    names += ["user", "session", "segment", "scores", "weights"]
    whole, parts = (Evidence(ARMS, segment_by=["country"], source="s") for _ in range(2))
    report = whole.update(columns)
    reports = [
        parts.update(replace(columns, **{n: getattr(columns, n)[i : i + 70] for n in names}))
        for i in range(0, 6_000, 70)
    ]
    counts = ("rows", "units_opened", "without_execution", "list_level", "unknown_feature_uri")
    for count in counts:
        assert getattr(report, count) == sum(getattr(each, count) for each in reports)
    assert report.units_without_exposure == reports[-1].units_without_exposure > 0
    assert whole.to_bytes() == parts.to_bytes()
    again = whole.update(columns)
    assert (again.units_opened, again.rows_changing) == (0, 0)


def test_unknown_times_are_counted():
    moments = np.array(["2026-01-01", "NaT", "2026-01-03"], "datetime64[us]")
    columns = make_columns(3, time=moments, types=np.zeros(3, int), execution=np.arange(3))
    report = Evidence(ARMS, segment_by=["country"]).update(columns)
    assert (report.without_time, report.rows_used) == (1, 2)


@pytest.mark.parametrize("huge", [np.inf, 1e308, 1.1e6])
def test_huge_scores_are_missing_and_counted(huge):
    """Their squares would overflow the sums for ever."""
    scores = np.array([[huge, 0.5], [0.25, -huge]])
    columns = make_columns(
        2,
        scores=scores,
        weights=None,
        execution=np.array([0, 0]),
        document=np.array([0, 1]),
        types=np.zeros(2, int),
    )
    evidence = Evidence(ARMS, segment_by=["country"])
    report = evidence.update(columns)
    assert report.bad_scores == 2
    assert np.isfinite(evidence.sums().A).all()
    assert evidence.sums().A[0, 0, 0] > 0


def test_one_table_of_scores_can_serve_many_rows():
    dense = make_columns(100, seed=4)
    rows = np.arange(100, dtype=np.int32)[::-1].copy()
    sparse = make_columns(
        100, seed=4, scores=dense.scores[::-1], weights=dense.weights[::-1], scored=rows
    )
    states = [Evidence(ARMS, segment_by=["country"], source="s") for _ in range(2)]
    states[0].update(dense)
    states[1].update(sparse)
    assert states[0].to_bytes() == states[1].to_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"document": np.full(500, 9)}, "document: expected codes from 0 to 8, got 9 to 9"),
        ({"document": np.full(500, -1)}, "document: expected codes from 0"),
        ({"execution": np.full(500, 40)}, "execution: expected codes from -1 to 39"),
        ({"position": np.full(500, -1)}, "position: expected positions from 0"),
        ({"position": np.zeros(499, int)}, "position: expected 500 whole numbers"),
        ({"time": np.zeros(500)}, "time: expected 500 whole microseconds or datetime64"),
        ({"time": np.full(500, 2**60)}, "time: expected microseconds since 1970"),
        ({"scores": np.zeros((500, 3))}, r"scores: expected shape \(500, 2\)"),
        ({"scores": None}, "give scores too"),
        ({"user": np.full(500, 0.5)}, "user: expected 500 whole numbers"),
    ],
)
def test_bad_columns_are_refused_by_name(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        make_columns(**changes)


def test_an_unknown_type_is_refused():
    with pytest.raises(InvalidInputError, match="unknown type 'clik'"):
        Evidence(ARMS).update(make_columns(type_sets=[["clik"], *TYPE_SETS[1:]]))


def test_impressions_together_with_columns_are_refused():
    with pytest.raises(InvalidInputError, match="impressions: columns hold"):
        Evidence(ARMS).update(make_columns(), impressions=[])


def test_files_and_tables_are_read_as_dicts_are(tmp_path):
    rows = [row for row in as_rows(make_columns(80)) if row["execution_id"]]
    path = tmp_path / "log.jsonl"
    pl.DataFrame(rows, infer_schema_length=None).write_ndjson(path)
    states = [Evidence(ARMS, segment_by=["country"], source="s") for _ in range(2)]
    assert states[0].update(path) == states[1].update(rows)
    assert states[0].to_bytes() == states[1].to_bytes()


def test_live_rows_are_live_and_change_nothing_else():
    """A unit is live if any of its rows is; the sums are those of the same rows not live."""
    columns = make_columns()
    live = np.random.default_rng(1).random(len(columns)) < 0.3
    ours, theirs = Evidence(ARMS, segment_by=["x"]), Evidence(ARMS, segment_by=["x"])
    ours.update(replace(columns, live=live))
    theirs.update(columns)
    for name in "NSFQ":
        left, right = (getattr(each.sums(), name) for each in (ours, theirs))
        np.testing.assert_array_equal(left, right)
    taken = (columns.execution >= 0) & (columns.types != TYPE_SETS.index(["zero_results"]))
    pairs = columns.execution.astype(np.int64) * 9 + columns.document
    expected = len(set(pairs[live & taken].tolist()))
    assert (ours.state.units.records["flags"] & LIVE != 0).sum() == expected > 0
    assert (theirs.state.units.records["flags"] & LIVE != 0).sum() == 0


@pytest.mark.parametrize("live", [np.ones(3, bool), np.ones(500, int), [[True]]])
def test_live_that_is_no_column_of_bools_is_refused(live):
    with pytest.raises(InvalidInputError, match="live"):
        make_columns(live=live)


@pytest.mark.parametrize("scored", [False, True])
def test_rows_taken_from_columns_are_those_rows(scored):
    """Scores go with their rows, whether they are by row or by number."""
    columns = make_columns(scored=np.arange(500)[::-1].copy() if scored else None)
    chosen = np.random.default_rng(2).permutation(500)[:200]
    states = [Evidence(ARMS, segment_by=["country"], source="s") for _ in range(2)]
    scores, weights = columns.scores, columns.weights
    rows = as_rows(
        replace(columns, scores=scores[::-1], weights=weights[::-1]) if scored else columns
    )
    states[0].update(columns.take(chosen))
    states[1].update([rows[i] for i in chosen])
    assert states[0].to_bytes() == states[1].to_bytes()
