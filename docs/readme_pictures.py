"""Draws the two pictures of the README from simulated logs.

usage: readme_pictures.py [FOLDER]
FOLDER: docs/_static if not given
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

from rankloom import FusionBandit, PositionBias, load_pairs, simulate_interactions
from rankloom.datasets import simulate_catalogue, true_examination

CHANNELS = ["mixpeek://text", "mixpeek://image"]


def main() -> None:
    """Draw both."""
    mpl.use("Agg")
    mpl.rcParams.update({"figure.figsize": (5.0, 3.2), "savefig.dpi": 100})
    mpl.rcParams["figure.constrained_layout.use"] = True
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("_static")
    catalogue = simulate_catalogue(random_state=0)
    log = simulate_interactions(catalogue, n_executions=5_000, random_state=0)
    bias = PositionBias().fit(load_pairs(log, features=catalogue.drop("query", "grade")))
    curve = bias.plot(truth=true_examination(10))
    curve.figure_.savefig(folder / "examination.png")
    bandit = FusionBandit(CHANNELS, retriever_id="search")
    bandit.update(simulate_interactions(n_executions=2_000, random_state=0))
    bandit.plot().figure_.savefig(folder / "weights.png")


if __name__ == "__main__":
    main()
