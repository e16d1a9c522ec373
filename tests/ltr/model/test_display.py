"""Pictures of a model show its importances and contributions."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr import ContributionsDisplay, FeatureImportanceDisplay, Ranker


@pytest.fixture(scope="module")
def pairs(make_pairs):
    return make_pairs(150, shuffled=True)


@pytest.fixture(scope="module")
def ranker(pairs):
    return Ranker("none", n_estimators=10, min_data_in_leaf=10, n_jobs=1).fit(pairs)


@pytest.mark.parametrize("kind", ["gain", "split"])
def test_bars_are_shares_of_the_importance(ranker, kind, axes):
    display = ranker.plot_importance(axes, kind=kind, limit=3)
    assert isinstance(display, FeatureImportanceDisplay)
    found = ranker.feature_importances(kind)
    expected = np.array(list(found.values())) / sum(found.values())
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, expected[:3])
    assert [text.get_text() for text in axes.get_yticklabels()] == list(found)[:3]
    assert "2 more" in axes.get_title("left")


def test_a_model_without_splits_has_shares_of_0(axes):
    display = FeatureImportanceDisplay(("a", "b"), np.zeros(2), "gain").plot(axes)
    assert display.shares.tolist() == [0.0, 0.0]


def test_contributions_sum_to_the_score(ranker, pairs, axes):
    one = pairs.take([0])
    display = ranker.plot_contributions(one, axes)
    assert isinstance(display, ContributionsDisplay)
    scores = display.contributions.sum(axis=1) + display.expected
    np.testing.assert_allclose(scores, ranker.predict(one), rtol=1e-5)
    median = np.median(display.contributions[:, display.largest], axis=0)
    np.testing.assert_allclose(axes.lines[-1].get_xdata(), median)


def test_lines_hold_the_middle_half_and_the_middle_90_percent(axes):
    values = np.linspace(0, 1, 101)[:, None]
    ContributionsDisplay(("a",), values, expected=0.0).plot(axes)
    wide, half = (each.get_segments()[0][:, 0] for each in axes.collections)
    np.testing.assert_allclose(wide, [0.05, 0.95])
    np.testing.assert_allclose(half, [0.25, 0.75])


def test_one_document_has_bars_and_its_score_in_the_title(axes):
    display = ContributionsDisplay(("a", "b"), np.array([[0.25, -0.5]]), expected=1.0)
    display.plot(axes)
    assert [bar.get_width() for bar in axes.patches] == [-0.5, 0.25]
    assert "Score 0.750" in axes.get_title("left")


def test_no_documents_are_refused(ranker, pairs):
    with pytest.raises(InvalidInputError, match="no documents"):
        ranker.plot_contributions(pairs.take([]))
