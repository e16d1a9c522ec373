"""What a log identifies: the swap graph, where the curve ends, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rankloom.datasets import PositionBias
from rankloom.datasets.counts.pair_counts import count_pairs
from rankloom.datasets.position_bias.swap_estimators import ESTIMATORS
from rankloom.errors import InvalidInputError, NotIdentifiableError

HARVESTING = ("all_pairs", "pivot", "adjacent")
TRUTH = 1 / np.arange(1, 6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_deterministic_ranker_is_refused_with_cause_and_ways_out(simulated, name):
    pairs = simulated(2000, rankers=1)
    with pytest.raises(NotIdentifiableError, match="one deterministic ranker") as caught:
        PositionBias(name).fit(pairs)
    for way in ("swapped neighbours", 'debias="position"', "PositionBias.from_curve"):
        assert way in str(caught.value)


def test_the_curve_ends_where_swaps_with_clicks_end(pairs_of):
    """Positions 0 to 2 are swapped; the document at 3 is always the same."""
    documents = [[0, 1, 2, 3], [1, 2, 0, 3], [2, 0, 1, 3]] * 40
    clicked = np.random.default_rng(0).random((120, 4)) < 0.5
    bias = PositionBias(n_bootstrap=0).fit(pairs_of(np.zeros(120), documents, clicked))
    assert bias.positions_.tolist() == [0, 1, 2]
    assert not bias.connected_
    assert any("ends at position 2 of 3" in note for note in bias.notes_)
    assert bias.swaps_[0].tolist() == [3, 3, 3, 0]


def test_the_curve_ends_at_a_gap_though_deeper_positions_are_tied(pairs_of):
    """0, 1 and 3 are swapped; the document at 2 is always the same."""
    documents = [[0, 1, 3, 2], [1, 2, 3, 0], [2, 0, 3, 1]] * 40
    clicked = np.random.default_rng(0).random((120, 4)) < 0.5
    bias = PositionBias(n_bootstrap=20).fit(pairs_of(np.zeros(120), documents, clicked))
    assert bias.positions_.tolist() == [0, 1]
    assert not bias.connected_
    assert len(bias.upper_) == len(bias.estimates_["pivot"]) == 2


def test_a_position_without_any_click_ends_the_curve_instead_of_becoming_zero(pairs_of):
    documents = [[0, 1, 2], [1, 2, 0], [2, 0, 1]] * 40
    clicked = np.random.default_rng(0).random((120, 3)) < 0.5
    clicked[:, 2] = False
    bias = PositionBias(n_bootstrap=20).fit(pairs_of(np.zeros(120), documents, clicked))
    assert len(bias.examination_) == 2
    assert not bias.connected_


def test_pivot_ends_before_the_first_position_never_swapped_with_position_0(pairs_of):
    """0-1 and 1-2 are swapped, 0-2 never: all_pairs and adjacent reach 2, pivot does not."""
    documents = [[0, 1, 2], [1, 0, 2], [3, 4, 5], [3, 5, 4]] * 50
    query = [0, 0, 1, 1] * 50
    clicked = np.random.default_rng(0).random((200, 3)) < 0.5
    pairs = pairs_of(query, documents, clicked)
    fits = {name: PositionBias(name, n_bootstrap=20).fit(pairs) for name in HARVESTING}
    assert {name: len(fit.examination_) for name, fit in fits.items()} == {
        "all_pairs": 3,
        "pivot": 2,
        "adjacent": 3,
    }
    assert np.isnan(fits["all_pairs"].estimates_["pivot"][2])
    assert not fits["pivot"].connected_
    np.testing.assert_allclose(
        fits["all_pairs"].examination_, fits["adjacent"].examination_, rtol=1e-9
    )


def test_adjacent_refuses_where_only_a_detour_ties_position_1_to_0(pairs_of):
    """0-2 and 2-1 are swapped, 0-1 never."""
    documents = [[0, 1, 2], [2, 1, 0], [3, 4, 5], [3, 5, 4]] * 50
    clicked = np.random.default_rng(0).random((200, 3)) < 0.5
    pairs = pairs_of([0, 0, 1, 1] * 50, documents, clicked)
    assert len(PositionBias(n_bootstrap=0).fit(pairs).examination_) == 3
    with pytest.raises(NotIdentifiableError, match="positions 0 and 1 both"):
        PositionBias("adjacent").fit(pairs)


def test_swaps_count_pairs_at_both_positions_and_clicks_at_the_first(swapped_lists):
    pairs = swapped_lists(10, (4, 1, 2, 2))
    bias = PositionBias(n_bootstrap=0).fit(pairs)
    assert bias.swaps_.tolist() == [[2, 2], [2, 2]]
    assert bias.swap_clicks_.tolist() == [[6, 6], [3, 3]]
    assert bias.n_queries_ == 1
    assert bias.connected_


def test_max_position_ends_the_curve_and_says_so(simulated):
    bias = PositionBias(max_position=2, n_bootstrap=0).fit(simulated(3000))
    assert len(bias.examination_) == 3
    assert bias.connected_
    assert any("position 3 or beyond" in note for note in bias.notes_)


def test_a_huge_position_costs_neither_memory_nor_the_curve(simulated):
    pairs = simulated(3000)
    pairs.position[-1] = 2**31 - 1
    bias = PositionBias(n_bootstrap=0).fit(pairs)
    assert len(bias.examination_) == 5
    assert len(bias.swaps_) == 100


def test_large_codes_do_not_overflow(simulated):
    pairs = simulated(500)
    wide = replace(pairs, documents=range(2**61 // len(pairs.queries)))
    left, right = (count_pairs(p, 5) for p in (pairs, wide))
    for name in ("offsets", "position", "shown", "clicks", "query"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


def refused(pairs, match, error=NotIdentifiableError, **parameters):
    with pytest.raises(error, match=match):
        PositionBias(**parameters).fit(pairs)


def test_logs_without_evidence_are_refused_with_their_cause(pairs_of, simulated):
    unclicked = simulated(200)
    unclicked.clicked[:] = False
    refused(unclicked, "no shown document was clicked")
    one_based = simulated(200)
    one_based.position[:] += 1
    refused(one_based, "subtract 1 if the log counts from 1")
    only_first = pairs_of([0, 0], [[0], [1]], [[True], [False]])
    refused(only_first, "two positions or more")
    one_pair = pairs_of([0] * 40, [[0]] * 40, [[True]] * 40, position=[0, 1] * 20)
    refused(one_pair, "a single \\(query, document\\)")
    one_sided = pairs_of([0, 0] * 9, [[0, 1], [1, 0]] * 9, [[True, False]] * 18)
    refused(one_sided, "need clicks at both")
    judged = simulated(20)
    judged.position[3] = -1
    refused(judged, "1 of 100 rows have no position", InvalidInputError)
    refused(simulated(20).take([]), "empty", InvalidInputError)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"estimator": "allpairs"}, "Did you mean 'all_pairs'"),
        ({"confidence": 90}, "between 0 and 1"),
        ({"n_bootstrap": 3}, "at least 20"),
        ({"max_position": 0}, "at least 1"),
        ({"by": "devise"}, "Did you mean 'device'"),
    ],
)
def test_wrong_parameters_are_named(simulated, parameters, match):
    pairs = simulated(200, context={"device": pl.Series(["m"] * 200)})
    refused(pairs, match, InvalidInputError, **parameters)
