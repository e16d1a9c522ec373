"""Print a constraint file with the lowest versions that pyproject.toml names, for pip.

Usage: lowest.py [EXTRA ...] > lowest.txt, from the root of the checkout. Of the run-time
dependencies and of these extras, each gets its lower bound as its version. What these bring along
is left to pip, since it has to fit them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=([0-9.]+)")


def lowest(requirement: str) -> str:
    """Return NAME==VERSION of a requirement NAME[EXTRA]>=VERSION; anything else is refused."""
    named = re.sub(r"\s", "", requirement.partition(";")[0])
    found = BOUND.fullmatch(named)
    if found is None:
        sys.exit(f"lowest.py: expected NAME>=VERSION, got {requirement!r}")
    return f"{found[1]}=={found[2]}"


def main() -> None:
    """Print a line for each requirement."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = list(project["dependencies"])
    for extra in sys.argv[1:]:
        requirements += project["optional-dependencies"][extra]
    for line in sorted({lowest(requirement) for requirement in requirements}):
        print(line)


if __name__ == "__main__":
    main()
