"""`engagement_matrix`: its formula by a plain loop, what it leaves out, and who can open it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors

from rankloom.datasets import (
    DEFAULT_GRADES,
    PositionBias,
    load_pairs,
    simulate_interactions,
    split_by_time,
)
from rankloom.errors import InvalidInputError, NoExposuresError
from rankloom.retrieval import engagement_matrix

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CURVE = (1.0, 0.5, 0.25)
NEGATIVE = ("skip", "negative_feedback", "return_to_results")
HALF_LIFE = 3.0
KINDS = ("click", "purchase", "share", *NEGATIVE)


def row_of(execution, user, document, position, day, kind):
    row = {
        "execution_id": execution,
        "feature_id": document,
        "position": position,
        "interaction_type": [kind],
        "occurred_at": START + dt.timedelta(days=day),
    }
    return row | ({} if user is None else {"user_id": user})


@st.composite
def logs(draw):
    """Executions of one moment each; the first has a user and an unclicked document."""
    rows = [row_of("first", "u", "a", 0, 0, "impression")]
    for e in range(draw(st.integers(1, 7))):
        user, day = draw(st.sampled_from(["u", "v", "w", None])), draw(st.integers(0, 6))
        shown = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
        for position, document in enumerate(shown):
            kinds = draw(st.lists(st.sampled_from(KINDS), max_size=2, unique=True))
            rows += [
                row_of(f"e{e}", user, document, position, day, kind)
                for kind in ("impression", *kinds)
            ]
    return rows


def expected(rows, strength):
    """Confidence and negatives by (user, document)."""
    displays, day_of, user_of = defaultdict(set), {}, {}
    for row in rows:
        execution = row["execution_id"]
        day_of[execution] = (row["occurred_at"] - START).days
        user_of[execution] = row.get("user_id")
        displays[execution, row["feature_id"], row["position"]] |= {*row["interaction_type"]}
    decay = {e: 2 ** (-(max(day_of.values()) - day) / HALF_LIFE) for e, day in day_of.items()}
    mean = sum(decay.values()) / len(decay)
    gains, examined, against = defaultdict(float), defaultdict(float), defaultdict(float)
    for (execution, document, position), kinds in displays.items():
        user, weight = user_of[execution], decay[execution] / mean
        if user is None:
            continue
        grade = max(DEFAULT_GRADES.get(kind, 0) for kind in kinds)
        if grade == 1 and "return_to_results" in kinds:
            grade = 0
        negative = not kinds.isdisjoint(NEGATIVE)
        for key in ((user, document), document, None):
            gains[key] += weight * grade
            examined[key] += weight * CURVE[position]
        against[user, document] += weight if negative else weight * CURVE[position] * (grade == 0)
    overall = gains[None] / examined[None]
    values = {}
    for key in against:
        user, document = key
        rate = (gains[document] + strength * overall) / (examined[document] + strength)
        if gains[key]:
            values[key] = (gains[key] + strength * rate) / (examined[key] + strength)
    return values, {key: value for key, value in against.items() if value}


@given(logs(), st.sampled_from([0.5, 1.0, 4.0]))
def test_values_are_what_a_loop_over_the_displays_gives(rows, strength):
    matrix = engagement_matrix(
        rows, examination=CURVE, prior_strength=strength, half_life=HALF_LIFE
    )
    values, against = expected(rows, strength)
    found = {row[:2]: row[2:] for row in matrix.to_frame().rows()}
    assert found.keys() == values.keys() | against.keys()
    for key, (engaged, negative) in found.items():
        assert engaged == pytest.approx(values.get(key, 0), rel=1e-5)
        assert negative == pytest.approx(against.get(key, 0), rel=1e-5)
    users = {row["user_id"] for row in rows if "user_id" in row}
    assert matrix.user_ids.to_list() == sorted(users)


@given(logs(), st.randoms())
def test_the_order_of_rows_changes_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    a, b = (engagement_matrix(each, examination=CURVE).to_frame() for each in (rows, shuffled))
    assert a.equals(b)


def test_what_names_no_user_is_left_out_and_counted():
    rows = [
        row_of("e", "u", "a", 0, 0, "click"),
        row_of("e", "u", "b", 1, 0, "impression"),
        row_of("f", None, "c", 0, 0, "click"),
        row_of("f", None, "a", 1, 0, "impression"),
        row_of("g", "v", "b", 0, 0, "impression"),
        {**row_of("h", "v", "b", 0, 0, "impression"), "position": -4},
    ]
    matrix = engagement_matrix(rows, examination=CURVE)
    report = matrix.report
    assert (report.executions, report.executions_without_user) == (2, 1)
    assert (report.displays, report.displays_without_user) == (3, 2)
    assert (report.users_without_engagement, report.documents_without_engagement) == (1, 1)
    assert report.load.quarantined == 1
    assert matrix.document_ids.to_list() == ["a", "b"]
    assert matrix.user_ids.to_list() == ["u", "v"]


@pytest.fixture(scope="module")
def simulated():
    return simulate_interactions(n_executions=800, n_users=60, random_state=1)


def test_a_click_far_down_counts_more_than_one_at_the_top(simulated):
    pairs = load_pairs(simulated, builtin_features=(), context=["user_id"])
    curve = 1 / np.arange(1, 11)
    matrix = engagement_matrix(pairs, examination=curve)
    flat = engagement_matrix(pairs, examination=np.ones(10))
    position = dict(zip(pairs.document_id, pairs.position, strict=True))
    low = [position[each] >= 5 for each in matrix.document_ids]
    ratio = matrix.engagement.data / flat.engagement.data
    is_low = np.array(low)[matrix.engagement.indices]
    assert ratio[is_low].mean() > ratio[~is_low].mean()


def test_matrices_are_float32_csr_that_other_libraries_open(simulated):
    matrix = engagement_matrix(simulated, examination=PositionBias(n_bootstrap=0))
    for each in (matrix.engagement, matrix.negatives):
        assert isinstance(each, sparse.csr_matrix)
        assert each.dtype == np.float32
        assert each.indices.dtype == np.int32
        assert each.shape == matrix.shape
        assert each.has_canonical_format
        assert (each.data > 0).all()
    assert TruncatedSVD(3, random_state=0).fit(matrix.engagement).components_.shape[0] == 3
    nearest = NearestNeighbors(n_neighbors=3, metric="cosine").fit(matrix.engagement)
    assert nearest.kneighbors(matrix.engagement[:5])[1].shape == (5, 3)


def test_pairs_may_be_split_by_time_first(simulated):
    pairs = load_pairs(simulated, builtin_features=(), context=["user_id"])
    earlier, later = split_by_time(pairs)
    first, second = (engagement_matrix(part, examination=CURVE) for part in (earlier, later))
    total = first.report.executions + second.report.executions
    assert total == engagement_matrix(pairs, examination=CURVE).report.executions


def test_wrong_input_is_refused_with_a_way_out():
    rows = [row_of("e", None, "a", 0, 0, "click"), row_of("e", None, "b", 1, 0, "impression")]
    with pytest.raises(InvalidInputError, match="log user_id"):
        engagement_matrix(rows)
    with pytest.raises(InvalidInputError, match="context="):
        engagement_matrix(load_pairs(rows))
    named = [{**row, "user_id": "u"} for row in rows]
    with pytest.raises(InvalidInputError, match="prior_strength"):
        engagement_matrix(named, prior_strength=0)
    with pytest.raises(InvalidInputError, match="examination"):
        engagement_matrix(named, examination="flat")
    with pytest.raises(NoExposuresError):
        engagement_matrix(named[:1])
