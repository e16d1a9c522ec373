"""Version, change log, constraints and file list agree with each other."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import rankloom

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def canonical(requirement):
    """Return the normalised name of a requirement, without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def test_the_version_stands_in_one_place():
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "rankloom._version.__version__"
    }
    assert importlib.metadata.version("rankloom") == rankloom.__version__


def test_the_changelog_opens_with_this_version():
    headings = re.findall(
        r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert headings[0] == rankloom.__version__


def test_constraints_are_sorted_names_and_versions_without_the_project_itself():
    names = [canonical(pin) for pin in PINS]
    form = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+( ; [^@/]+)?")
    assert [pin for pin in PINS if not form.fullmatch(pin)] == []
    assert names == sorted(set(names))
    assert "rankloom" not in names


def test_every_direct_requirement_is_pinned_in_the_constraints():
    project = PROJECT["project"]
    groups = [*project["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    named = [*project["dependencies"], *(one for group in groups for one in group)]
    direct = {canonical(one) for one in named} - {"rankloom"}
    assert direct - {canonical(pin) for pin in PINS} == set()


def test_the_extra_named_all_holds_every_other_extra_but_spark():
    # PySpark and its client, with which the tests run, are the same package in two distributions.
    extras = PROJECT["project"]["optional-dependencies"]
    listed = re.fullmatch(r"rankloom\[(.+)\]", *extras["all"])[1]
    assert sorted(listed.split(",")) == sorted(set(extras) - {"all", "spark"})


def test_the_licence_ships_with_the_package():
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_no_file_names_a_package_index():
    """Where packages come from is the reader's choice; these files work with any index."""
    for file in ("Makefile", "constraints.txt", "pyproject.toml", ".ci/run"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.findall(r"https?://|index-url|find-links|file://", text) == [], file


def test_the_citation_names_what_the_project_says_of_itself():
    """The keys that version 1.2.0 of the format requires, and no other name, version or licence."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = PROJECT["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == project["name"]
    assert citation["version"] == rankloom.__version__
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]
    assert citation["keywords"] == project["keywords"]
    assert all(isinstance(value, str) for value in (citation["message"], citation["abstract"]))


def test_the_lowest_versions_are_those_of_the_requirements():
    """What `.ci/lowest.py` prints: a line for every run-time dependency and each of an extra."""
    printed = subprocess.run(
        [sys.executable, ".ci/lowest.py", "redis", "serve"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    project = PROJECT["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *extras["redis"], *extras["serve"]]
    assert {canonical(line) for line in printed} == {canonical(one) for one in named}
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in printed)
    (numpy,) = [one for one in project["dependencies"] if canonical(one) == "numpy"]
    assert numpy.replace(">=", "==") in printed
