"""What every display promises, whatever it shows: scikit-learn's convention, and named axes.

The classes are those that the packages export; one without an example fails.
"""

import dataclasses
import importlib
import subprocess
import sys

import numpy as np
import pytest

from tests.shared.display_examples import EXAMPLES

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

PACKAGES = ("datasets", "datasets.click_models", "ltr", "bandit", "insights", "retrieval")


def _exported():
    found = {}
    for name in PACKAGES:
        package = importlib.import_module(f"rankloom.{name}")
        for export in package.__all__:
            if export.endswith("Display"):
                found[export] = getattr(package, export)
    return found


DISPLAYS = _exported()


@pytest.fixture(params=sorted(DISPLAYS))
def display(request):
    return EXAMPLES[DISPLAYS[request.param]]()


def test_displays_are_found_and_each_has_an_example():
    assert len(DISPLAYS) >= 20
    assert {each.__name__ for each in EXAMPLES} == set(DISPLAYS)


def test_it_is_a_dataclass_of_what_it_draws(display):
    assert dataclasses.is_dataclass(display)
    assert dataclasses.fields(display)


def test_it_draws_on_the_given_axes_without_pyplot(display, axes):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    assert display.plot(ax=axes) is display
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert plt.get_fignums() == before
    axes.figure.canvas.draw()
    assert axes.has_data()


def test_its_axes_are_named(display, axes):
    display.plot(axes)
    named = axes.get_ylabel() or [label.get_text() for label in axes.get_yticklabels()]
    assert axes.get_xlabel()
    assert named


def test_it_makes_a_figure_where_none_is_given(display):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    try:
        display.plot()
        assert display.ax_.figure is display.figure_
        assert len(plt.get_fignums()) == len(before) + 1
    finally:
        plt.close(display.figure_)
    assert plt.get_fignums() == before


def test_it_can_be_drawn_again(display, axes):
    """A picture changes nothing of what it shows."""
    other = axes.figure.add_subplot()
    display.plot(axes)
    display.plot(other)
    first, second = ([line.get_xydata() for line in each.lines] for each in (axes, other))
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_series_differ_without_colour(display, axes):
    """Whatever the legend names looks different in grey: by marker, dash, hatch or brightness."""
    display.plot(axes)
    handles, labels = axes.get_legend_handles_labels()
    assert len({_look(handle) for handle in handles}) == len(labels)


def _look(handle):
    """Return what is left of a legend's handle in a grey print."""
    part = handle.get_children()[0] if hasattr(handle, "patches") else handle
    colour = part.get_color() if hasattr(part, "get_color") else part.get_facecolor()
    grey = matplotlib.colors.to_rgba_array(colour)[0, :3] @ (0.299, 0.587, 0.114)
    names = ("get_marker", "get_hatch", "_dash_pattern")
    other = [str(value() if callable(value := getattr(part, n, None)) else value) for n in names]
    return type(part).__name__, round(float(grey), 1), *other


def test_matplotlib_is_imported_by_plot_alone():
    names = ", ".join(f"rankloom.{name}" for name in PACKAGES)
    code = (
        f"import sys, importlib; import {names}; "
        f"[getattr(importlib.import_module('rankloom.' + p), n) for p in {PACKAGES!r} "
        "for n in importlib.import_module('rankloom.' + p).__all__ if n.endswith('Display')]; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
