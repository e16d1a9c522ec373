"""One simulated log of the unbiased-learning benchmark, and the settings that all methods share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from letor_protocol import SHOWN, TEST, TRAIN, load_parts, log_of, one_ranker, weak_rankers

from rankloom.datasets import load_letor
from rankloom.ltr import Ranker
from rankloom.ltr.metrics.ranking import ndcg

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from rankloom.datasets import TrainingPairs

ROUNDS, LEAVES, RATE = 150, 15, 0.05
EXAMPLE_WIDTH = 301
TRUTH = 1 / np.arange(1, SHOWN + 1)
COLUMNS = {
    "mq2007agg": {
        "pbm": ("pbm", "weak3"),
        "trust": ("trust", "weak3"),
        "cascade": ("dbn", "weak3"),
        "pbm rrf": ("pbm", "rrf"),
    },
    "lambdarank_example": {
        "pbm": ("pbm", "weak3"),
        "trust": ("trust", "weak3"),
        "cascade": ("dbn", "weak3"),
        "pbm one ranker": ("pbm", "weak1"),
    },
}


@dataclass
class World:
    """One simulated log with all that a method may use, and what it is judged by."""

    pairs: TrainingPairs
    judged: TrainingPairs
    test: TrainingPairs
    rankers: NDArray[np.float64]
    seed: int
    threads: int
    shared: dict[str, Any] = field(default_factory=dict)

    def learnable(self) -> TrainingPairs:
        """Return the executions with both a clicked and an unclicked document."""
        if "learnable" not in self.shared:
            clicks = np.add.reduceat(self.pairs.clicked, self.pairs.offsets[:-1], dtype=np.int64)
            mixed = (clicks > 0) & (clicks < self.pairs.group)
            self.shared["learnable"] = self.pairs.take(mixed)
        return self.shared["learnable"]

    def leaf(self) -> int:
        """Return min_data_in_leaf for session data."""
        shown = len(np.unique(self.pairs.document_code))
        return int(50 * len(self.learnable()) / shown)

    def lightgbm_options(self, min_data_in_leaf: int) -> dict[str, Any]:
        """Return the frozen settings."""
        return {
            "objective": "lambdarank",
            "num_leaves": LEAVES,
            "learning_rate": RATE,
            "min_data_in_leaf": min_data_in_leaf,
            "lambdarank_truncation_level": SHOWN,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "num_threads": self.threads,
            "verbosity": -1,
        }

    def ranker(self, debias: str, min_data_in_leaf: int, **options: Any) -> Ranker:
        """Return our ranker with the same settings."""
        params = self.lightgbm_options(min_data_in_leaf)
        del params["objective"]
        return Ranker(debias, n_estimators=ROUNDS, params=params, progress=False, **options)


def make_world(options: argparse.Namespace, column: str, seed: int) -> World:
    """Simulate one log."""
    click_model, logger = COLUMNS[options.set][column]
    judged, test = _judged_lists(options)
    if logger == "rrf":
        train_scores, test_scores = one_ranker(judged), one_ranker(test)
    else:
        # The rankers learn from training queries, and score the test queries for reference.
        scores = weak_rankers(judged, seed, also=test)
        scores = scores[:, :1] if logger == "weak1" else scores
        train_scores, test_scores = scores[: len(judged)], scores[len(judged) :]
    pairs = log_of(judged, train_scores, options.sessions, seed, click_model=click_model)
    return World(pairs, judged, test, test_scores, seed, options.threads)


def _judged_lists(options: argparse.Namespace) -> tuple[TrainingPairs, TrainingPairs]:
    """Return the judged lists to train and to test on."""
    if options.set == "mq2007agg":
        parts = (TEST, TRAIN) if options.swap else (TRAIN, TEST)
        return load_parts(options.data, parts[0]), load_parts(options.data, parts[1])
    names = ("rank.test", "rank.train") if options.swap else ("rank.train", "rank.test")
    folder = options.data / "lambdarank_example"
    train, test = (load_letor(folder / f"{name}.gz", features=EXAMPLE_WIDTH) for name in names)
    return train, test


def mean_ndcg(test: TrainingPairs, scores: NDArray[Any]) -> float:
    """Return the mean NDCG@10 of the queries that have a relevant document."""
    return float(np.nanmean(ndcg(test.y, scores, test.group, k=SHOWN)))
