"""Interactions in, training pairs out: reading, validation, grouping, position bias, simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from ._copies import CopyReport
    from ._log.rows import BatchReport, Deletion, LogChunk, Page, PreparedRow, Recorded, RowFault
    from ._quarantine import Quarantine
    from .click_models.pbm import PBM
    from .confounding import confounded_features
    from .duplicates import mark_duplicates
    from .interaction import Interaction, InteractionType, canonical_schema, parse_interaction
    from .letor import load_letor
    from .log import InteractionLog
    from .mixpeek import MixpeekSource
    from .pairs import load_pairs
    from .plots import PositionBiasDisplay
    from .position_bias import PositionBias
    from .query_keys import canonical_query
    from .reports import LoadReport
    from .scan import Scan, ScanResult
    from .signals import DEFAULT_GRADES, SignalTable
    from .simulate import (
        click_probability,
        relevance_of_grade,
        simulate_catalogue,
        simulate_interactions,
        true_examination,
    )
    from .splits import split_by_query, split_by_time
    from .training_pairs import TrainingPairs
    from .ubi import UbiResult, load_ubi
    from .validate import ValidationReport

__all__ = [
    "DEFAULT_GRADES",
    "PBM",
    "BatchReport",
    "CopyReport",
    "Deletion",
    "Interaction",
    "InteractionLog",
    "InteractionType",
    "LoadReport",
    "LogChunk",
    "MixpeekSource",
    "Page",
    "PositionBias",
    "PositionBiasDisplay",
    "PreparedRow",
    "Quarantine",
    "Recorded",
    "RowFault",
    "Scan",
    "ScanResult",
    "SignalTable",
    "TrainingPairs",
    "UbiResult",
    "ValidationReport",
    "canonical_query",
    "canonical_schema",
    "click_probability",
    "confounded_features",
    "load_letor",
    "load_pairs",
    "load_ubi",
    "mark_duplicates",
    "parse_interaction",
    "relevance_of_grade",
    "simulate_catalogue",
    "simulate_interactions",
    "split_by_query",
    "split_by_time",
    "true_examination",
]
__getattr__ = attach(
    __name__,
    {
        "mark_duplicates": "duplicates",
        "BatchReport": "_log.rows",
        "CopyReport": "_copies",
        "MixpeekSource": "mixpeek",
        "Deletion": "_log.rows",
        "InteractionLog": "log",
        "LogChunk": "_log.rows",
        "Page": "_log.rows",
        "PreparedRow": "_log.rows",
        "Recorded": "_log.rows",
        "RowFault": "_log.rows",
        "ValidationReport": "validate",
        "Quarantine": "_quarantine",
        "ScanResult": "scan",
        "Scan": "scan",
        "SignalTable": "signals",
        "DEFAULT_GRADES": "signals",
        "canonical_schema": "interaction",
        "parse_interaction": "interaction",
        "InteractionType": "interaction",
        "Interaction": "interaction",
        "LoadReport": "reports",
        "PBM": "click_models.pbm",
        "PositionBias": "position_bias",
        "PositionBiasDisplay": "plots",
        "TrainingPairs": "training_pairs",
        "canonical_query": "query_keys",
        "click_probability": "simulate",
        "confounded_features": "confounding",
        "load_letor": "letor",
        "load_pairs": "pairs",
        "load_ubi": "ubi",
        "UbiResult": "ubi",
        "relevance_of_grade": "simulate",
        "simulate_catalogue": "simulate",
        "simulate_interactions": "simulate",
        "split_by_query": "splits",
        "split_by_time": "splits",
        "true_examination": "simulate",
    },
    __all__,
)
