"""The README's snippets run as printed, and its layout table tells of everything."""

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """Return the code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(command, folder):
    """Run a command in an empty folder, with this environment's rankloom on the path."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_two_commands_come_first_and_exist():
    first = blocks("sh")[0]
    targets = re.findall(r"^make (\S+)", first, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["demo", "test"]
    assert README.index(first) < README.index("```python")
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_the_quickstart_is_ten_lines_and_runs_as_printed(tmp_path):
    code = blocks("python")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    done = run([sys.executable, "-W", "error", "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Examination by position" in done.stdout
    assert "nDCG@10" in done.stdout


def test_every_further_snippet_runs_as_printed(tmp_path):
    further = blocks("python")[1:]
    assert further
    for code in further:
        done = run([sys.executable, "-W", "error", "-c", code], tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def shell_session(word):
    """Return the one shell block that holds a word."""
    (session,) = [block for block in blocks("sh") if word in block]
    return session


def test_the_shell_session_runs_as_printed(tmp_path):
    session = shell_session("rankloom train")
    done = run(["bash", "-euo", "pipefail", "-c", session], tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"position":0' in done.stdout.splitlines()[-1]
    assert (tmp_path / "curve.png").stat().st_size > 0


def free_port():
    """Return a port that the system gives to nobody by itself before the service takes it."""
    for port in random.sample(range(10_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    return pytest.fail("no port is free")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_session_with_the_service_runs_as_printed_but_on_a_free_port(tmp_path):
    port = free_port()
    session = shell_session("rankloom serve").replace("8000", str(port))
    done = run(["bash", "-uo", "pipefail", "-c", session], tmp_path)
    assert f"serving on http://127.0.0.1:{port}" in done.stdout
    assert '"deduplicated":false' in done.stdout
    assert '"policy":"learned"' in done.stdout or '"policy":"fallback"' in done.stdout


def test_every_command_of_the_command_line_stands_in_the_readme():
    from rankloom.cli import app

    names = [
        each.name or each.callback.__name__.replace("_", "-") for each in app.registered_commands
    ]
    assert [name for name in names if not re.search(rf"(rankloom|make) {name}", README)] == []


@pytest.mark.parametrize(
    "name", sorted(p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] not in "._")
)
def test_every_folder_at_the_top_stands_in_the_layout_table(name):
    made = {"build", "dist", "demo-output", "rankloom.egg-info", "__pycache__"}
    assert name in made or name == "src" or f"| `{name}/` |" in README


def test_every_relative_link_leads_somewhere():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert links


def test_every_benchmark_stands_in_the_table_of_its_folder():
    folder = ROOT / "benchmarks"
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in folder.glob("*.py") if f"`{path.name}`" not in text] == []
    named = set(re.findall(r"benchmarks/(\w+\.py)", text))
    assert [name for name in named if not (folder / name).exists()] == []
