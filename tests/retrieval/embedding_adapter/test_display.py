"""The picture of a held-out gain shows it with its interval."""

from rankloom.retrieval import HeldOutGain


def test_the_bar_is_the_interval(axes):
    gain = HeldOutGain(10, 50, 1.0, 1.2, 0.2, 0.12, (0.1, 0.3), 0.9)
    gain.plot(axes)
    assert axes.lines[0].get_xdata().tolist() == [0.2]
    assert axes.collections[0].get_segments()[0].tolist() == [[0.1, 0.0], [0.3, 0.0]]
    assert "90% interval" in axes.get_xlabel()
