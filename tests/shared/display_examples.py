"""One display of every class, by hand: the contract is tested on them."""

import numpy as np

from rankloom._shared.gate import GateMetric
from rankloom.bandit import PosteriorDisplay, WeightsDisplay, WeightsOverTimeDisplay
from rankloom.datasets import (
    CalibrationDisplay,
    LabelMixDisplay,
    PerplexityDisplay,
    PositionBias,
    PositionBiasDisplay,
    SwapGraphDisplay,
)
from rankloom.insights import (
    RefinementChainsDisplay,
    RetrieverComparisonDisplay,
    TrendsDisplay,
)
from rankloom.ltr import (
    ClickModelChoiceDisplay,
    ClipSweepDisplay,
    ComparisonDisplay,
    ContributionsDisplay,
    EstimatesDisplay,
    FeatureImportanceDisplay,
    GateDisplay,
    MemoryDisplay,
    OverlapDisplay,
    QueryGainDisplay,
)
from rankloom.retrieval import HeldOutGainDisplay

TWO = np.array([0.3, 0.6])
DAYS = np.array(["2026-01-01", "2026-01-02"], "datetime64[us]")
MODELS = {"PBM": TWO, "DBN": TWO + 0.1}
LOWER = {name: values - 0.1 for name, values in MODELS.items()}
UPPER = {name: values + 0.1 for name, values in MODELS.items()}


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
    LabelMixDisplay: lambda: LabelMixDisplay(
        np.array([0, 1, 3]), np.array([[60, 90], [30, 8], [10, 2]]), by_position=True
    ),
    PerplexityDisplay: lambda: PerplexityDisplay(MODELS, LOWER, UPPER),
    CalibrationDisplay: lambda: CalibrationDisplay(MODELS, MODELS, LOWER, UPPER),
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
    ClickModelChoiceDisplay: lambda: ClickModelChoiceDisplay(("dbn", "pbm"), TWO, TWO / 9, "dbn"),
    FeatureImportanceDisplay: lambda: FeatureImportanceDisplay(("a", "b"), TWO[::-1], "gain"),
    ContributionsDisplay: lambda: ContributionsDisplay(
        ("a", "b"), np.array([[0.1, -0.4], [0.2, 0.3], [0.0, 0.1]]), expected=-0.5
    ),
    EstimatesDisplay: lambda: EstimatesDisplay(
        ("IPS", "SNIPS"),
        np.array([TWO, TWO - 0.1, TWO + 0.1]),
        np.array([TWO, TWO - 0.2, TWO + 0.2]) - 0.1,
        "DCG@10",
        "the production order",
        confidence=0.9,
    ),
    ClipSweepDisplay: lambda: ClipSweepDisplay(
        np.array([0.0, 0.1]), np.array([TWO, TWO + 1, TWO + 2]), TWO, 0.1, (2.0, 3.0), "DCG@10", 0.9
    ),
    OverlapDisplay: lambda: OverlapDisplay(
        {"shown": 1.0, "varied": float("nan")}, {"shown": 1.0}, {"shown": "of 9"}, "too little"
    ),
    MemoryDisplay: lambda: MemoryDisplay(
        ("1 or more", "all"),
        gain=TWO,
        lower=np.array([np.nan, 0.2]),
        passed=np.array([False, True]),
        executions=np.array([7, 9]),
        queries=np.array([3, 5]),
        cutoff=10,
        confidence=0.95,
    ),
    WeightsDisplay: lambda: WeightsDisplay(("bm25", "clip"), TWO, TWO - 0.1, TWO + 0.1),
    WeightsOverTimeDisplay: lambda: WeightsOverTimeDisplay(
        ("bm25", "clip"), DAYS, *(np.array([[0.5, 0.5], TWO]) + by for by in (0, -0.1, 0.1))
    ),
    PosteriorDisplay: lambda: PosteriorDisplay(
        ("bm25", "clip"),
        np.array([0.0, 0.5, 1.0]),
        np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 1.0]]),
        *(TWO + by for by in (0, -0.1, 0.1)),
        quantity="success rate",
    ),
    RefinementChainsDisplay: lambda: RefinementChainsDisplay(
        ("tv", "$5"), ("oled tv", "5 dollars"), np.array([9, 5]), 9 * TWO, TWO, TWO - 0.1, TWO + 0.1
    ),
    TrendsDisplay: lambda: TrendsDisplay(
        DAYS,
        MODELS,
        LOWER,
        UPPER,
        complete=np.array([True, False]),
        changes={"PBM": DAYS[1:]},
        every="1d",
        unit="share of searches",
    ),
    RetrieverComparisonDisplay: lambda: RetrieverComparisonDisplay(
        ("new", "other"),
        *(TWO + by for by in (0, -0.1, 0.1, -0.2, 0.2)),
        verdicts=("better", "unknown"),
        metric="engaged_searches",
        baseline="old",
    ),
    HeldOutGainDisplay: lambda: HeldOutGainDisplay(10, 50, 1.0, 1.2, 0.2, (0.1, 0.3), 0.9),
}
