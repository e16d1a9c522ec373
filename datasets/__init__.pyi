from .behaviour.features import behaviour_features as behaviour_features
from .behaviour.tables import BehaviourTables as BehaviourTables
from .click_models.display import CalibrationDisplay as CalibrationDisplay
from .click_models.display import PerplexityDisplay as PerplexityDisplay
from .click_models.pbm import PBM as PBM
from .importers.copy import CopyReport as CopyReport
from .importers.letor import load_letor as load_letor
from .importers.mixpeek.source import MixpeekSource as MixpeekSource
from .importers.ubi.load import (
    UbiResult as UbiResult,
)
from .importers.ubi.load import (
    load_ubi as load_ubi,
)
from .loading.load_pairs import load_pairs as load_pairs
from .loading.partition_interactions import PartitionReport as PartitionReport
from .loading.partition_interactions import partition_interactions as partition_interactions
from .log.answers import (
    BatchReport as BatchReport,
)
from .log.answers import (
    Deletion as Deletion,
)
from .log.answers import (
    LogChunk as LogChunk,
)
from .log.answers import (
    Page as Page,
)
from .log.answers import (
    Recorded as Recorded,
)
from .log.answers import (
    RowFault as RowFault,
)
from .log.interaction_log import InteractionLog as InteractionLog
from .log.stored_row import PreparedRow as PreparedRow
from .pairs.confounding import confounded_features as confounded_features
from .pairs.display import LabelMixDisplay as LabelMixDisplay
from .pairs.load_report import LoadReport as LoadReport
from .pairs.query_k_fold import QueryKFold as QueryKFold
from .pairs.splits import (
    split_by_query as split_by_query,
)
from .pairs.splits import (
    split_by_time as split_by_time,
)
from .pairs.time_series_query_split import TimeSeriesQuerySplit as TimeSeriesQuerySplit
from .pairs.training_pairs import TrainingPairs as TrainingPairs
from .position_bias.display import PositionBiasDisplay as PositionBiasDisplay
from .position_bias.display import SwapGraphDisplay as SwapGraphDisplay
from .position_bias.estimator import PositionBias as PositionBias
from .quality.validation_report import ValidationReport as ValidationReport
from .reading.duplicates import mark_duplicates as mark_duplicates
from .reading.quarantine import Quarantine as Quarantine
from .reading.scan import (
    Scan as Scan,
)
from .reading.scan import (
    ScanResult as ScanResult,
)
from .record.interaction import (
    Interaction as Interaction,
)
from .record.interaction import (
    InteractionType as InteractionType,
)
from .record.interaction import (
    canonical_schema as canonical_schema,
)
from .record.parse import parse_interaction as parse_interaction
from .record.query_keys import canonical_query as canonical_query
from .record.signals import (
    DEFAULT_GRADES as DEFAULT_GRADES,
)
from .record.signals import (
    SignalTable as SignalTable,
)
from .simulation.simulate import (
    click_probability as click_probability,
)
from .simulation.simulate import (
    relevance_of_grade as relevance_of_grade,
)
from .simulation.simulate import (
    simulate_catalogue as simulate_catalogue,
)
from .simulation.simulate import (
    simulate_interactions as simulate_interactions,
)
from .simulation.simulate import (
    true_examination as true_examination,
)
