"""What the benchmarks of unbiased learning to rank share: data, production rankers, logs.

Data: MQ2007-agg (../shared/data/mq2007agg); features are the ranks that 21 systems gave, NaN where
a system did not retrieve the document; grades 0 to 2. Logs come from `simulate_interactions` and go
through `load_pairs`. The production score is no feature (`builtin_features=()`).
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

import lightgbm
import numpy as np
import polars as pl
import scipy

import rankloom
from rankloom.datasets import TrainingPairs, load_letor, load_pairs, simulate_interactions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TRAIN, TEST = (1, 2, 3), (4, 5)
SHOWN = 10
PRODUCTION = {
    "objective": "lambdarank",
    "num_leaves": 4,
    "learning_rate": 0.05,
    "min_data_in_leaf": 20,
    "lambdarank_truncation_level": SHOWN,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def load_parts(data: Path, parts: Sequence[int]) -> TrainingPairs:
    """Return parts A1 to A5 of MQ2007-agg as judged lists."""
    return load_letor([data / "mq2007agg" / f"A{part}.txt.gz" for part in parts])


def catalogue_of(judged: TrainingPairs) -> pl.DataFrame:
    """Return the judged lists as a catalogue whose document ids are unique over all queries."""
    query = judged.query_id.gather(judged.execution_index)
    ids = pl.select(query + pl.lit("/") + judged.document_id).to_series()
    columns = {name: judged.X[:, j] for j, name in enumerate(judged.feature_names)}
    return pl.DataFrame(
        {"query": query, "feature_id": ids, "grade": judged.y.astype(np.int32), **columns}
    )


def weak_rankers(
    judged: TrainingPairs, seed: int, also: TrainingPairs | None = None
) -> NDArray[np.float64]:
    """Return scores of three lambdaranks trained on 10 random judged queries each.

    Shape (rows, 3): the rows of `judged`, then those of `also`.
    """
    rng = np.random.default_rng(seed)
    rows = judged.X if also is None else np.vstack([judged.X, also.X])
    scores = []
    for _ in range(3):
        few = judged.take(rng.choice(judged.n_executions, 10, replace=False))
        data = lightgbm.Dataset(few.X, few.y, group=few.group)
        booster = lightgbm.train({**PRODUCTION, "seed": seed}, data, 20)
        ties = 1e-9 * rng.random(len(rows))
        scores.append(np.asarray(booster.predict(rows, num_threads=1)) + ties)
    return np.column_stack(scores)


def one_ranker(judged: TrainingPairs) -> NDArray[np.float64]:
    """Return the scores of reciprocal rank fusion over the 21 systems; shape (rows, 1)."""
    return np.nansum(1 / (60 + judged.X.astype(np.float64)), axis=1)[:, None]


def log_of(
    judged: TrainingPairs,
    rankers: NDArray[np.float64],
    sessions: int,
    seed: int,
    *,
    click_model: str = "pbm",
) -> TrainingPairs:
    """Simulate one log over the judged lists and load it, features joined."""
    catalogue = catalogue_of(judged)
    interactions = simulate_interactions(
        catalogue,
        n_executions=sessions,
        random_state=seed,
        rankers=rankers,
        click_model=click_model,
        list_size=SHOWN,
        min_documents=SHOWN,
        context={},
        channels=(),
        interactions="clicks",
        metadata=False,
    )
    features = catalogue.drop("query", "grade")
    return load_pairs(interactions, features=features, builtin_features=())


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "python": platform.python_version(),
        "rankloom": rankloom.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "polars": pl.__version__,
        "lightgbm": lightgbm.__version__,
    }
