"""Documents beside their neighbours: the sums of a plain loop over every list."""

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rankloom.insights import read_searches
from rankloom.insights.documents.neighbours import compare_neighbours
from rankloom.insights.outcomes.clusters_of_searches import clusters_of
from rankloom.insights.searches.examined import examined

CURVE = [1.0, 0.5, 0.25]
LISTS = st.lists(
    st.tuples(
        st.sampled_from(["red", "blue", None]),
        st.lists(
            st.tuples(st.sampled_from("wxyz"), st.integers(0, 2), st.booleans()),
            min_size=1,
            max_size=5,
            unique_by=lambda each: each[0],
        ),
    ),
    min_size=1,
    max_size=6,
)


def by_definition(lists):
    """Sums of displays, engagement, examination, and of both above and below, by pair."""
    found = defaultdict(lambda: np.zeros(7))
    for query, shown in lists:
        for document, position, clicked in shown:
            around = [0.0] * 4
            for _, place, other in shown:
                if place != position:
                    side = 0 if place < position else 2
                    around[side] += other
                    around[side + 1] += CURVE[place]
            if query is not None:
                found[query, document] += [1, clicked, CURVE[position], *around]
    return found


@given(LISTS)
def test_sums_around_every_document_are_those_of_a_plain_loop(lists):
    rows = []
    for number, (query, shown) in enumerate(lists):
        for document, position, clicked in shown:
            kinds = ["impression", *["click"] * clicked]
            row = {"execution_id": f"e{number}", "feature_id": document, "position": position}
            rows.append({**row, "query_snapshot": query, "interaction_type": kinds})
    searches = read_searches(rows, examination=CURVE)
    examination, _ = examined(searches)
    found = compare_neighbours(searches, examination, clusters_of(searches).codes, 0.2)
    truth = by_definition(lists)
    assert len(found.query) == len(truth)
    sums = (
        found.displays,
        found.engaged,
        found.examined,
        found.above_engaged,
        found.above_examined,
        found.below_engaged,
        found.below_examined,
    )
    for index, (query, document) in enumerate(zip(found.query, found.document, strict=True)):
        words = searches.query.texts[int(query)].strip('"')
        key = (words, searches.displays.document.texts[int(document)])
        assert np.allclose([column[index] for column in sums], truth[key])
    # Fewer than three persons: nothing is tested.
    few = found.persons < 3
    assert np.isnan(found.wanted[few]).all()
    assert np.isnan(found.disappointing[few]).all()
