"""The picture of a choice shows the evidence, best first."""

import numpy as np
import pytest

from rankloom.errors import InvalidInputError
from rankloom.ltr.debias.choice import Choice, ModelEvidence


def test_marks_are_the_evidence_best_first_and_bars_its_interval(axes):
    evidence = {"pbm": ModelEvidence(-2.0, 0.1, 0.02), "dbn": ModelEvidence(-1.0, 0.3, 0.01)}
    display = Choice("dbn", {"click_model": 1.0}, evidence=evidence).plot(axes)
    assert display.click_models == ("dbn", "pbm")
    chosen, other = axes.lines[:2]
    np.testing.assert_array_equal(chosen.get_xdata(), [0.3, np.nan])
    np.testing.assert_array_equal(other.get_xdata(), [np.nan, 0.1])
    ends = axes.collections[0].get_segments()[0][:, 0]
    np.testing.assert_allclose(ends, [0.3 - 1.645 * 0.01, 0.3 + 1.645 * 0.01])


def test_without_evidence_there_is_nothing_to_draw():
    with pytest.raises(InvalidInputError, match="no click models were compared"):
        Choice(None, {}).plot()
