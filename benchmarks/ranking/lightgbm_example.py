"""`Ranker(debias="none")` against `lightgbm.train` on LightGBM's own ranking example.

Both sides train on rank.train (read by `load_letor`) with the same parameters, rank rank.test,
and are judged by the same NDCG@5 (gain 2^grade - 1, queries without a positive grade left out).
Three settings: the ranker's defaults, the defaults with small leaves, and those of LightGBM's own
example (train.conf: 100 rounds, learning rate 0.1, 31 leaves, bagging and feature fraction). As a
check of the reader, LightGBM also trains on the matrix that scikit-learn reads from the same file.

The ranker leaves out lists without a pair of different grades: lambdarank learns nothing from them,
yet they count towards bins, bagging and min_data_in_leaf. Where the file has such lists both sides'
trees differ, by chance to the better or worse; so LightGBM also trains on the rows that the ranker
keeps ("same rows"), and the interval (paired bootstrap over the test queries) says what chance
does.

usage: lightgbm_example.py [--data DIR] [--threads N] [--out JSON]
exit code: 0 if the ranker reaches at least what LightGBM reaches in every setting, else 1
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import sklearn
from sklearn.datasets import load_svmlight_file

import rankloom
from rankloom.datasets import TrainingPairs, load_letor
from rankloom.ltr import Ranker
from rankloom.ltr.metrics.bootstrap import paired_bootstrap
from rankloom.ltr.metrics.ranking import ndcg

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
COMMON = {
    "objective": "lambdarank",
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
DEFAULTS = {
    "num_iterations": 150,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "lambdarank_truncation_level": 10,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "the ranker's defaults": DEFAULTS,
    "defaults, min_data_in_leaf 5": {**DEFAULTS, "min_data_in_leaf": 5},
    "LightGBM's train.conf": {
        "num_iterations": 100,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 50,
        "min_sum_hessian_in_leaf": 5.0,
        "feature_fraction": 1.0,
        "bagging_freq": 1,
        "bagging_fraction": 0.9,
        "lambdarank_truncation_level": 30,
    },
}


def by_lightgbm(
    train: TrainingPairs, X: NDArray[Any], test: TrainingPairs, settings: dict[str, Any]
) -> NDArray[Any]:
    """Train LightGBM on a matrix with the grades and groups of `train`; score `test`."""
    params = {name: value for name, value in settings.items() if name != "num_iterations"}
    data = lightgbm.Dataset(X, train.y, group=train.group)
    booster = lightgbm.train(params, data, settings["num_iterations"])
    return np.asarray(booster.predict(test.X, num_threads=settings["num_threads"]))


def by_ranker(train: TrainingPairs, test: TrainingPairs, settings: dict[str, Any]) -> NDArray[Any]:
    """Train the ranker with the same parameters; score `test`."""
    ranker = Ranker(debias="none", progress=False, params=settings)
    return np.asarray(ranker.fit(train).predict(test))


def with_pairs(train: TrainingPairs) -> TrainingPairs:
    """Return the lists that hold two different grades."""
    starts = train.offsets[:-1]
    return train.take(np.maximum.reduceat(train.y, starts) > np.minimum.reduceat(train.y, starts))


def per_query(pairs: TrainingPairs, scores: NDArray[Any]) -> NDArray[Any]:
    """Return NDCG@5 of each query; NaN without a positive grade."""
    return ndcg(pairs.y, scores, pairs.group, 5)


def run(
    name: str, settings: dict[str, Any], train: TrainingPairs, test: TrainingPairs, oracle: Any
) -> dict[str, Any]:
    """Run one setting on both sides."""
    paired = with_pairs(train)
    theirs = by_lightgbm(train, train.X, test, settings)
    same_rows = by_lightgbm(paired, paired.X, test, settings)
    ours = by_ranker(train, test, settings)
    values = per_query(test, ours), per_query(test, theirs)
    found = paired_bootstrap(*values, n=5000, random_state=0)
    return {
        "setting": name,
        "parameters": settings,
        "lightgbm": float(np.nanmean(values[1])),
        "lightgbm_on_sklearn_matrix": float(
            np.nanmean(per_query(test, by_lightgbm(train, oracle, test, settings)))
        ),
        "lightgbm_same_rows": float(np.nanmean(per_query(test, same_rows))),
        "ranker": float(np.nanmean(values[0])),
        "interval": [float(bound) for bound in found.interval],
        "largest_score_difference_same_rows": float(np.abs(same_rows - ours).max()),
    }


def compare(folder: Path, threads: int) -> list[dict[str, Any]]:
    """Run every setting on both sides."""
    train = load_letor(folder / "rank.train.gz")
    width = len(train.feature_names)
    test = load_letor(folder / "rank.test.gz", features=width)
    oracle, _ = load_svmlight_file(
        str(folder / "rank.train.gz"), n_features=width, dtype=np.float32, zero_based=False
    )
    best = np.maximum.reduceat(test.y, test.offsets[:-1])
    print(
        f"rank.train: {train}\nrank.test: {test}, of which {int((best == 0).sum())} queries "
        f"without a positive grade"
    )
    left_out = train.n_executions - with_pairs(train).n_executions
    print(f"{left_out} of the training lists hold no two different grades")
    return [
        run(name, {**COMMON, **chosen, "num_threads": threads}, train, test, oracle.toarray())
        for name, chosen in SETTINGS.items()
    ]


def main() -> None:
    """Print the table, write the JSON, and say by the exit code whether the ranker holds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder = given.data / "lambdarank_example"
    if not folder.is_dir():
        sys.exit(f"No data: {folder} is absent. Name the folder that holds it with --data DIR")
    versions = {
        "rankloom": rankloom.__version__,
        "lightgbm": lightgbm.__version__,
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    print(f"{versions}, {given.threads} threads, seed {COMMON['seed']}")
    results = compare(folder, given.threads)
    print(
        f"\n{'NDCG@5 on rank.test':29} {'lightgbm':>9} {'sklearn X':>9} {'same rows':>9} "
        f"{'ranker':>9}  difference to lightgbm (95 % interval)"
    )
    for row in results:
        low, high = row["interval"]
        print(
            f"{row['setting']:29} {row['lightgbm']:9.6f} {row['lightgbm_on_sklearn_matrix']:9.6f} "
            f"{row['lightgbm_same_rows']:9.6f} {row['ranker']:9.6f}  "
            f"{row['ranker'] - row['lightgbm']:+.6f} ({low:+.4f} to {high:+.4f})"
        )
    if given.out:
        record = {"versions": versions, "threads": given.threads, "results": results}
        given.out.write_text(json.dumps(record, indent=2))
    # Scores come back as float32, LightGBM's as float64: a rounding may swap a tie.
    sys.exit(int(any(row["ranker"] < row["lightgbm"] - 1e-9 for row in results)))


if __name__ == "__main__":
    main()
