"""`load_pairs` in partitions on disk with `load_pairs` in memory: time, memory, and the same pairs.

Files of about a million rows each (as in `load_pairs.py`, with users). Every load runs in a process
of its own with everything compiled beforehand; the hash is blake2b of every array and every id.
``anonymous`` is what the process itself holds, ``mapped`` what it has of files in memory at its
peak, which the system takes back where memory is short; their peaks need not coincide.

    python benchmarks/loading/out_of_core.py --rows 10 50 --limit 2GB
    python benchmarks/loading/out_of_core.py --rows 100 --limit 2GB --only partitions
    python benchmarks/loading/out_of_core.py --rows 100 --limit 2GB --only partitions --train ips
    python benchmarks/loading/out_of_core.py --rows 10 --limit 1GB --late 20000

With ``--train`` the pairs have two features of documents, and a ranker is trained on them in the
same process; ``fit`` is what that took, its hash that of the model. With ``--late``, so many clicks
of each file come again as purchases three hours later that name neither execution nor position,
and ``attribution="1d"`` finds their displays.

exit code: 0 if the pairs and models are the same, the peak of loading is at most 1.25 times the
limit from 50 M rows on and that of training at most twice the limit, and loading in partitions
takes at most 2.5 times as long as in memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from load_pairs import catalogue, make_files

if TYPE_CHECKING:
    from collections.abc import Iterator

ARRAYS = (
    *("X", "y", "clicked", "negative", "group", "position", "document_score", "age_days"),
    *("weight", "time", "query_code", "document_code"),
)
TEXTS = ("execution_id", "queries", "documents")
CHUNK = 1 << 18
MEMORY = {"peak_gb": "VmRSS", "anonymous_gb": "RssAnon", "mapped_gb": "RssFile"}


class MemoryWatch(threading.Thread):
    """Looks at this process's memory twenty times a second; sizes in GB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys(MEMORY, 0.0)

    def run(self) -> None:
        """Keep the highest values."""
        while True:
            for name, field in MEMORY.items():
                self.peaks[name] = max(self.peaks[name], memory(field))
            time.sleep(0.05)


def memory(field: str) -> float:
    """Return a field of this process's status in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith(field))


def digest(pairs: Any) -> str:
    """Return one hash of all arrays and ids."""
    found = hashlib.blake2b(digest_size=8)
    for name in ARRAYS:
        array = getattr(pairs, name)
        for start in range(0, len(array), CHUNK):
            found.update(np.ascontiguousarray(array[start : start + CHUNK]).tobytes())
    for name in TEXTS:
        texts = getattr(pairs, name)
        for start in range(0, len(texts), CHUNK):
            found.update("\0".join(texts[start : start + CHUNK].to_list()).encode())
    return found.hexdigest()


@contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Fill in what the body took."""
    watch, found = MemoryWatch(), {}
    watch.start()
    wall, cpu = time.perf_counter(), time.process_time()
    yield found
    found["wall"], found["cpu"] = time.perf_counter() - wall, time.process_time() - cpu
    found.update(watch.peaks)


def late_purchases(files: list[str], each: int, folder: Path) -> str:
    """Write purchases that are to be attributed to a file of their own, and return its path."""
    nameless = ("execution_id", "session_id", "position")
    parts = [
        pl.scan_parquet(file)
        .filter(pl.col("interaction_type").list.contains("click"))
        .collect()
        .sample(each, seed=1)
        .with_columns(
            pl.lit(["purchase"]).alias("interaction_type"),
            pl.col("timestamp").dt.offset_by("3h"),
            *(pl.when(pl.lit(value=False)).then(name).alias(name) for name in nameless),
        )
        for file in files
    ]
    path = folder / "late.parquet"
    pl.concat(parts).write_parquet(path)
    return str(path)


def with_features() -> dict[str, Any]:
    """Return options that give the pairs the features of `make_files`' catalogue alone."""
    names = [f"f{i}" for i in range(2)]
    features = catalogue().select("feature_id", *names).unique("feature_id")
    return {"features": features, "builtin_features": ()}


def load_once(
    files: list[str], options: dict[str, Any], train: str | None = None
) -> dict[str, Any]:
    """Load in this process, and train there, and return what it took."""
    from rankloom.datasets import load_pairs

    if train:
        options = options | with_features()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.parquet"
        pl.scan_parquet(files[0]).head(5_000).collect().write_parquet(small)
        load_pairs(small, **options)
    with measured() as load:
        pairs = load_pairs(files, half_life=30.0, **options)
    load |= {"peak_gb": memory("VmHWM"), "pairs": len(pairs)}
    load["attributed"] = pairs.report.rows_attributed
    if train:
        load["fit"] = train_once(pairs, train)
    return load | {"hash": digest(pairs)}


def train_once(pairs: Any, mode: str) -> dict[str, Any]:
    """Train on pairs in this process and return what it took."""
    from rankloom.ltr import Ranker

    with measured() as fit:
        ranker = Ranker(mode, n_jobs=1, random_state=0).fit(pairs)
    model = ranker.booster_.model_to_string()
    return fit | {"hash": hashlib.blake2b(model.encode(), digest_size=8).hexdigest()}


def in_a_process(
    files: list[str], options: dict[str, Any], train: str | None = None
) -> dict[str, Any]:
    """Load in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, __file__, "--job"],
        input=json.dumps({"files": files, "options": options, "train": train}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run the benchmark, or one load of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[10.0], help="in millions")
    parser.add_argument("--limit", default="2GB")
    parser.add_argument("--folder", default=None, help="for files, some 150 bytes a row")
    parser.add_argument("--only", choices=["memory", "partitions"])
    parser.add_argument("--train", choices=["ips", "click_model", "auto"])
    parser.add_argument("--late", type=int, default=0, help="rows of each file to attribute")
    parser.add_argument("--files", help="folder of Parquet files to load instead of made ones")
    parser.add_argument("--job", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(load_once(**json.load(sys.stdin))))
        return
    holds = True
    for millions in given.rows:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            files = sorted(map(str, Path(given.files).glob("*.parquet"))) if given.files else None
            files = files or make_files(Path(folder), millions, users=True)
            ways = {"memory": {}, "partitions": {"memory_limit": given.limit, "workdir": folder}}
            more = {"attribution": "1d"} if given.late else {}
            files += [late_purchases(files, given.late, Path(folder))] if given.late else []
            found = {
                name: in_a_process(files, options | more, given.train)
                for name, options in ways.items()
                if given.only in (None, name)
            }
        for name, result in found.items():
            print(f"{millions:g} M rows, {name}: {json.dumps(result)}", flush=True)
        holds &= bounds_hold(found, millions, given.limit)
    sys.exit(not holds)


def bounds_hold(found: dict[str, dict[str, Any]], millions: float, limit: str) -> bool:
    """Return whether what the head of this script demands holds."""
    from rankloom.datasets.loading.out_of_core import parse_size

    parts, whole = found.get("partitions"), found.get("memory")
    size = parse_size(limit) / 1e9
    small = not parts or millions < 50 or parts["peak_gb"] <= 1.25 * size
    if parts and "fit" in parts and millions >= 50:
        small &= parts["fit"]["peak_gb"] <= 2 * size
    if not (parts and whole):
        return small
    ratio = parts["wall"] / whole["wall"]
    print(f"{millions:g} M rows: {ratio:.2f} times as long as in memory")
    same = parts["hash"] == whole["hash"]
    if "fit" in whole:
        same &= parts["fit"]["hash"] == whole["fit"]["hash"]
    return small and ratio <= 2.5 and same


if __name__ == "__main__":
    main()
