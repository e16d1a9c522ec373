"""Check what a build made: the wheel holds the packages and nothing else, the sdist builds it.

Usage: check_packages.py SDIST WHEEL, from the root of the checkout. The sdist holds no links, so
the wheel that pyproject-build made from it also shows that a checkout without links builds.
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path


def expected_files(root: Path) -> set[str]:
    """Return the wheel's files outside its metadata, read from the tree."""
    package = root / "src" / "rankloom"
    links = ("datasets", "ltr", "bandit", "retrieval", "insights")
    folders = [package, *(package / link for link in links)]
    modules = {
        str(file.relative_to(root / "src"))
        for folder in folders
        for pattern in ("*.py", "*.pyi", "templates/*")
        for file in folder.rglob(pattern)
    }
    return modules | {"rankloom/py.typed"}


def wheel_files(wheel: Path) -> tuple[set[str], set[str]]:
    """Return the names outside and inside the metadata folder."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in names if ".dist-info/" in name}
    return names - metadata, {name.partition(".dist-info/")[2] for name in metadata}


def sdist_files(sdist: Path) -> set[str]:
    """Return the names below the sdist's one folder."""
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def main() -> int:
    """Compare, and say every difference."""
    sdist, wheel = (Path(argument) for argument in sys.argv[1:])
    expected = expected_files(Path.cwd())
    files, metadata = wheel_files(wheel)
    problems = [
        *(f"the wheel lacks {name}" for name in sorted(expected - files)),
        *(
            f"the wheel has {name}, which is no part of the package"
            for name in sorted(files - expected)
        ),
        *(
            f"the wheel's metadata lacks {name}"
            for name in ("licenses/LICENSE", "METADATA", "entry_points.txt")
            if name not in metadata
        ),
        *(
            f"the sdist holds the test {name}"
            for name in sdist_files(sdist)
            if name.startswith("tests/")
        ),
    ]
    print("\n".join(problems) or f"{wheel.name}: {len(files)} files, as expected")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
