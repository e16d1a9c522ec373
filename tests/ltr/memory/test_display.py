"""The picture of a replay shows every band, and which ones are served."""

import numpy as np

from rankloom.ltr import MemoryReport
from rankloom.ltr.memory.replay import BandReplay


def test_bands_are_rows_with_bars_down_to_their_bounds(axes):
    bands = (
        BandReplay(1, 0, 0, 0.0, 0.0, 0.0, None, passed=False),
        BandReplay(5, 40, 9, 0.5, 0.6, -0.1, -0.3, passed=False),
        BandReplay(20, 60, 7, 0.9, 0.6, 0.3, 0.2, passed=True),
    )
    everything = BandReplay(1, 100, 16, 0.7, 0.6, 0.1, 0.05, passed=True)
    report = MemoryReport(bands, everything, 3, (False, False, True), confidence=0.95)
    display = report.plot(axes)
    assert display.bands == ("1 or more", "5 or more", "20 or more", "all")
    passing, failing = axes.lines[:2]
    np.testing.assert_array_equal(passing.get_xdata(), [np.nan, np.nan, 0.3, 0.1])
    np.testing.assert_array_equal(failing.get_xdata(), [np.nan, -0.1, np.nan, np.nan])
    bars = [each for each in axes.collections[0].get_segments() if len(each)]
    assert [each[:, 0].tolist() for each in bars] == [[0.2, 0.3], [0.05, 0.1]]
    assert "95% bound" in axes.get_xlabel()
