"""Code blocks of documents, and processes that run them as printed, in an empty folder."""

import contextlib
import os
import random
import re
import socket
import subprocess
import sys

import pytest

FILE_NAME = re.compile(r"^# ([\w./-]+\.\w+)\n")
"""A block whose first line is a comment with a file's name is the content of that file."""


def blocks(text, language):
    """Return the code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(command, folder):
    """Run a command in a folder, with this environment's rankloom on the path."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # noqa: PTH120
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )


def run_python(code, folder):
    """Run a snippet in a process of its own, where warnings are errors."""
    return run([sys.executable, "-W", "error", "-c", code], folder)


def run_shell(session, folder):
    """Run a shell session that ends at the first command that fails."""
    return run(["bash", "-euo", "pipefail", "-c", session], folder)


def write_files(text, folder):
    """Write the blocks of a document that are contents of files, and return their names."""
    names = []
    for code in re.findall(r"^```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if named := FILE_NAME.match(code):
            (folder / named[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / named[1]).write_text(code, encoding="utf-8")
            names.append(named[1])
    return names


def free_port():
    """Return a free port outside the range from which the system assigns ports by itself."""
    for port in random.SystemRandom().sample(range(10_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    return pytest.fail("no port is free")
