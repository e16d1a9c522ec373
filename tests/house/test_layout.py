"""The tree keeps its shape: every package ships, and every import points the permitted way."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "rankloom": ROOT / "src" / "rankloom",
    "rankloom.datasets": ROOT / "datasets",
    "rankloom.ltr": ROOT / "ltr",
    "rankloom.bandit": ROOT / "bandit",
}
HEAVY = {"pandas", "pyarrow", "matplotlib", "IPython"}


def modules():
    """Yield (dotted name, file) of every module, each once, by way of the real folders."""
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            below = file.relative_to(folder).with_suffix("").parts
            if package == "rankloom" and f"rankloom.{below[0]}" in PACKAGES:
                continue
            yield ".".join([package, *[part for part in below if part != "__init__"]]), file


MODULES = dict(modules())
every_module = pytest.mark.parametrize("name", MODULES)


def imports_of(name, *, top_level=False):
    """Yield (level, absolute target) of the imports of a module, type-checking ones included."""
    file = MODULES[name]
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            kept = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*kept, *filter(None, [node.module])]) if node.level else node.module
            yield node.level, base
            yield from ((node.level, f"{base}.{alias.name}") for alias in node.names)


def room(name):
    """Return datasets, ltr, bandit, or the face for everything else in rankloom."""
    second = [*name.split("."), ""][1]
    return second if f"rankloom.{second}" in PACKAGES else "face"


def test_the_walk_sees_every_room():
    assert {room(name) for name in MODULES} == {"face", "datasets", "ltr", "bandit"}


def test_every_folder_with_an_init_is_listed_and_mapped():
    """An unlisted package is left out of the wheel without a word."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setuptools = config["tool"]["setuptools"]
    present = {name: file.parent for name, file in MODULES.items() if file.name == "__init__.py"}
    mapped = {name: ROOT / folder for name, folder in setuptools["package-dir"].items()}
    assert set(setuptools["packages"]) == set(present)
    assert mapped == present


def test_no_module_lies_in_a_folder_without_an_init():
    assert [
        str(file) for file in MODULES.values() if not (file.parent / "__init__.py").exists()
    ] == []


@pytest.mark.parametrize("link", ["datasets", "ltr", "bandit"])
def test_the_face_links_to_the_folders(link):
    """Type checkers and editors follow these links; setuptools follows package-dir."""
    path = ROOT / "src" / "rankloom" / link
    assert path.is_symlink()
    assert path.readlink() == Path("..") / ".." / link
    assert path.resolve() == ROOT / link


@every_module
def test_inside_the_library_imports_are_relative(name):
    absolute = [target for level, target in imports_of(name) if level == 0]
    assert [target for target in absolute if target.split(".")[0] == "rankloom"] == []


PERMITTED = {
    "datasets": {"datasets", "face"},
    "ltr": {"ltr", "datasets", "face"},
    "bandit": {"bandit", "datasets", "face"},
    "face": {"face", "datasets", "ltr", "bandit"},
}


@every_module
def test_rooms_import_only_what_they_may(name):
    """Datasets knows neither ltr nor bandit; those two know datasets and never each other."""
    targets = [target for level, target in imports_of(name) if level > 0]
    assert {room(target) for target in targets} <= PERMITTED[room(name)]


COMMAND_LINE = {"rankloom.cli", "rankloom._cli", "rankloom.__main__"}


@pytest.mark.parametrize("name", [name for name in MODULES if room(name) != "face"])
def test_no_room_knows_the_command_line(name):
    """Rooms may use the face's errors and helpers; its commands would tie the library to them."""
    targets = [target for level, target in imports_of(name) if level > 0]
    assert {".".join(target.split(".")[:2]) for target in targets} & COMMAND_LINE == set()


@every_module
def test_heavy_libraries_are_imported_where_they_are_used(name):
    found = {target.split(".")[0] for _, target in imports_of(name, top_level=True)}
    assert found & HEAVY == set()


@every_module
def test_every_module_says_what_it_is_for(name):
    assert ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))


def test_nothing_at_the_root_puts_the_root_on_the_path():
    """A root conftest or a pythonpath would make `import datasets` find ours, not another's."""
    pytest_settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "pytest"
    ]["ini_options"]
    assert not (ROOT / "conftest.py").exists()
    assert not (ROOT / "__init__.py").exists()
    assert "pythonpath" not in pytest_settings
    assert "--import-mode=importlib" in pytest_settings["addopts"]
