from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom.datasets.click_models import DBN
from rankloom.errors import InvalidInputError
from rankloom.ltr import QueryMemory
from rankloom.ltr.memory import examination
from rankloom.ltr.memory.examination import ExaminationTable, log_examination, states_of


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=5))
def test_a_state_is_position_last_click_above_and_whether_a_click_follows(make_pairs, lists):
    sizes = [len(each) for each in lists]
    pairs = make_pairs(len(lists), per_execution=1)
    pairs = replace(
        pairs,
        group=np.array(sizes, dtype=np.int32),
        position=np.concatenate([np.arange(n, dtype=np.int32) for n in sizes]),
        clicked=np.concatenate([np.array(each) for each in lists]),
    )
    pairs.__dict__.pop("offsets", None)
    expected = []
    for clicks in lists:
        for k in range(len(clicks)):
            above = max((j for j in range(k) if clicks[j]), default=-1)
            expected.append(2 * (k * (k + 1) // 2 + above + 1) + any(clicks[k:]))
    pairs.y = np.zeros(sum(sizes), dtype=np.float32)
    assert states_of(pairs).tolist() == expected


def test_under_a_dbn_what_is_above_a_click_was_examined(make_pairs):
    log = make_pairs(3000, queries=30, shuffled=True)
    log = replace(log, clicked=cascade_clicks(log))
    table = log_examination(log, None, "dbn").table
    assert (table.click_model, table.source) == ("dbn", "estimated")
    found = table.of(log)
    clicked_later = states_of(log) % 2 == 1
    assert found[clicked_later].min() > 0.98
    assert found[~clicked_later & (log.position > 5)].mean() < 0.7
    exact = DBN(max_iterations=25, prior_strength=4.0).fit(log).row_examinations()
    assert np.abs(found - exact).mean() < 0.03
    memory = QueryMemory(click_model="dbn", clip=1e-9).fit(log)
    np.testing.assert_allclose(memory.evidence.state.units.examination, exact, rtol=1e-6)
    again = ExaminationTable.from_dict(table.to_dict())
    np.testing.assert_array_equal(again.of(log), found)


def cascade_clicks(log):
    """Down the list until a click satisfies or patience ends; clicks of half the documents."""
    generator = np.random.default_rng(0)
    liked = generator.random(len(log.documents)) < 0.5
    clicked = np.zeros(len(log), dtype=bool)
    for start, end in zip(log.offsets, log.offsets[1:], strict=False):
        for row in range(start, end):
            clicked[row] = generator.random() < (0.7 if liked[log.document_code[row]] else 0.1)
            if generator.random() < (0.7 if clicked[row] else 0.1):
                break
    return clicked


def test_the_rankers_choice_of_a_click_model_is_taken(make_pairs):
    log = make_pairs(800, queries=10, shuffled=True)

    class Chosen:
        def __init__(self, name):
            self.choice_ = type("Choice", (), {"click_model": name})

        def predict(self, pairs):
            return np.zeros(len(pairs))

    for name in ("dbn", "ubm", "pbm"):
        assert QueryMemory().fit(log, prior=Chosen(name)).examination_.click_model == name
    assert QueryMemory().fit(log, prior=Chosen(None)).examination_.click_model == "pbm"
    assert QueryMemory(click_model="ubm").fit(log).examination_.click_model == "ubm"
    given = QueryMemory(examination=[1, 0.5]).fit(log, prior=Chosen("dbn"))
    assert given.examination_.click_model == "pbm"


def test_the_pairs_own_examination_is_used_unless_a_curve_is_given(make_pairs):
    log = make_pairs(300, queries=5, shuffled=True)
    log.examination = np.full(len(log), 0.5, dtype=np.float32)
    own = QueryMemory().fit(log)
    assert own.examination_.source == "pairs"
    assert set(own.evidence.state.units.examination.tolist()) == {0.5}
    given = QueryMemory(examination=[1.0, 0.25]).fit(log)
    assert set(given.evidence.state.units.examination.tolist()) == {1.0, 0.25}
    assert given.update(log) == 0
    assert set(given.evidence.state.units.examination.tolist()) == {1.0, 0.25}


def test_a_log_of_one_order_is_noted(make_pairs):
    log = make_pairs(200, queries=200, documents=10)
    log.query_code = np.arange(200, dtype=np.int32)
    log.X, log.feature_names = log.X[:, :0], ()  # by features the curve would be estimated
    memory = QueryMemory().fit(log)
    assert memory.examination_.source == "assumed"
    assert "identifies no examination curve" in memory.summary()


def test_a_long_log_gives_its_curve_by_a_part(make_pairs, monkeypatch):
    log = make_pairs(4000, queries=10, shuffled=True)
    whole = log_examination(log, None, "pbm").table
    monkeypatch.setattr(examination, "MAX_EXECUTIONS", 1000)
    part = log_examination(log, None, "pbm").table
    assert not np.array_equal(part.curve, whole.curve)
    np.testing.assert_allclose(part.curve, whole.curve, rtol=0.35)


def test_wrong_click_models_are_refused():
    with pytest.raises(InvalidInputError, match="Did you mean 'dbn'"):
        QueryMemory(click_model="dbnn")
