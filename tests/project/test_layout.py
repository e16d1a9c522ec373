"""The folders at the top are linked into the package, and never shadow other packages.

Who may import whom is checked by import-linter, how imports are written by ruff (`make check`).
"""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "rankloom"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
LINKS = ("datasets", "ltr", "bandit", "retrieval", "insights")
FOLDERS = [PACKAGE, *(ROOT / name for name in LINKS)]


@pytest.mark.parametrize("link", LINKS)
def test_the_package_links_to_the_folders(link):
    """Setuptools, type checkers and editors follow these links."""
    path = PACKAGE / link
    assert path.is_symlink()
    assert path.readlink() == Path("..") / ".." / link
    assert path.resolve() == ROOT / link


def test_no_module_lies_in_a_folder_without_an_init():
    modules = [file for folder in FOLDERS for file in folder.rglob("*.py")]
    assert len(modules) > 300
    assert [str(file) for file in modules if not (file.parent / "__init__.py").exists()] == []


def test_setuptools_finds_every_package():
    """A package that it does not find is left out of the wheel without a message."""
    from setuptools import find_packages

    found = set(find_packages(str(ROOT / "src")))
    inits = [file.parent for file in PACKAGE.rglob("__init__.py")]
    for link in LINKS:  # rglob does not follow links
        inits += [
            PACKAGE / file.parent.relative_to(ROOT) for file in (ROOT / link).rglob("__init__.py")
        ]
    names = {".".join(folder.relative_to(ROOT / "src").parts) for folder in inits}
    assert PROJECT["setuptools"]["packages"]["find"] == {"where": ["src"]}
    assert found == names


def test_nothing_at_the_root_puts_the_root_on_the_path():
    """A root conftest or a pythonpath would make `import datasets` find ours, not another's."""
    settings = PROJECT["pytest"]["ini_options"]
    assert not (ROOT / "conftest.py").exists()
    assert not (ROOT / "__init__.py").exists()
    assert "pythonpath" not in settings
    assert "--import-mode=importlib" in settings["addopts"]
