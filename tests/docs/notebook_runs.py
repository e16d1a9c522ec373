"""Runs notebooks, and says what their outputs have in common from one run to the next.

``python tests/docs/notebook_runs.py [NAME ...]`` runs notebooks and stores their outputs.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
CHANGING = [
    (re.compile(r"(?<![\w./])(?:/[\w.-]+){2,}"), "PATH"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?Z?"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|seconds)\b"), "DURATION"),
]
SILENT = {"RANKLOOM_PROGRESS": "off", "OMP_NUM_THREADS": "1"}


class SameInterpreter(AsyncKernelManager):
    """Starts the kernel with the interpreter that runs this, registered or not."""

    @property
    def kernel_spec(self):
        """Return the command line of ipykernel."""
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="test", language="python")


def run(path, folder):
    """Return the notebook with its outputs; folder is its working folder."""
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    client = nbclient.NotebookClient(
        notebook,
        kernel_manager_class=SameInterpreter,
        # Patience with a machine that is busy; where time is over, outputs are left out in silence.
        timeout=3_600,
        startup_timeout=600,
        iopub_timeout=600,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **SILENT})
    notebook.metadata.clear()
    notebook.metadata.update(metadata)
    return notebook


def code_cells(notebook):
    """Return the cells that hold code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs_of(notebook):
    """Return all outputs, in order."""
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def texts(cell):
    """Return what a cell printed and displayed as text."""
    printed = [output.text for output in cell.outputs if output.output_type == "stream"]
    shown = [
        output.data["text/plain"]
        for output in cell.outputs
        if "text/plain" in output.get("data", {}) and "image/png" not in output.data
    ]
    return "\n".join([*printed, *shown])


def pictures(cell):
    """Return the pictures of a cell, as base64."""
    return [
        output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
    ]


def words_and_numbers(text):
    """Return a text without what changes by the run and its numbers, and the numbers."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    numbers = [float(number.replace(",", "")) for number in NUMBER.findall(text)]
    words = " ".join(NUMBER.sub("#", text).split())
    return re.sub(r"[─━═┌┐└┘├┤┬┴┼│┆╞╡╪-]{2,}", "-", words), numbers


def store(path):
    """Run a notebook and write it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = run(path, folder)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for each in NOTEBOOKS:
        if len(sys.argv) < 2 or each.stem in sys.argv[1:]:
            store(each)
