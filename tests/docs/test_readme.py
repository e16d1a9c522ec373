"""The snippets of the README run as printed; links and tables of the documents are complete."""

import re
import sys
from pathlib import Path

import pytest

from . import snippets
from .snippets import run_python, run_shell

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the code blocks of a language, in order."""
    return snippets.blocks(README, language)


def test_the_two_commands_come_first_and_exist():
    first = blocks("sh")[0]
    targets = re.findall(r"^make (\S+)", first, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["demo", "test"]
    assert README.index(first) < README.index("```python")
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_it_is_a_first_look():
    assert len(README.splitlines()) <= 150


def without_numbers(text):
    return re.sub(r"\d+", "#", " ".join(text.split()))


@pytest.mark.slow
def test_the_quickstart_is_ten_lines_and_prints_what_stands_below_it(tmp_path):
    code = blocks("python")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    printed = without_numbers(done.stdout)
    # Numbers may differ between processors.
    lines = [line for line in blocks("text")[0].splitlines() if line != "..."]
    assert len(lines) > 10
    pieces = [without_numbers(line.removesuffix("[...]")) for line in lines]
    assert [piece for piece in pieces if piece not in printed] == []


@pytest.mark.slow
def test_every_further_snippet_runs_as_printed(tmp_path):
    further = blocks("python")[1:]
    assert further
    for code in further:
        done = run_python(code, tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout


@pytest.mark.slow
def test_the_shell_session_runs_as_printed(tmp_path):
    (session,) = [block for block in blocks("sh") if "rankloom simulate" in block]
    done = run_shell(session, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nThe gate passes: 1,000 executions" in done.stdout
    assert '"position":0' in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_the_pictures_are_drawn_by_their_script(tmp_path):
    script = ROOT / "docs" / "readme_pictures.py"
    done = snippets.run([sys.executable, str(script), "."], tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == set(re.findall(r"\(docs/_static/(\w+\.png)\)", README))
    for name in drawn:
        stored = (ROOT / "docs" / "_static" / name).read_bytes()
        assert stored[16:24] == (tmp_path / name).read_bytes()[16:24], "other width and height"


def test_every_command_of_the_command_line_is_documented():
    from rankloom.cli import app

    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    names = [
        each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands
    ]
    assert [name for name in names if not re.search(rf"(rankloom|make) {name}\b", text)] == []


@pytest.mark.parametrize(
    "document", ["README.md", "CONTRIBUTING.md", "benchmarks/README.md", "docs/benchmarks.md"]
)
def test_every_relative_link_of_a_document_leads_to_a_file(document):
    path = ROOT / document
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_benchmark_stands_in_the_table_of_its_folder():
    folder = ROOT / "benchmarks"
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert [
        str(path) for path in folder.rglob("*.py") if f"`{path.relative_to(folder)}`" not in text
    ] == []
    named = set(re.findall(r"benchmarks/([\w/]+\.py)", text))
    assert [name for name in named if not (folder / name).exists()] == []
