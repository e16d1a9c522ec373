"""Interactions to training pairs: rankloom against pandas, polars and DuckDB doing the same job.

Makes synthetic interactions with `simulate_interactions` as Parquet files of about a million rows
(about 12 rows an execution, 10 documents each, 3 % duplicates, 8 % of rows with several types),
then lets every contender turn them into the same pairs: rows folded by execution and document,
grade, clicked, negative, position of the earliest event, score, channel code, canonical query id,
recency weight, all in the same order. Each contender runs in a process of its own, because peak
memory is a process's; rounds alternate; the median counts. ``bare scan`` only reads the columns.
Rivals are spared the duplicate count, which changes no pair.

    python benchmarks/loading/load_pairs.py  # 10.2 M rows, all contenders
    python benchmarks/loading/load_pairs.py --rows 1 10 50 --contenders rankloom  # slope of CPU
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from rivals import RIVALS, pairs_frame

HALF_LIFE = 30.0
EXECUTIONS_PER_FILE = 80_000


def catalogue() -> pl.DataFrame:
    """Return what the files show: queries, documents and their features."""
    from rankloom.datasets import simulate_catalogue

    return simulate_catalogue(
        n_queries=20_000, n_documents=30, n_features=2, n_channels=3, random_state=0
    ).with_columns(feature_id=pl.lit("catalogue/documents/") + pl.col("feature_id"))


def make_files(folder: Path, millions: float, *, users: bool = False) -> list[str]:
    """Write Parquet files that hold about so many million rows; time runs on from file to file."""
    from rankloom.datasets import simulate_interactions

    shown = catalogue()
    files: list[str] = []
    rows = 0
    while rows < millions * 1e6:
        log = simulate_interactions(
            shown,
            n_executions=EXECUTIONS_PER_FILE,
            random_state=len(files),
            id_prefix=f"{len(files):03d}-",
            start=datetime(2025, 1, 1) + timedelta(days=len(files)),  # noqa: DTZ001 - naive is UTC
            days=1,
            attractiveness=(0.05, 0.5),
            duplicates=0.03,
            several_types=0.08,
            metadata=False,
        ).drop("interaction_id", "occurred_at", "metadata", *(() if users else ("user_id",)))
        log = log.head(int(millions * 1e6) - rows)
        path = folder / f"part-{len(files):03d}.parquet"
        log.write_parquet(path, row_group_size=500_000)
        files.append(str(path))
        rows += len(log)
    return files


def rankloom_pairs(files: list[str]) -> pl.DataFrame:
    """Load with rankloom; `pairs_frame` is only called for the comparison."""
    from rankloom.datasets import load_pairs

    return load_pairs(files, half_life=HALF_LIFE)


def contend(name: str, files: list[str], out: str | None) -> dict[str, float]:
    """Run one contender in this process, with everything imported and compiled beforehand."""
    run = rankloom_pairs if name == "rankloom" else RIVALS[name]
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.parquet"
        pl.scan_parquet(files[0]).head(5_000).collect().write_parquet(small)
        run([str(small)])
    before = peak_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(files)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if out:
        pairs_frame(result).write_parquet(out)
    return {"wall": wall, "cpu": cpu, "peak_gb": peak_memory(), "start_gb": before}


def peak_memory() -> float:
    """Return this process's peak memory in GB.

    Not `resource.getrusage`, where a child starts from the peak of its parent.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e6 for line in status if line.startswith("VmHWM"))


def in_a_process(name: str, files: list[str], out: str | None = None) -> dict[str, float]:
    """Run a contender in a fresh interpreter and return what it measured."""
    job = json.dumps({"name": name, "files": files, "out": out})
    done = subprocess.run(
        [sys.executable, __file__, "--job", "-"],
        input=job,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(a: Path, b: Path) -> dict[str, float | int]:
    """Say whether two contenders made the same pairs: exactly, or to 1e-6 for floats."""
    left, right = pl.read_parquet(a), pl.read_parquet(b)
    if left.shape != right.shape:
        sys.exit(f"different shapes: {left.shape} and {right.shape}")
    different, largest = 0, 0.0
    for name in left.columns:
        x, y = left[name], right[name]
        if x.dtype.is_float():
            gap = np.abs(x.to_numpy() - y.to_numpy()) / np.maximum(np.abs(y.to_numpy()), 1e-12)
            largest = max(largest, float(np.nanmax(gap)))
            different += int((x.is_nan() != y.is_nan()).sum())
        else:
            different += int((x != y).sum())
    return {"pairs": len(left), "different": different, "largest_relative_gap": largest}


def measure(files: list[str], names: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Alternate the contenders and take medians."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            runs[name].append(in_a_process(name, files))
    return {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }


def show(millions: float, results: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    base = results.get("rankloom", next(iter(results.values())))
    print(f"\n{millions} M rows")
    print(" " * 12 + f"{'wall s':>9s}{'CPU s':>9s}{'peak GB':>9s}{'x rankloom':>12s}")
    for name, found in results.items():
        ratio = found["wall"] / base["wall"]
        print(
            f"{name:12s}{found['wall']:9.2f}{found['cpu']:9.2f}{found['peak_gb']:9.2f}{ratio:12.1f}"
        )


def slope(results: dict[str, dict[str, dict[str, float]]]) -> float | None:
    """Return the exponent of CPU time over rows, between the smallest and the largest size."""
    sizes = sorted(results, key=float)
    if len(sizes) < 2:
        return None
    low, high = (results[size]["rankloom"]["cpu"] for size in (sizes[0], sizes[-1]))
    return float(np.log(high / low) / np.log(float(sizes[-1]) / float(sizes[0])))


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    everybody = ["rankloom", "bare scan", *(name for name in RIVALS if name != "bare scan")]
    parser.add_argument("--rows", type=float, nargs="+", default=[10.2], help="in millions")
    parser.add_argument("--contenders", nargs="+", default=everybody, choices=everybody)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-comparison", action="store_true")
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the benchmark, or one contender of it."""
    options = arguments()
    if options.job:
        job = json.load(sys.stdin)
        print(json.dumps(contend(job["name"], job["files"], job["out"])))
        return
    results: dict[str, dict[str, dict[str, float]]] = {}
    for millions in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            files = make_files(Path(folder), millions)
            results[str(millions)] = measure(files, options.contenders, options.rounds)
            show(millions, results[str(millions)])
            if "pandas" in options.contenders and not options.no_comparison:
                ours, theirs = Path(folder) / "ours.parquet", Path(folder) / "pandas.parquet"
                in_a_process("rankloom", files, str(ours))
                in_a_process("pandas", files, str(theirs))
                print("against pandas:", compare(ours, theirs))
    exponent = slope(results)
    if exponent is not None:
        print(f"CPU time grows with exponent {exponent:.3f}")
    versions = {"polars": pl.__version__, "numpy": np.__version__, "threads": pl.thread_pool_size()}
    print(versions)
    if options.out:
        Path(options.out).write_text(
            json.dumps({"results": results, "exponent": exponent, "versions": versions}, indent=1)
        )


if __name__ == "__main__":
    main()
