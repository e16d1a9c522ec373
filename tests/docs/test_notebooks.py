"""Every notebook is stored with its outputs, and a run of it says and shows the same."""

import ast
import getpass
import json
import re

import nbformat
import numpy as np
import pytest

from tests.docs.notebook_runs import (
    NOTEBOOKS,
    code_cells,
    outputs_of,
    pictures,
    run,
    texts,
    words_and_numbers,
)

MAX_BYTES = 400_000
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
NAMES = {
    "insights",
    "judging_rankers",
    "learned_fusion",
    "memory_and_behaviour",
    "position_bias",
    "training_a_ranker",
}
MACHINE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|work|usr|var|opt|Users|mnt)/|[A-Z]:\\\\")


def shows_something(source):
    """Return whether a cell prints, or ends with an expression whose value is displayed."""
    tree = ast.parse(source)
    if not tree.body:
        return False
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    calls = [node for each in top for node in ast.walk(each) if isinstance(node, ast.Call)]
    prints = any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
    return prints or (isinstance(tree.body[-1], ast.Expr) and not source.rstrip().endswith(";"))


def draws(source):
    """Return whether a cell makes a figure."""
    return "subplots(" in source or ".plot()" in source


def test_the_articles_are_there():
    assert {path.stem for path in NOTEBOOKS} == NAMES


@every_notebook
def test_what_a_cell_shows_is_stored_with_it(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    silent = [cell.source for cell in cells if shows_something(cell.source) and not cell.outputs]
    assert silent == []
    assert [cell.source for cell in cells if draws(cell.source) and not pictures(cell)] == []
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(len(pictures(cell)) for cell in cells) >= 2
    assert path.stat().st_size < MAX_BYTES


@every_notebook
def test_no_output_names_a_machine_or_holds_a_warning_or_an_error(path):
    notebook = nbformat.read(path, as_version=4)
    for output in outputs_of(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        data = {kind: text for kind, text in output.get("data", {}).items() if kind != "image/png"}
        text = json.dumps([output.get("text", ""), data], ensure_ascii=False)
        assert "Warning" not in text
        assert "Traceback" not in text
        assert MACHINE.search(text) is None, text
        assert f"/{getpass.getuser()}/" not in text
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.metadata for cell in notebook.cells if cell.metadata] == []


def test_numbers_are_compared_apart_from_words():
    words, numbers = words_and_numbers("NDCG 0.51 of 1,200 at 2026-01-01 10:00, in 3.2 s: /a/b/c")
    assert words == "NDCG # of # at TIME, in DURATION: PATH"
    assert numbers == [0.51, 1200.0]


@pytest.mark.slow
@every_notebook
def test_a_run_says_and_shows_what_is_stored(path, tmp_path):
    """Numbers may differ a little: the last digits depend on the processor."""
    stored = code_cells(nbformat.read(path, as_version=4))
    fresh = code_cells(run(path, tmp_path))
    for before, after in zip(stored, fresh, strict=True):
        (words, numbers), (new_words, new) = (words_and_numbers(texts(c)) for c in (before, after))
        assert new_words == words
        np.testing.assert_allclose(new, numbers, rtol=0.02, atol=0.011)
        sizes, new_sizes = ([len(each) for each in pictures(c)] for c in (before, after))
        assert len(new_sizes) == len(sizes)
        np.testing.assert_allclose(new_sizes, sizes, rtol=0.25)
