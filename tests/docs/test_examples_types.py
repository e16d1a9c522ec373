"""What users copy from the README and the how-to pages passes mypy with the project's settings.

The cells of the guide are left out: they draw and print with libraries whose stubs are narrow.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .snippets import FILE_NAME, blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/how-to").glob("*.md")]


def examples(text):
    """Return the Python blocks of a page that are no files."""
    return [code for code in blocks(text, "python") if not FILE_NAME.match(code)]


def write_examples(folder):
    """Write every example as a module named for its page, and return how many there are."""
    count = 0
    for path in PAGES:
        page = path.relative_to(ROOT)
        stem = re.sub(r"\W", "_", str(page.with_suffix("")))
        for number, code in enumerate(examples(path.read_text(encoding="utf-8"))):
            (folder / f"{stem}_{number}.py").write_text(code, encoding="utf-8")
            count += 1
    return count


@pytest.mark.slow
def test_examples_have_types_that_fit(tmp_path):
    """With the project's settings, whose cache of what the library's types are is used again."""
    pytest.importorskip("mypy", reason="the group `check` is not installed")
    assert write_examples(tmp_path) > 5  # the README has three
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *sorted(tmp_path.glob("*.py"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
