"""Every notebook is stored without outputs and runs from top to bottom."""

import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


class SameInterpreter(AsyncKernelManager):
    """Starts the kernel with the interpreter that runs the tests, registered or not."""

    @property
    def kernel_spec(self):
        """Return the command line of ipykernel."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="test", language="python")


def run(path, folder):
    """Return the notebook with its outputs; folder is its working folder."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        kernel_manager_class=SameInterpreter,
        # Patience with a machine that is busy; where time is over, outputs are left out in silence.
        timeout=3_600,
        startup_timeout=600,
        iopub_timeout=600,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def texts(notebook):
    """Return all printed and displayed text of a notebook that ran."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = [output["text"] for output in outputs if output["output_type"] == "stream"]
    shown = [output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join([*printed, *shown])


def pictures_of(notebook):
    """Return all pictures of a notebook that ran."""
    return [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]


def test_there_are_notebooks():
    assert NOTEBOOKS


@every_notebook
def test_it_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []


@pytest.mark.slow
def test_position_bias_runs_and_shows_what_it_promises(tmp_path):
    notebook = run(NOTEBOOKS[0].with_name("position_bias.ipynb"), tmp_path)
    shown = texts(notebook)
    assert len(pictures_of(notebook)) == 3
    assert "Ways out" in shown
    assert "true NDCG@10" in shown
    assert "Warning" not in shown


@pytest.mark.slow
def test_learned_fusion_runs_and_shows_what_it_promises(tmp_path):
    notebook = run(NOTEBOOKS[0].with_name("learned_fusion.ipynb"), tmp_path)
    shown = texts(notebook)
    assert len(pictures_of(notebook)) == 5
    assert "the same session is served the same weights: True" in shown
    assert "image leads for good" in shown
    assert "raise explore_pct" in shown
    assert "policy-aware over 480 lists" in shown
    assert "Warning" not in shown


@pytest.mark.slow
def test_insights_runs_and_finds_what_was_planted(tmp_path):
    notebook = run(NOTEBOOKS[0].with_name("insights.ipynb"), tmp_path)
    shown = texts(notebook)
    assert len(pictures_of(notebook)) == 3
    assert "corrected engagement: better" in shown
    assert "sessions changed on day 20; the truth is day 20" in shown
    assert "12 misspelt queries" in shown
    assert "Warning" not in shown
    assert (tmp_path / "report.html").exists()
