"""The verdict that a promotion rests on: of this model, against what is current, and passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ...errors import InvalidInputError
from ..model.gate_record import PRODUCTION, read_gates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..model.gate_record import GateRecord
    from .version import Version


def passed_gate(
    model: str | Path, digest: str, current: Version | None, registry: Path
) -> dict[str, str]:
    """Return the baseline and the time of the verdict that lets a model pass.

    `digest`: of the model. `current`: the version that it would replace; without one the baseline
    is "production". Raises InvalidInputError, and says what to run, if there is no such verdict.
    """
    baseline = PRODUCTION if current is None else current.digest
    what = "the order that was shown" if current is None else f"the current version {current.name}"
    command = f"rankloom compare {model} {PRODUCTION if current is None else registry / 'current'}"
    remedy = f"run `{command} FILES` on later interactions, or give --force REASON"
    records = read_gates(model)
    against = [record for record in records if record.baseline == baseline]
    made = [record for record in against if record.model == digest]
    if not made:
        _refuse(str(model), what, remedy, against, records)
    if not made[0].passed:
        reasons = "; ".join(made[0].reasons) or "no reason is recorded"
        msg = f"{model}: did not pass its gate against {what}: {reasons}; {remedy}"
        raise InvalidInputError(msg)
    return {"baseline": baseline, "made": made[0].made}


def _refuse(
    model: str,
    what: str,
    remedy: str,
    against: Sequence[GateRecord],
    records: Sequence[GateRecord],
) -> NoReturn:
    if against:
        problem = f"its gate against {what} was made for another model ({against[0].model[:12]})"
    elif records:
        others = ", ".join(sorted({record.baseline[:12] for record in records}))
        problem = f"it has no gate against {what}, only against {others}"
    else:
        problem = f"it has no gate against {what}"
    msg = f"{model}: {problem}; {remedy}"
    raise InvalidInputError(msg)
