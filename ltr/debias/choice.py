"""What a fit chose, and on which evidence: ``ranker.choice_``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidInputError
from .display import ClickModelChoiceDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE_UNKNOWN = "the log does not identify the examination curve"
FALLS_BACK = "falls back"
"""How the reasons begin that become notes of the fit."""


@dataclass(frozen=True)
class ModelEvidence:
    """How well a click model predicts clicks that it was not fitted on.

    Attributes
    ----------
    log_likelihood : float
        Mean over held-out executions, each click given those above it; natural logarithm.
    over_baseline : float
        That, minus the better baseline of those that use positions and clicks above but no
        document.
    standard_error : float
        Of `over_baseline`.
    """

    log_likelihood: float
    over_baseline: float
    standard_error: float


@dataclass(frozen=True)
class Bound:
    """Gain over production on held-out queries, estimated from the log.

    Attributes
    ----------
    gain : float
        In debiased DCG of an execution.
    lower : float or None
        One-sided 95 % bound; None where the log does not identify it.
    metric : str
    """

    gain: float
    lower: float | None
    metric: str


@dataclass(frozen=True)
class Choice:
    """What "auto" or "click_model" chose, and why.

    Attributes
    ----------
    click_model : str or None
        "pbm", "ubm" or "dbn"; None for judged lists, which were not shown to users.
    members : dict of str to float
        Weight of every member in the blend; they sum to 1.
    evidence : dict of str to ModelEvidence
        By click model.
    identified : bool
        Whether the examination curve is known: given, or identified by documents that were shown
        at several positions.
    examination_source : str or None
        "given", "pairs", "estimated" or "assumed".
    reliability : float or None
        Share of the labels that depends on the documents' own clicks and not on their features,
        exposure-weighted.
    effective_exposures : float or None
        ``(sum E)^2 / sum E^2``: as many documents of equal exposure would say as much.
    judged_share : float
        Share of judgements in what is known of a document by clicks and judgements, in the mean
        over documents.
    bound : Bound or None
    fall_back : bool
        Whether documents are ranked by their document_score, where that is given, because there
        is no evidence that the learnt model is better.
    reasons : list of str
        In the order in which they were decided.
    """

    click_model: str | None
    members: dict[str, float]
    evidence: dict[str, ModelEvidence] = field(default_factory=dict)
    identified: bool = False
    examination_source: str | None = None
    reliability: float | None = None
    effective_exposures: float | None = None
    judged_share: float = 0.0
    bound: Bound | None = None
    fall_back: bool = False
    reasons: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the choice as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Choice:
        """Return the choice that `to_dict` described."""
        bound = None if values["bound"] is None else Bound(**values["bound"])
        evidence = {name: _evidence(found) for name, found in values["evidence"].items()}
        return cls(**{**values, "evidence": evidence, "bound": bound})

    def plot(self, ax: Axes | None = None) -> ClickModelChoiceDisplay:
        """Draw how well each click model predicts held-out clicks, the best first.

        Raises
        ------
        InvalidInputError
            If no click models were compared.
        """
        if not self.evidence:
            msg = "evidence: no click models were compared, so there is nothing to draw"
            raise InvalidInputError(msg)
        best_first = sorted(self.evidence.items(), key=lambda item: -item[1].log_likelihood)
        return ClickModelChoiceDisplay(
            tuple(name for name, _ in best_first),
            np.array([found.over_baseline for _, found in best_first]),
            np.array([found.standard_error for _, found in best_first]),
            self.click_model,
        ).plot(ax)

    def __str__(self) -> str:
        """Return the evidence (best first), the members and the reasons, a line each."""
        lines = []
        best_first = sorted(self.evidence.items(), key=lambda item: -item[1].log_likelihood)
        heaviest_first = sorted(self.members.items(), key=lambda item: (-item[1], item[0]))
        if self.evidence:
            lines.append("click model   held-out log-likelihood   over baseline (s.e.)")
            lines += [
                f"{name:12}  {found.log_likelihood:23.4f}   "
                f"{found.over_baseline:+.4f} ({found.standard_error:.4f})"
                for name, found in best_first
            ]
        blend = ", ".join(f"{name} {weight:.2f}" for name, weight in heaviest_first)
        lines.append(f"members: {blend}")
        if self.fall_back:
            lines.append("ranks by document_score, where it is given")
        return "\n".join([*lines, *self.reasons])


def _evidence(values: dict[str, float]) -> ModelEvidence:
    renamed = {"over_best_blind": "over_baseline"}  # as models were saved before 0.1.0
    return ModelEvidence(**{renamed.get(name, name): value for name, value in values.items()})
