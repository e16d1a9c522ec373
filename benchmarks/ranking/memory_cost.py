"""What building and serving a memory of queries costs, beside `load_pairs` alone.

The log is that of `loading/load_pairs.py`: about 12 rows an execution, 20,000 queries. Each size
runs in a process of its own, because peak memory is a process's. Without a ranker, so that the
prior is production's order: a ranker's predictions cost the same with and without a memory.

usage: memory_cost.py [--millions N ...] [--folder DIR] [--out FILE]
exit code: 0 if every bound in `judge` holds, else 1
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

MAX_RATIO, MAX_GIGABYTES, MAX_BYTES, MAX_MICROSECONDS = 1.5, 2.0, 48.0, 100.0
DOCUMENTS = 100


def measure(files: list[str]) -> dict[str, Any]:
    """Load and build once, and serve 100 documents of a query many times."""
    from rankloom.datasets import load_pairs
    from rankloom.ltr import QueryMemory

    few = load_pairs(files[0], builtin_features=()).take(np.arange(2_000))
    QueryMemory().fit(few)  # compiles
    start, cpu = time.perf_counter(), time.process_time()
    pairs = load_pairs(files, builtin_features=())
    loaded, loaded_cpu = time.perf_counter() - start, time.process_time() - cpu
    start, cpu = time.perf_counter(), time.process_time()
    memory = QueryMemory().fit(pairs)
    built, built_cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    documents = len(memory.served.table.document)
    return {
        "rows": pairs.report.rows_read,
        "pairs": len(pairs),
        "documents": documents,
        "seconds": [loaded, built],
        "cpu": [loaded_cpu, built_cpu],
        "ratio of cpu": 1 + built_cpu / loaded_cpu,
        "gigabytes": peak,
        "bytes a document": len(memory.to_bytes(serving=True)) / documents,
        "bytes without names": len(memory.to_bytes(serving=True, names=False)) / documents,
        **serving(memory, pairs),
    }


def serving(memory: Any, pairs: Any) -> dict[str, float]:
    """Return microseconds for 100 documents of a query: ids met before, and new ones."""
    known = pairs.documents.head(20_000).to_list()
    queries = pairs.queries.to_list()
    generator = np.random.default_rng(0)
    scores = -np.arange(DOCUMENTS, dtype=np.float32)
    times: dict[str, list[float]] = {"met before": [], "new": []}
    for round_ in range(3_000):
        query = queries[int(generator.integers(len(queries)))]
        ids = [known[i] for i in generator.integers(0, len(known), DOCUMENTS)]
        new = [f"{round_}/{i}" for i in range(DOCUMENTS)]
        for name, listed in (("met before", ids), ("new", new)):
            start = time.perf_counter()
            memory.rescore(query, listed, scores)
            times[name].append(1e6 * (time.perf_counter() - start))
    half = len(times["new"]) // 2  # the first half fills the cache
    return {f"us, documents {name}": float(np.median(t[half:])) for name, t in times.items()}


def judge(results: list[dict[str, Any]]) -> list[str]:
    """Return the bounds that do not hold."""
    missed = []
    for result in results:
        bounds = {
            "ratio of cpu": MAX_RATIO,
            "bytes a document": MAX_BYTES,
            "us, documents met before": MAX_MICROSECONDS,
        }
        if result["rows"] <= 11e6:
            bounds["gigabytes"] = MAX_GIGABYTES
        missed += [
            f"{result['rows']:,} rows: {name} {result[name]:.2f}, at most {most:.2f} wanted"
            for name, most in bounds.items()
            if result[name] > most
        ]
    return missed


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", nargs="+", type=float, default=[10.0])
    parser.add_argument("--folder", type=Path, help="where the log is, or is made")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--files", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.files:
        print(json.dumps(measure(options.files)))
        return 0
    # First, because both folders have a module named rivals.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "loading"))
    from load_pairs import make_files

    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        files = sorted(map(str, folder.glob("*.parquet")))
        files = files or make_files(folder, max(options.millions))
        for millions in options.millions:
            used = files[: max(1, round(millions))]
            command = [sys.executable, __file__, "--files", *used]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results.append(json.loads(done.stdout))
            print(json.dumps(results[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(results))
    missed = judge(results)
    print("\n".join(f"missed: {each}" for each in missed) or "all bounds hold")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
