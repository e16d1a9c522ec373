"""Promote in child processes, of which each is killed at a later step; print what was served.

Arguments: registry, model. Every step that Python's audit hooks see (files opened, renamed, linked,
removed) is a moment of death of one child. Prints the trees of the model that is served, the number
of versions, and the step for each. LightGBM is used in children only: its threads do not survive a
fork.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

import lightgbm  # noqa: F401 - imported before the forks, as that takes long

from rankloom.ltr import ModelRegistry
from rankloom.ltr.model.files import read_model

EVENTS = ("open", "os.", "shutil.", "tempfile.", "fcntl.")


def promote_until(registry, model, step):
    """Promote, and be killed just before a step."""
    count = 0

    def watch(event, _):
        nonlocal count
        if event.startswith(EVENTS):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    ModelRegistry(registry, keep=2).promote(model, force=f"step {step}")


def main(registry, model):
    """Kill one child a step, until one comes to the end."""
    for step in range(1, 2000):
        before = (registry / "current").readlink()
        child = os.fork()
        if not child:
            try:
                promote_until(registry, model, step)
            except BaseException:  # noqa: BLE001 - a child never returns
                traceback.print_exc()
                os._exit(2)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            sys.stdout.write("whole\n")
            break
        trees = read_model(registry / "current")[0].count("\nTree=")  # checks every digest
        listed = len(ModelRegistry(registry).versions())
        sys.stdout.write(f"{trees} {listed} {step}\n")
        sys.stdout.flush()  # before the next fork
        if (registry / "current").readlink() != before:
            (registry / "current").unlink()
            (registry / "current").symlink_to(before)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
