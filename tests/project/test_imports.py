"""Importing rankloom is cheap, finds the right package, and offers exactly what it promises."""

import collections
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    "rankloom",
    "rankloom.datasets",
    "rankloom.datasets.click_models",
    "rankloom.ltr",
    "rankloom.bandit",
    "rankloom.retrieval",
]
LIBRARY = [
    ROOT / "src",
    *(link.resolve() for link in (ROOT / "src" / "rankloom").iterdir() if link.is_symlink()),
]
every_package = pytest.mark.parametrize("package", PACKAGES)


def python(code, *, cwd=ROOT, **environment):
    """Run code in a fresh interpreter and return what it prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_checkout_as_working_folder_does_not_hide_the_package():
    where = python("import json, rankloom.datasets as d; print(json.dumps(d.__name__))")
    assert where == "rankloom.datasets"


@pytest.mark.parametrize("name", ["datasets", "bandit", "ltr", "retrieval"])
def test_under_pytest_the_bare_names_are_not_ours(name):
    """Hugging Face's `datasets` and PyCQA's `bandit` live in every ML engineer's environment."""
    found = importlib.util.find_spec(name)
    origins = [] if found is None else [found.origin, *(found.submodule_search_locations or [])]
    ours = [origin for origin in origins if origin and Path(origin).is_relative_to(ROOT)]
    assert [origin for origin in ours if "site-packages" not in Path(origin).parts] == []


@pytest.mark.parametrize(
    "module",
    ["rankloom", "rankloom.bandit", "rankloom.datasets", "rankloom.ltr", "rankloom.retrieval"],
)
def test_import_loads_nothing_beyond_numpy_and_the_standard_library(module):
    """Services import this at start-up; scipy alone would cost 150 ms and numba 200."""
    code = f"""if True:
        import json, sys
        before = set(sys.modules)
        import {module}
        names = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        print(json.dumps(sorted(names - sys.stdlib_module_names - {{"numpy", "rankloom"}})))
    """
    assert python(code) == []


def test_the_command_line_starts_without_the_engines():
    """`rankloom --help` must not wait for polars and LightGBM."""
    code = """if True:
        import contextlib, io, json, sys
        from rankloom.cli import main
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                main(["--help"])
            except SystemExit as exit:
                assert exit.code == 0
        heavy = {"polars", "lightgbm", "numba", "scipy", "sklearn", "pandas", "numpy"}
        print(json.dumps(sorted(heavy & set(sys.modules))))
    """
    assert python(code) == []


@every_package
def test_every_public_name_resolves_and_is_ours(package):
    module = importlib.import_module(package)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        value = getattr(module, name)
        home = getattr(value, "__module__", package)
        assert home.startswith("rankloom")


@every_package
def test_no_public_name_is_also_the_name_of_a_submodule(package):
    """Importing the submodule would put the module in the place of the function."""
    module = importlib.import_module(package)
    submodules = {file.stem for file in Path(module.__file__).parent.glob("*.py")}
    assert set(module.__all__) & submodules == set()


@every_package
def test_a_name_that_does_not_exist_is_an_attribute_error(package):
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        module.Nonsense  # noqa: B018 - the access is the test


def test_a_close_name_is_suggested():
    import rankloom

    with pytest.raises(AttributeError, match="Did you mean 'TrainingPairs'"):
        rankloom.TrainingPair  # noqa: B018 - the access is the test


def test_the_test_run_imports_no_file_under_two_names():
    """The links in src/rankloom lead to folders that also stand at the root: one name each.

    What is looked at is what this process has imported: in `make test` all tests and doctests.
    """
    importlib.import_module("rankloom.datasets.pairs.training_pairs")
    names = collections.defaultdict(list)
    for name, module in sorted(sys.modules.items()):
        file = Path(os.path.realpath(getattr(module, "__file__", None) or "/"))
        if file.suffix == ".py" and any(file.is_relative_to(folder) for folder in LIBRARY):
            names[file].append(name)
    assert names[ROOT / "datasets" / "pairs" / "training_pairs.py"]
    assert {file: found for file, found in names.items() if len(found) != 1} == {}
    assert {found[0].partition(".")[0] for found in names.values()} == {"rankloom"}
