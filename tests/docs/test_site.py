"""The pages of the site: snippets run, links lead somewhere, every public name is documented.

The cells of the pages run when `make docs` builds them. Here the other blocks run: of ``python``
each in a process of its own; the ``sh`` blocks of a page as one session, in a folder that holds the
blocks that begin with a comment with a file's name. Other languages, such as ``py`` and
``console``, are not run.
"""

import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

import rankloom
import rankloom.bandit
import rankloom.datasets
import rankloom.insights
import rankloom.ltr
import rankloom.retrieval

from .daily_logs import write_daily_logs, write_log_in_files
from .snippets import FILE_NAME, blocks, free_port, run_python, run_shell, write_files
from .warehouse import write_warehouse

DOCS = Path(__file__).parents[2] / "docs"
NOT_PAGES = {"_build", "_templates", "generated"}
PAGES = sorted(
    path
    for path in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]
    if NOT_PAGES.isdisjoint(path.relative_to(DOCS).parts)
)
NAME_OF = {path: str(path.relative_to(DOCS).with_suffix("")) for path in PAGES}
PREPARED = {
    "guide/own-export": write_warehouse,
    "guide/scale": write_log_in_files,
    "how-to/retraining": write_daily_logs,
}
"""Pages whose session needs files that a reader has: what writes them."""
EXPECTED = {
    "guide/own-export": ["0  quarantined", "7,200 pairs in 1,200 executions", '"position":0'],
    "guide/service": ['"deduplicated":false', '"policy":'],
    "start": ["\nThe gate passes", '"deduplicated":false', '"policy":'],
}
"""Pages of whose session more is known than that it runs: what it prints."""
CELLS = re.compile(r"^```\{code-cell\}.*?^```$", re.MULTILINE | re.DOTALL)
PACKAGES = [
    rankloom,
    rankloom.bandit,
    rankloom.datasets,
    rankloom.insights,
    rankloom.ltr,
    rankloom.retrieval,
]

PACKAGE_NAMES = {package.__name__ for package in PACKAGES}

every_page = pytest.mark.parametrize("path", PAGES, ids=NAME_OF.get)


def text_of(path):
    return path.read_text(encoding="utf-8")


def snippets_of(path):
    """Return the Python blocks of a page that stand by themselves."""
    return [code for code in blocks(text_of(path), "python") if not FILE_NAME.match(code)]


def with_blocks(language_blocks):
    """Return the pages that have such blocks, as parameters."""
    found = [path for path in PAGES if language_blocks(path)]
    return pytest.mark.parametrize("path", found, ids=NAME_OF.get)


def test_there_are_pages_of_every_kind():
    folders = {path.parent.relative_to(DOCS).as_posix() for path in PAGES}
    assert {".", "guide", "how-to", "reference"} <= folders
    assert any(CELLS.search(text_of(path)) for path in PAGES)


@every_page
def test_a_page_with_cells_says_so_at_its_head(path):
    """MyST-NB runs the cells of pages with this head only, and shows the others as code."""
    text = text_of(path)
    assert text.startswith("---\nfile_format: mystnb\n") or not CELLS.search(text)


def test_what_cells_import_is_installed_where_the_site_is_built():
    """`make docs` installs all extras and the group docs, and not what the tests need."""
    text = "".join(cell for path in PAGES for cell in CELLS.findall(text_of(path)))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE))
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    needed = [extras[name] for name in extras if name != "spark"]
    needed += [project["project"]["dependencies"], project["dependency-groups"]["docs"]]
    installed = {re.match(r"[\w-]+", one)[0] for group in needed for one in group}
    outside = imported - sys.stdlib_module_names
    assert {name.replace("_", "-") for name in outside} - installed == set()


@pytest.mark.slow
@with_blocks(snippets_of)
def test_every_python_block_runs_as_printed(path, tmp_path):
    for code in snippets_of(path):
        done = run_python(code, tmp_path)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


@pytest.mark.slow
@with_blocks(lambda path: blocks(text_of(path), "sh"))
def test_the_shell_session_of_a_page_runs_as_printed(path, tmp_path):
    session = "".join(blocks(text_of(path), "sh")).replace("8000", str(free_port()))
    if "curl" in session and not shutil.which("curl"):
        pytest.skip("there is no curl")
    PREPARED.get(NAME_OF[path], lambda _: None)(tmp_path)
    write_files(text_of(path), tmp_path)
    done = run_shell(session, tmp_path)
    assert done.returncode == 0, f"{session}\n{done.stdout}\n{done.stderr}"
    assert [part for part in EXPECTED.get(NAME_OF[path], ()) if part not in done.stdout] == []
    if (mapping := tmp_path / "mapping.toml").exists():
        (printed,) = blocks(text_of(path), "toml")[:1]
        assert mapping.read_text(encoding="utf-8").rstrip() == printed.rstrip()


def without_code(text):
    """Return the text of a page: brackets and parentheses of code are no links."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "", prose)


@every_page
def test_every_link_leads_to_a_file_or_is_an_address(path):
    targets = re.findall(r"\]\(<?([^)\s>]+)>?\)", without_code(text_of(path)))
    outside = [target for target in targets if "://" in target]
    assert [one for one in outside if not re.fullmatch(r"https?://[\w.-]+(/\S*)?", one)] == []
    inside = [target.split("#")[0] for target in targets if "://" not in target]
    assert [one for one in inside if one and not (path.parent / one).exists()] == []


def toctrees(text):
    """Return the toctrees of a page: whether they take patterns, and their entries."""
    bodies = re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    bodies += re.findall(r"^\.\. toctree::\n((?:[ ]+.*\n|\n)+)", text, re.MULTILINE)
    for body in bodies:
        lines = [line.strip() for line in body.splitlines() if line.strip()]
        yield ":glob:" in lines, [line for line in lines if not line.startswith(":")]


@every_page
def test_every_entry_of_a_toctree_is_a_page(path):
    for patterns, entries in toctrees(text_of(path)):
        assert entries
        for entry in entries:
            if entry.startswith("generated/"):
                continue  # written when the site is built
            found = (
                path.parent.glob(f"{entry}.md")
                if patterns
                else [path.parent / f"{entry}{suffix}" for suffix in (".md", ".rst")]
            )
            assert any(each.exists() for each in found), entry


def test_every_page_is_reached_from_the_first_one():
    reached, todo = set(), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        for _, entries in toctrees(text_of(page)):
            for entry in entries:
                for suffix in (".md", ".rst"):
                    todo += page.parent.glob(f"{entry}{suffix}")
    assert reached & set(PAGES) == set(PAGES)


def documented():
    """Return the names in the lists of the API reference, with their packages."""
    names = set()
    for path in (DOCS / "reference").glob("*.rst"):
        package = None
        for line in text_of(path).splitlines():
            if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
                package = found[1]
            elif found := re.fullmatch(r"   (\w+)", line):
                names.add(f"{package}.{found[1]}")
        names |= set(re.findall(r":py:obj:`~(rankloom\.\w+)`", text_of(path)))
    return names


def test_every_public_name_stands_in_the_api_reference_and_nothing_else():
    """A name that `rankloom` exports, too, is documented there; displays have a generated page."""
    listed = documented()
    public = {f"{package.__name__}.{name}" for package in PACKAGES for name in package.__all__}
    found_elsewhere = {
        name
        for name in public
        if f"rankloom.{name.rpartition('.')[2]}" in listed or name.endswith("Display")
    }
    assert public - listed - found_elsewhere - {"rankloom.__version__"} == set()
    assert {name for name in listed if name.rpartition(".")[0] in PACKAGE_NAMES} - public == set()
