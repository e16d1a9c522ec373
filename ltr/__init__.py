"""The LightGBM ranker learnt from training pairs, its metrics and its evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .bootstrap import PairedDifference, paired_bootstrap
    from .counterfactual import evaluate_from_logs
    from .counterfactual_report import CounterfactualReport
    from .debiased_metrics import examination_weighted_dcg
    from .evaluation import Comparison, Report, evaluate
    from .gate import compare
    from .gate_report import Gate
    from .metrics import Metric, average_precision, err, mrr, ndcg, parse_metric, precision, recall
    from .ranker import Ranker
    from .relevance import DocumentRelevance, ips_relevance

__all__ = [
    "Comparison",
    "CounterfactualReport",
    "DocumentRelevance",
    "Gate",
    "Metric",
    "PairedDifference",
    "Ranker",
    "Report",
    "average_precision",
    "compare",
    "err",
    "evaluate",
    "evaluate_from_logs",
    "examination_weighted_dcg",
    "ips_relevance",
    "mrr",
    "ndcg",
    "paired_bootstrap",
    "parse_metric",
    "precision",
    "recall",
]
__getattr__ = attach(
    __name__,
    {
        "Comparison": "evaluation",
        "CounterfactualReport": "counterfactual_report",
        "DocumentRelevance": "relevance",
        "Gate": "gate_report",
        "Metric": "metrics",
        "PairedDifference": "bootstrap",
        "Ranker": "ranker",
        "Report": "evaluation",
        "average_precision": "metrics",
        "compare": "gate",
        "err": "metrics",
        "evaluate": "evaluation",
        "evaluate_from_logs": "counterfactual",
        "examination_weighted_dcg": "debiased_metrics",
        "ips_relevance": "relevance",
        "mrr": "metrics",
        "ndcg": "metrics",
        "paired_bootstrap": "bootstrap",
        "parse_metric": "metrics",
        "precision": "metrics",
        "recall": "metrics",
    },
    __all__,
)
