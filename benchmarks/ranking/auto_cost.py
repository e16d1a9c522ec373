"""What `Ranker("auto").fit` costs compared with one naive `lightgbm.train`, and how it grows.

The logs are those of `unbiased_ltr.py` (PBM, three weak rankers). At the first size both sides run
in alternating order, each from the loaded pairs; LightGBM is handed the executions that hold a
pair. Further sizes are fitted once, and the exponent is the slope of log CPU time over log
executions between the first and the last size.

usage: auto_cost.py [--data DIR] [--sizes N ...] [--rounds N] [--threads N] [--out JSON]
exit code: 0 if the ratio of CPU times is at most 6 at the first size and the exponent at most 1.05
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
from letor_protocol import DEFAULT_DATA, versions
from simulated_log import ROUNDS, World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable

TIMES, EXPONENT = 6.0, 1.05


def naive(world: World) -> None:
    """LightGBM's lambdarank on the sessions."""
    found = world.learnable()
    data = lightgbm.Dataset(found.X, found.y, group=found.group)
    lightgbm.train(world.lightgbm_options(world.leaf()), data, ROUNDS)


def auto(world: World) -> None:
    """Everything that the default does."""
    world.ranker("auto", 50).fit(world.pairs)


def seconds(run: Callable[[World], None], world: World) -> tuple[float, float]:
    """Return wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(world)
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(options: argparse.Namespace, sessions: int, rounds: int) -> dict[str, Any]:
    """Return the medians of both sides."""
    options.sessions = sessions
    world = make_world(options, "pbm", seed=options.seed)
    world.learnable()
    runs: dict[str, list[tuple[float, float]]] = {"naive": [], "auto": []}
    for i in range(rounds):
        for name in ("naive", "auto") if i % 2 == 0 else ("auto", "naive"):
            runs[name].append(seconds({"naive": naive, "auto": auto}[name], world))
    return {name: np.median(found, axis=0).tolist() for name, found in runs.items()}


def main() -> int:
    """Run, print the table and the verdicts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    parser.add_argument("--rounds", type=int, default=5, help="at the first size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.set_defaults(set="mq2007agg", swap=False)
    options = parser.parse_args()
    if not (options.data / options.set).is_dir():
        parser.exit(2, f"no {options.set} in {options.data}; give --data DIR\n")
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    auto(
        make_world(argparse.Namespace(**{**vars(options), "sessions": 1000}), "pbm", 1)
    )  # compiles
    print(f"{'executions':>12s}{'naive s':>10s}{'auto s':>10s}{'x wall':>8s}{'x CPU':>8s}")
    found = {}
    for size in options.sizes:
        rounds = options.rounds if size == options.sizes[0] else 1
        found[size] = measure(options, size, rounds)
        wall, cpu = (found[size]["auto"][k] / found[size]["naive"][k] for k in (0, 1))
        line = f"{size:12,d}{found[size]['naive'][1]:10.1f}{found[size]['auto'][1]:10.1f}"
        print(f"{line}{wall:8.2f}{cpu:8.2f}", flush=True)
    first, last = options.sizes[0], options.sizes[-1]
    ratio = found[first]["auto"][1] / found[first]["naive"][1]
    verdicts = {f"auto takes {ratio:.2f} times naive's CPU time, at most {TIMES:g}": ratio <= TIMES}
    if last > first:
        grown = math.log(found[last]["auto"][1] / found[first]["auto"][1])
        exponent = grown / math.log(last / first)
        verdicts[f"CPU time grows with exponent {exponent:.3f}, at most {EXPONENT}"] = (
            exponent <= EXPONENT
        )
    for text, holds in verdicts.items():
        print(f"{'holds' if holds else 'FAILS'}: {text}")
    if options.out:
        about = {"about": versions(), "threads": options.threads}
        record = {**about, "seconds": {str(size): value for size, value in found.items()}}
        options.out.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(verdicts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
