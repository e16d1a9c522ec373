from .._shared.gate_display import GateDisplay as GateDisplay
from .counterfactual.display import ClipSweepDisplay as ClipSweepDisplay
from .counterfactual.display import EstimatesDisplay as EstimatesDisplay
from .counterfactual.display import OverlapDisplay as OverlapDisplay
from .counterfactual.from_logs import evaluate_from_logs as evaluate_from_logs
from .counterfactual.report import CounterfactualReport as CounterfactualReport
from .debias.display import ClickModelChoiceDisplay as ClickModelChoiceDisplay
from .debias.relevance import (
    DocumentRelevance as DocumentRelevance,
)
from .debias.relevance import (
    ips_relevance as ips_relevance,
)
from .evaluation.cross_validation import cross_validate as cross_validate
from .evaluation.cross_validation_report import (
    CrossValidation as CrossValidation,
)
from .evaluation.cross_validation_report import (
    FoldResult as FoldResult,
)
from .evaluation.display import ComparisonDisplay as ComparisonDisplay
from .evaluation.display import QueryGainDisplay as QueryGainDisplay
from .evaluation.gate import compare as compare
from .evaluation.gate_report import Gate as Gate
from .evaluation.judged import (
    Comparison as Comparison,
)
from .evaluation.judged import (
    Report as Report,
)
from .evaluation.judged import (
    evaluate as evaluate,
)
from .exports.export import Exported as Exported
from .features.array_pairs import pairs_from_arrays as pairs_from_arrays
from .held_out import held_out_scores as held_out_scores
from .judgment_lists.judgment_list import (
    JudgmentList as JudgmentList,
)
from .judgment_lists.judgment_list import (
    export_judgments as export_judgments,
)
from .judgment_lists.judgment_list import (
    judgment_list as judgment_list,
)
from .memory.display import MemoryDisplay as MemoryDisplay
from .memory.query_memory import QueryMemory as QueryMemory
from .memory.replay import MemoryReport as MemoryReport
from .memory.replay import evaluate_memory as evaluate_memory
from .memory.replay import gated_memory as gated_memory
from .metrics.bootstrap import (
    PairedDifference as PairedDifference,
)
from .metrics.bootstrap import (
    paired_bootstrap as paired_bootstrap,
)
from .metrics.debiased import examination_weighted_dcg as examination_weighted_dcg
from .metrics.ranking import (
    Metric as Metric,
)
from .metrics.ranking import (
    average_precision as average_precision,
)
from .metrics.ranking import (
    err as err,
)
from .metrics.ranking import (
    mrr as mrr,
)
from .metrics.ranking import (
    ndcg as ndcg,
)
from .metrics.ranking import (
    parse_metric as parse_metric,
)
from .metrics.ranking import (
    precision as precision,
)
from .metrics.ranking import (
    recall as recall,
)
from .model.display import ContributionsDisplay as ContributionsDisplay
from .model.display import FeatureImportanceDisplay as FeatureImportanceDisplay
from .model_card.model_card import ModelCard as ModelCard
from .ranker import Ranker as Ranker
from .registry.model_registry import ModelRegistry as ModelRegistry
from .registry.model_registry import Promotion as Promotion
from .registry.version import Version as Version
from .tuning.tune import tune as tune
from .tuning.tuning import (
    Gain as Gain,
)
from .tuning.tuning import (
    Tuning as Tuning,
)
