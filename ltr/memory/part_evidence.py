"""The evidence of one part of a log, made where its pairs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .evidence import Evidence
from .examination import ExaminationTable, log_examination

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.distributed.part_pairs import PartRows
    from ...datasets.pairs.training_pairs import TrainingPairs


@dataclass(frozen=True)
class PartEvidence:
    """What a part teaches, and the examination that it was counted with."""

    evidence: Evidence
    examination: ExaminationTable


def part_evidence(rows: PartRows, settings: Evidence, examination: Any) -> PartEvidence | None:
    """Return the evidence of a part by production's order; None where it has no pair.

    `settings`: an empty evidence. `examination`: a curve, as of `QueryMemory`.
    """
    pairs = rows.pairs
    if not len(pairs):
        return None
    table, examined = log_examination(pairs, examination, "pbm")
    evidence = Evidence(settings.rules, settings.source)
    evidence.add(pairs, examined, production_scores(pairs))
    used = evidence.state.used_ids()
    # The pairs of a part name all queries and documents of the log.
    evidence.names = {kind: names.only(used[kind]) for kind, names in evidence.names.items()}
    return PartEvidence(evidence, table)


def production_scores(pairs: TrainingPairs) -> NDArray[np.float32]:
    """Return scores that rank as production did."""
    return -pairs.position.astype(np.float32)
