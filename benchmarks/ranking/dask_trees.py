"""Trees grown by LightGBM on Dask workers with those of one process, on simulated clicks.

Data, logs and settings are those of `unbiased_ltr.py` (MQ2007-agg, logging ``weak3``): NDCG@10 of
the same ranker fitted in one process and on a local cluster of processes with one thread each,
which it is made to use by ``node_limit=0``.

usage: dask_trees.py [--data DIR] [--sessions N] [--seeds N ...] [--columns NAME ...]
exit code: 1 if a model from Dask is further than 0.005 NDCG@10 from that of one process, else 0
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Client, LocalCluster
from letor_protocol import DEFAULT_DATA, versions
from simulated_log import make_world, mean_ndcg

if TYPE_CHECKING:
    from simulated_log import World

BOUND = 0.005
MODES = ("click_model", "auto", "ips", "none")


def compared(world: World, debias: str, client: Client) -> dict[str, float]:
    """Return NDCG@10 and seconds of one mode, in one process and on Dask."""
    min_rows = world.leaf() if debias == "none" else 50
    options: dict[str, dict[str, Any]] = {
        "one process": {},
        "dask": {"client": client, "node_limit": 0},
    }
    found = {}
    for name, where in options.items():
        started = time.perf_counter()
        ranker = world.ranker(debias, min_rows).fit(world.pairs, **where)
        found[f"{name}, seconds"] = time.perf_counter() - started
        found[name] = mean_ndcg(world.test, ranker.predict(world.test))
    return found | {"rows": ranker.training_report_["rows_trained"]}


def show(column: str, mode: str, runs: list[dict[str, float]]) -> float:
    """Print one row; return the largest difference."""
    one, dask = (np.array([run[name] for run in runs]) for name in ("one process", "dask"))
    apart = dask - one
    seconds = [
        np.mean([run[f"{name}, seconds"] for run in runs]) for name in ("one process", "dask")
    ]
    print(
        f"{column:9s}{mode:13s}{runs[0]['rows']:9,.0f}{one.mean():13.4f}{dask.mean():9.4f}"
        f"{apart.mean():+9.4f}{apart.min():+9.4f}{apart.max():+9.4f}"
        f"{seconds[0]:9.1f}{seconds[1]:7.1f}",
        flush=True,
    )
    return float(np.abs(apart).max())


def main() -> int:
    """Run all modes, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[300, 301, 302, 303])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["click_model", "auto"])
    parser.add_argument("--columns", nargs="+", default=["pbm"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.set, options.swap, options.threads = "mq2007agg", False, 1
    if not (options.data / options.set).is_dir():
        parser.exit(2, f"no {options.set} in {options.data}; give --data DIR\n")
    logging.getLogger("rankloom").setLevel(logging.ERROR)
    about = {**versions(), "dask": version("dask"), "distributed": version("distributed")}
    print(", ".join(f"{name} {each}" for name, each in about.items()))
    print(f"{options.sessions:,} sessions, seeds {options.seeds}, {options.workers} workers")
    print(
        f"{'':22s}{'rows':>9s}{'one process':>13s}{'Dask':>9s}{'mean':>9s}{'lowest':>9s}"
        f"{'highest':>9s}{'seconds':>9s}{'Dask':>7s}"
    )
    cluster = LocalCluster(
        n_workers=options.workers,
        processes=True,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
    )
    results: dict[str, list[dict[str, float]]] = {}
    furthest = 0.0
    with cluster, Client(cluster) as client:
        for column in options.columns:
            worlds = [make_world(options, column, seed) for seed in options.seeds]
            for mode in options.modes:
                runs = [compared(world, mode, client) for world in worlds]
                results[f"{column}, {mode}"] = runs
                furthest = max(furthest, show(column, mode, runs))
    holds = furthest <= BOUND
    print(f"{'holds' if holds else 'FAILS'}: at most {BOUND} apart ({furthest:.4f})")
    if options.out:
        options.out.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
