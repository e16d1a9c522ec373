"""Affinity: as dense matrices over the rows before give it, and nothing from later rows."""

from __future__ import annotations

import datetime as dt
import logging
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets import load_pairs
from rankloom.errors import InvalidInputError
from rankloom.retrieval import affinity_features

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CURVE = (1.0, 0.5, 0.25)
DOCUMENTS, USERS = "abcd", "uvwx"
HALF_LIFE, STRENGTH, K = 5.0, 2.0, 2
OPTIONS = {
    "method": "cosine",
    "n_neighbours": K,
    "half_life": HALF_LIFE,
    "refit_every": "1d",
    "examination": CURVE,
    "prior_strength": STRENGTH,
}
NAMES = ["affinity_user_document", "affinity_user_document_highest", "affinity_user_history"]


def at(hour):
    return START + dt.timedelta(hours=hour)


def hour_of(row):
    return (row["occurred_at"] - START) / dt.timedelta(hours=1)


def row_of(execution, user, document, position, hour, kind):
    row = {
        "execution_id": execution,
        "feature_id": document,
        "position": position,
        "interaction_type": [kind],
        "occurred_at": at(hour),
    }
    return row | ({} if user is None else {"user_id": user})


@st.composite
def logs(draw):
    rows = [row_of("first", "u", "a", 0, -50, "impression")]
    for e in range(draw(st.integers(3, 9))):
        hour, user = draw(st.integers(0, 96)), draw(st.sampled_from([*USERS, None]))
        shown = draw(st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=3, unique=True))
        for position, document in enumerate(shown):
            rows.append(row_of(f"e{e}", user, document, position, hour, "impression"))
            if draw(st.booleans()):
                clicked = hour + draw(st.sampled_from([0, 1, 30]))
                rows.append(row_of(f"e{e}", user, document, position, clicked, "click"))
    return rows


def displays_of(rows):
    """(user, document, position) -> hours at which it was shown and clicked, by execution."""
    found = {}
    for row in rows:
        key = row["execution_id"], row.get("user_id"), row["feature_id"], row["position"]
        shown, clicked = found.get(key, (math.inf, math.inf))
        if row["interaction_type"] == ["click"]:
            clicked = min(clicked, hour_of(row))
        else:
            shown = min(shown, hour_of(row))
        found[key] = shown, clicked
    return found


def similarity_before(displays, fitted):
    """Cosine of documents' columns of the engagement matrix, the K highest of each row."""
    shape = len(USERS), len(DOCUMENTS)
    C, E = np.zeros(shape), np.zeros(shape)
    for (_, user, document, position), (shown, clicked) in displays.items():
        if user is None or shown >= fitted:
            continue
        cell = USERS.index(user), DOCUMENTS.index(document)
        weight = 2 ** (-(fitted - shown) / 24 / HALF_LIFE)
        C[cell] += weight * (clicked < fitted)
        E[cell] += weight * CURVE[position]
    overall = C.sum() / E.sum() if E.sum() else 0.0
    rate = (C.sum(axis=0) + STRENGTH * overall) / (E.sum(axis=0) + STRENGTH)
    X = np.where(C > 0, (C + STRENGTH * rate) / (E + STRENGTH), 0)
    norm = np.linalg.norm(X, axis=0)
    S = X.T @ X / np.maximum(np.outer(norm, norm), 1e-300)
    np.fill_diagonal(S, 0)
    return S


def expected(rows, execution):
    displays = displays_of(rows)
    (user,) = {key[1] for key in displays if key[0] == execution}
    now = min(hour_of(row) for row in rows if row["execution_id"] == execution)
    shown = {key[2] for key in displays if key[0] == execution}
    if user is None:
        return dict.fromkeys(shown, [math.nan] * 3)
    S = similarity_before(displays, now // 24 * 24)
    weight = dict.fromkeys(DOCUMENTS, 0.0)
    for (_, by, document, _), (_, clicked) in displays.items():
        if by == user and clicked < now:
            weight[document] += 2 ** (-(now - clicked) / 24 / HALF_LIFE)
    found = {}
    for document in shown:
        row = S[DOCUMENTS.index(document)]
        kept = sorted(range(len(row)), key=lambda i: (-np.float32(row[i]), i))[:K]
        near = {DOCUMENTS[i]: row[i] for i in kept if row[i] > 0}
        used = [near[i] for i in near if weight[i] > 0]
        added = sum(weight[i] * near[i] for i in near)
        found[document] = [added, max(used, default=0.0), sum(weight.values())]
    return found


def tied(rows):
    """Whether a document has equal neighbours at the cut, so that rounding decides which count."""
    displays = displays_of(rows)
    for day in range(-4, 6):
        for row in similarity_before(displays, 24 * day):
            ordered = np.sort(row)[::-1]
            if ordered[K] > 0 and ordered[K - 1] - ordered[K] < 1e-6:
                return True
    return False


@given(logs())
def test_features_are_what_dense_matrices_of_the_rows_before_give(rows):
    if tied(rows):
        return
    table = affinity_features(rows, **OPTIONS)
    assert table.columns == ["execution_id", "feature_id", *NAMES]
    for execution in table["execution_id"].unique():
        wanted = expected(rows, execution)
        own = table.filter(execution_id=execution)
        assert set(own["feature_id"]) == wanted.keys()
        for _, document, *found in own.rows():
            assert found == pytest.approx(wanted[document], rel=1e-4, abs=1e-5, nan_ok=True)


@given(logs(), st.data(), st.sampled_from(["cosine", "bm25"]))
def test_rows_at_or_after_an_execution_change_nothing_for_it(rows, data, method):
    execution = data.draw(st.sampled_from(sorted({row["execution_id"] for row in rows})))
    now = min(hour_of(row) for row in rows if row["execution_id"] == execution)
    changed = []
    for row in rows:
        if row["execution_id"] == execution:
            changed.append({**row, "interaction_type": ["impression"]})
        elif hour_of(row) < now:
            changed.append(row)
        elif data.draw(st.booleans()):
            later = at(now + data.draw(st.integers(0, 60)))
            other = {"interaction_type": ["click"], "feature_id": "A new one", "user_id": "A"}
            changed.append({**row, **other, "occurred_at": later})
    options = {**OPTIONS, "method": method}
    a, b = (
        affinity_features(each, **options).filter(execution_id=execution).sort("feature_id")
        for each in (rows, changed)
    )
    assert a.equals(b)


@given(logs(), st.integers(0, 150), st.sampled_from([*USERS, "new", None]))
def test_features_as_of_a_moment_are_what_a_new_execution_gets(rows, hour, user):
    candidates = [*DOCUMENTS, "never"]
    new = [row_of("new", user, document, 0, hour, "impression") for document in candidates]
    wanted = affinity_features([*rows, *new], **OPTIONS).filter(execution_id="new")
    served = affinity_features(rows, as_of=at(hour), **OPTIONS)
    found = served.features(candidates, user_id=user)
    assert found.equals(wanted.sort("feature_id").drop("execution_id"))


def test_the_table_joins_the_pairs():
    clicked = {"e": "ab", "f": "a", "g": ""}
    rows = [
        row_of(e, user, document, i, hour, kind)
        for e, user, hour in (("e", "u", 0), ("f", "v", 1), ("g", "v", 50))
        for i, document in enumerate("abc")
        for kind in ("impression", "click")
        if kind == "impression" or document in clicked[e]
    ]
    pairs = load_pairs(rows, features=affinity_features(rows, **OPTIONS), builtin_features=())
    assert list(pairs.feature_names) == NAMES
    values = dict(zip(pairs.document_id.tail(3), pairs.X[-3:, 0], strict=True))
    assert values["b"] > 0
    assert values["a"] == values["c"] == 0


def test_only_later_rows_may_move_an_estimated_curve(caplog):
    rows = [row_of("e", "u", "a", 0, 0, "click"), row_of("e", "u", "b", 1, 0, "impression")]
    with caplog.at_level(logging.WARNING, "rankloom"):
        affinity_features(rows)
    assert "affinity_features: examination 1 / (position + 1) is assumed" in caplog.text


def test_wrong_input_is_refused():
    rows = [row_of("e", None, "a", 0, 0, "click"), row_of("e", None, "b", 1, 0, "impression")]
    with pytest.raises(InvalidInputError, match="log user_id"):
        affinity_features(rows)
    wrong = {
        "method": "ease",
        "n_neighbours": 0,
        "half_life": 0,
        "prior_strength": -1,
        "refit_every": None,
        "as_of": "today",
    }
    for name, value in wrong.items():
        with pytest.raises(InvalidInputError, match=name):
            affinity_features(rows, **{name: value})
    with pytest.raises(InvalidInputError, match="refit_every"):
        affinity_features(rows, refit_every="weekly")
    timeless = pl.DataFrame(rows).drop("occurred_at").to_dicts()
    with pytest.raises(InvalidInputError, match="no time"):
        affinity_features([{**row, "user_id": "u"} for row in timeless])
