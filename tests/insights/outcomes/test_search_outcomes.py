"""What came of each search, against a plain loop; clusters; tables as JSON."""

import json
import math

import numpy as np
import pytest

from rankloom.datasets import simulate_interactions
from rankloom.insights import read_searches
from rankloom.insights.outcomes.clusters_of_searches import clusters_of
from rankloom.insights.outcomes.search_outcomes import SearchOutcomes

CURVE = 1.0 / np.arange(1, 11)


@pytest.fixture(scope="module")
def searches():
    log = simulate_interactions(n_executions=300, random_state=1)
    return read_searches(log, examination=CURVE)


def test_outcomes_are_those_of_a_plain_loop(searches):
    values = SearchOutcomes(searches).values
    displays = searches.displays
    grades = {}
    for row in range(len(displays)):
        own = grades.setdefault(int(displays.search[row]), [])
        own.append((int(displays.position[row]), int(displays.grade[row])))
    for search in range(len(searches)):
        shown = grades.get(search, [])
        engaged = [(position, grade) for position, grade in shown if grade >= 1]
        weights = [1 / max(1 / (position + 1), 0.05) for position, _ in engaged]
        dcg = sum(
            weight * (2**grade - 1) / math.log2(position + 2)
            for weight, (position, grade) in zip(weights, engaged, strict=True)
        )
        assert values["engagements"][search] == len(engaged)
        assert values["engaged_searches"][search] == bool(engaged)
        assert values["corrected_engagements"][search] == pytest.approx(sum(weights))
        assert values["corrected_dcg"][search] == pytest.approx(dcg)
        if shown:
            assert values["abandonment"][search] == (not engaged)
        else:
            assert np.isnan(values["abandonment"][search])
            assert values["zero_results"][search]


def test_grades_add_up_to_the_engagements(searches):
    outcomes = SearchOutcomes(searches)
    raw, corrected = zip(*outcomes.by_grade().values(), strict=True)
    assert np.array_equal(np.sum(raw, axis=0), outcomes.values["engagements"])
    assert np.allclose(np.sum(corrected, axis=0), outcomes.values["corrected_engagements"])


def test_without_examination_nothing_is_corrected():
    rows = [
        {
            "execution_id": f"e{e}",
            "feature_id": f"d{position}",
            "position": position,
            "interaction_type": ["impression", "click"] if e % 3 == position else ["impression"],
            "query_snapshot": json.dumps({"query": f"q{e % 2}"}),
        }
        for e in range(6)
        for position in range(3)
    ]
    searches = read_searches(rows)
    assert searches.examination_unknown is not None
    outcomes = SearchOutcomes(searches)
    assert set(outcomes.values) == {"engaged_searches", "engagements", "abandonment"}
    assert outcomes.by_grade()[1][1] is None


def test_searches_are_clustered_by_user_else_session_else_one_by_one():
    def row(execution, **ids):
        base = {"feature_id": "d", "position": 0, "interaction_type": ["impression"]}
        return {**base, "execution_id": execution, **ids}

    rows = [
        row("a", user_id="u", session_id="s1"),
        row("b", user_id="u", session_id="s2"),
        row("c", session_id="s2"),
        row("d", session_id="s2"),
        row("e"),
        row("f"),
    ]
    searches = read_searches(rows, examination=[1.0])
    found = clusters_of(searches)
    of = dict(zip(searches.execution_id.to_list(), found.codes.tolist(), strict=True))
    assert of["a"] == of["b"]
    assert of["c"] == of["d"]
    assert len({of["a"], of["c"], of["e"], of["f"]}) == 4
    assert found.by == "user, else session, else search"
    assert "log user_id" in found.note
    only_users = clusters_of(searches.select(searches.user.known))
    assert (only_users.by, only_users.note) == ("user", None)
