"""What `rankloom train` leaves beside a model: its card, and a gate on what was held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidInputError, StoreError
from ..output import say
from .own_curve import apply_own_curve
from .verdict import leave_verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...datasets import TrainingPairs
    from ...ltr import Ranker


def check_held_out(held_out: TrainingPairs | None) -> None:
    """Raise if executions that are held out can judge nothing, before a model is trained."""
    if held_out is not None and held_out.y.max() <= 0:
        msg = (
            f"--validation: none of the {held_out.n_executions:,} executions that are held out has "
            "a positive grade; hold out more"
        )
        raise InvalidInputError(msg)


def leave_evidence(
    ranker: Ranker, folder: Path, held_out: TrainingPairs | None, slices: Sequence[str]
) -> None:
    """Judge a ranker that was saved on what was held out, and write its card.

    Where the executions that were held out decided when to stop, they cannot decide whether the
    model may be served, too: there is no gate then.
    """
    from ...ltr import ModelCard
    from ...ltr.settings import FitSettings

    settings = FitSettings.of(ranker.get_params(deep=False))
    stopped_by = held_out is not None and settings.early_stopping_rounds is not None
    if held_out is not None and not stopped_by:
        _leave_gate(ranker, folder, held_out)
    card = ModelCard.of(ranker, held_out, slices=slices, stopped_by=stopped_by)
    try:
        card.write(folder)
    except StoreError as error:
        say(f"note: {error}")
    else:
        say(f"model card -> {folder / 'card.html'}")


def _leave_gate(ranker: Ranker, folder: Path, held_out: TrainingPairs) -> None:
    from ...ltr import compare
    from ...ltr.model.files import model_digest
    from ...ltr.model.gate_record import PRODUCTION

    bias = None
    if held_out.examination is None:
        bias, _ = apply_own_curve(held_out)  # once, for the gate and for the card
    try:
        gate = compare(ranker, PRODUCTION, held_out, examination=bias)
    except InvalidInputError as error:
        say(f"note: no gate on what was held out: {error}")
        return
    leave_verdict(folder, gate, model_digest(folder), PRODUCTION)
    verdict = "passes" if gate.passed else "does not pass"
    say(f"gate: {verdict} against the order that was shown, on what was held out")
