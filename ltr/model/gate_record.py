"""The verdict of a gate, kept beside the model that it is about and bound to both models' digests.

``gate-production.json`` has the verdict against the order that was shown, ``gate-<digest12>.json``
that against another model; a later verdict against the same baseline replaces it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..._shared.atomic_files import write_whole
from ..._shared.digests import content_of_json, json_with_digest
from ...errors import IntegrityError, StoreError, UnreadableSourceError

if TYPE_CHECKING:
    from ..evaluation.gate_report import Gate

PRODUCTION: Final = "production"
"""Names the order that was shown, where a digest would name a model."""

_FORMAT: Final = "rankloom-gate-1"
_REMEDY: Final = "run `rankloom compare` again"


class GateRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate between two models, by their digests.

    Attributes
    ----------
    model : str
        Digest of the candidate; see `model_digest`.
    baseline : str
        Digest of the model that it was compared with, or "production".
    made : str
        When (UTC, ISO 8601).
    verdict : dict
        `Gate.to_dict`.
    """

    model: str
    baseline: str
    made: str
    verdict: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the candidate passed."""
        return self.verdict.get("passed") is True

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass."""
        return list(map(str, self.verdict.get("reasons", ())))


def write_gate(folder: str | Path, gate: Gate, *, model: str, baseline: str) -> GateRecord:
    """Write the verdict into the candidate's folder and return it.

    Raises StoreError if the folder cannot be written.
    """
    made = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    record = GateRecord(model=model, baseline=baseline, made=made, verdict=gate.to_dict())
    content = json.dumps(msgspec.to_builtins(record), allow_nan=False)  # metrics in their order
    text = json_with_digest(_FORMAT, content.encode())
    file = Path(folder) / f"gate-{baseline[:12]}.json"
    try:
        write_whole(file, lambda name: Path(name).write_text(text, "ascii"))
    except OSError as error:
        msg = f"cannot write the verdict of the gate to {str(file)!r}: {error}"
        raise StoreError(msg) from error
    return record


def read_gates(folder: str | Path) -> list[GateRecord]:
    """Return the verdicts in a model's folder, also those on another model than lies there now.

    Raises IntegrityError if one is damaged, UnreadableSourceError if one cannot be read.
    """
    return [_read(file) for file in sorted(Path(folder).glob("gate-*.json"))]


def _read(file: Path) -> GateRecord:
    try:
        data = file.read_bytes()
    except OSError as error:
        msg = f"{str(file)!r} cannot be read: {error}"
        raise UnreadableSourceError(msg) from error
    content = content_of_json(_FORMAT, data, repr(str(file)), _REMEDY)
    try:
        return msgspec.json.decode(content, type=GateRecord)
    except msgspec.DecodeError as error:
        msg = f"{str(file)!r} is no verdict of a gate: {error}; {_REMEDY}"
        raise IntegrityError(msg) from error
