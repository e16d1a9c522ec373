"""Progress is shown where a person looks, after two seconds, and costs nothing where it is not."""

import subprocess
import sys
import threading
import time

import pytest

from rankloom._shared import progress
from rankloom._shared.progress import nothing, progress_set, progress_shown, tracked
from rankloom.errors import InvalidInputError


@pytest.fixture
def terminal(monkeypatch):
    """Make stderr a terminal."""
    monkeypatch.setattr(progress, "_is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv(progress.VARIABLE, raising=False)


def shown(capfd, **options):
    """Return what is written while ten rows are read."""
    with progress_shown("Reading", 10, unit="rows", **options) as advance:
        for _ in range(10):
            advance(1)
    return capfd.readouterr().err


def test_a_script_without_a_terminal_shows_nothing(capfd):
    assert shown(capfd) == ""
    with progress_shown("Reading") as advance:
        assert advance is nothing


@pytest.mark.usefixtures("terminal")
def test_short_work_shows_nothing_on_a_terminal(capfd):
    assert shown(capfd) == ""


@pytest.mark.usefixtures("terminal")
def test_long_work_is_shown_on_a_terminal(capfd, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.02)
    with progress_shown("Reading", 10, unit="rows") as advance:
        advance(4)
        assert capfd.readouterr().err == ""
        time.sleep(0.03)
        advance(1)
        time.sleep(0.3)  # the bar is drawn by a thread, ten times a second
    assert "Reading: 5 of 10 rows" in capfd.readouterr().err


def test_true_shows_it_at_once_and_as_lines_where_there_is_no_terminal(capfd):
    lines = shown(capfd, progress=True).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Reading: 1 of 10 rows, ")


@pytest.mark.parametrize(("setting", "is_shown"), [("off", False), ("on", True), ("", True)])
@pytest.mark.usefixtures("terminal")
def test_the_environment_decides_for_auto(capfd, monkeypatch, setting, is_shown):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setenv(progress.VARIABLE, setting)
    assert bool(shown(capfd)) == is_shown
    assert shown(capfd, progress=False) == ""


@pytest.mark.usefixtures("terminal")
def test_a_setting_holds_for_all_work_inside(capfd, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress_set(False):
        assert shown(capfd) == ""
    assert shown(capfd) != ""


@pytest.mark.usefixtures("terminal")
def test_work_within_work_shows_no_second_bar(capfd, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress_shown("Outer", 2) as outer:
        outer(1)
        with progress_shown("Inner", 2) as inner:
            assert inner is nothing
        thread = threading.Thread(target=lambda: list(tracked("ab", "Thread", 2)))
        thread.start()
        thread.join()
    err = capfd.readouterr().err
    assert "Outer" in err
    assert "Inner" not in err
    assert "Thread" not in err
    assert "Outer" in _again(capfd)


def _again(capfd):
    with progress_shown("Outer", 2) as advance:
        advance(1)
    return capfd.readouterr().err


@pytest.mark.usefixtures("terminal")
def test_a_generator_that_is_left_early_frees_the_line(capfd, monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0.0)
    items = tracked(range(5), "Reading", 5)
    next(items)
    items.close()
    assert shown(capfd) != ""


def test_a_wrong_setting_is_refused():
    with pytest.raises(InvalidInputError, match="progress: expected True, False or 'auto'"):
        progress_shown("Reading", progress="sometimes").__enter__()


def test_what_is_not_shown_costs_next_to_nothing():
    """A call is that of an empty function: a million take well under a second."""
    with progress_shown("Reading", progress=False) as advance:
        start = time.process_time()
        for _ in range(1_000_000):
            advance(1)
    assert time.process_time() - start < 1.0


def test_rich_is_not_imported_where_nothing_is_shown():
    code = (
        "import sys; from rankloom._shared.progress import tracked; "
        "list(tracked('ab', 'x', 2)); print('rich' in sys.modules, 'IPython' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_notebook_shows_a_line_of_text_that_is_empty_at_the_end(monkeypatch):
    from IPython import display

    lines = []

    class Handle:
        def update(self, data, *, raw):
            assert raw
            lines.append(data["text/plain"])

    def shown_in_cell(data, *, raw, display_id):
        assert raw
        assert display_id
        lines.append(data["text/plain"])
        return Handle()

    shell = type("Shell", (), {"kernel": object()})()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(display, "display", shown_in_cell)
    monkeypatch.setattr(progress, "DELAY", 0.0)
    with progress_shown("Reading", 3, unit="rows") as advance:
        advance(2)
    assert lines[0] == "Reading"
    assert lines[1].startswith("Reading: 2 of 3 rows")
    assert lines[-1] == ""
