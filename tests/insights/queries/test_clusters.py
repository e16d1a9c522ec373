"""Clusters of queries by the documents that they lead to."""

import numpy as np
import pytest

from rankloom.insights import query_insights
from rankloom.insights.queries import clusters


def lists(query, documents, clicked, times=12):
    rows = []
    for i in range(times):
        row = {"execution_id": f"{query}{i}", "query_snapshot": query, "user_id": f"u{i}"}
        for position, document in enumerate(documents):
            kinds = ["impression", "click"] if document in clicked else ["impression"]
            shown = {**row, "feature_id": document, "position": position}
            rows.append({**shown, "interaction_type": kinds})
    return rows


def members(*logs, **options):
    rows = [row for log in logs for row in log]
    found = query_insights(rows, examination=np.ones(4), **options).clusters
    return {leader: set(of) for leader, of in found.select("cluster", "members").iter_rows()}


def test_queries_that_lead_to_the_same_documents_are_one_cluster():
    red, scarlet = lists("red", "abcd", "ab", 20), lists("scarlet", "abcd", "ab")
    blue = lists("blue", "abcd", "cd")
    assert members(red, scarlet, blue) == {"red": {"red", "scarlet"}, "blue": {"blue"}}


def test_shared_lists_without_shared_engagement_are_no_cluster():
    assert len(members(lists("red", "abcd", "a"), lists("blue", "abcd", "d"))) == 2


def test_few_engagements_leave_a_query_by_itself():
    few = lists("scarlet", "ab", "a", times=2)
    assert len(members(lists("red", "ab", "a"), few)) == 2


def test_a_query_joins_the_most_similar_leader():
    both = lists("purple", "abcd", "abc", 5)
    logs = [lists("red", "abcd", "ab", 20), lists("blue", "abcd", "cd", 15), both]
    assert members(*logs, similarity=0.3)["red"] == {"red", "purple"}
    assert "purple" in members(*logs, similarity=0.95)


def test_blocks_change_nothing(monkeypatch):
    logs = [lists(f"q{i}", "abcd", "ab" if i % 3 else "cd", 4 + i) for i in range(9)]
    whole = members(*logs)
    monkeypatch.setattr(clusters, "_BLOCK", 2)
    assert members(*logs) == whole
    assert len(whole) == 2


def test_documents_of_very_many_queries_join_none(monkeypatch):
    logs = [lists(f"q{i}", "ab", "a") for i in range(4)]
    assert len(members(*logs)) == 1
    monkeypatch.setattr(clusters, "MAX_QUERIES_OF_DOCUMENT", 3)
    assert len(members(*logs)) == 4


@pytest.mark.parametrize("seed", [0, 1])
def test_position_does_not_decide(seed):
    """Both orders of two documents, clicked as the examination has it: one cluster."""
    rng = np.random.default_rng(seed)
    rows = []
    for query, documents in (("red", "ab"), ("scarlet", "ba")):
        for i in range(300):
            row = {"execution_id": f"{query}{i}", "query_snapshot": query, "user_id": f"u{i}"}
            for position, document in enumerate(documents):
                kinds = ["impression"] + ["click"] * bool(rng.random() < (0.5, 0.1)[position])
                shown = {**row, "feature_id": document, "position": position}
                rows.append({**shown, "interaction_type": kinds})
    for examination, queries in (([1.0, 0.2], 2), ([1.0, 1.0], 1)):
        found = query_insights(rows, examination=examination, similarity=0.7).clusters
        assert found["queries"].max() == queries
