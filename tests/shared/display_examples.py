"""One display of every class, by hand: the contract is tested on them."""

import numpy as np

from rankloom._shared.gate import GateMetric
from rankloom.datasets import PositionBias, PositionBiasDisplay, SwapGraphDisplay
from rankloom.ltr import ComparisonDisplay, GateDisplay, QueryGainDisplay


def _gate():
    metrics = {
        "DCG@10": GateMetric(4.4, 4.0, 0.4, 0.2, 0.1, 0.05, limit=0.0, decides=True),
        "clicks@10": GateMetric(1.0, 1.1, -0.1, -0.2, -0.09, -0.18, limit=-0.01, decides=False),
        "clicks@1": GateMetric(1.0, 0.0, 1.0, None, None, None, limit=-0.01, decides=False),
    }
    return GateDisplay(metrics, passed=False, baseline="the production order", confidence=0.95)


EXAMPLES = {
    PositionBiasDisplay: lambda: PositionBiasDisplay(
        {"known": PositionBias.from_curve([1.0, 0.5, 0.2]).curve()}, truth=np.array([1.0, 0.4])
    ),
    SwapGraphDisplay: lambda: SwapGraphDisplay(
        np.array([[9, 4, 0], [4, 7, 0], [0, 0, 3]]), tied=np.array([True, True, False])
    ),
    ComparisonDisplay: lambda: ComparisonDisplay(
        ("nDCG@10", "MRR@10"),
        ranker=np.array([0.7, 0.6]),
        baseline=np.array([0.6, 0.5]),
        lower=np.array([0.05, -0.02]),
        upper=np.array([0.15, 0.2]),
        baseline_name="the production order",
    ),
    QueryGainDisplay: lambda: QueryGainDisplay(np.array([-0.1, 0.0, 0.3]), metric="nDCG@10"),
    GateDisplay: _gate,
}
