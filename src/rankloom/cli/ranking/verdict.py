"""The verdict of a gate beside the model that it is about: `rankloom promote` looks there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import IntegrityError, StoreError
from ..output import say

if TYPE_CHECKING:
    from ...ltr import Gate, Ranker


def load_with_digest(folder: str | Path) -> tuple[Ranker, str]:
    """Return a saved ranker and the digest of its folder, which is of this very model."""
    from ...ltr import Ranker
    from ...ltr.model.files import model_digest

    path = Path(folder)
    path = path.resolve() if path.is_symlink() else path  # the link may be pointed elsewhere
    digest, ranker = model_digest(path), Ranker.load(path)
    if model_digest(path) != digest:
        msg = f"{str(folder)!r}: was saved anew while it was read; run the command again"
        raise IntegrityError(msg)
    return ranker, digest


def leave_verdict(folder: Path, gate: Gate, digest: str, against: str) -> None:
    """Write the verdict beside the model that it is about, or say why that cannot be done."""
    from ...ltr.model.files import model_digest
    from ...ltr.model.gate_record import write_gate

    if model_digest(folder) != digest:
        say(f"note: {folder} was saved anew meanwhile, so the verdict is not left there")
        return
    try:
        write_gate(folder, gate, model=digest, baseline=against)
    except StoreError as error:
        say(f"note: {error}, so `rankloom promote` will not find it")


def renew_card(folder: Path) -> None:
    """Write the model card in a folder again, with the verdicts that lie there now."""
    from ...ltr import ModelCard

    if not (folder / "card.md").exists():
        return
    try:
        ModelCard.load(folder).write(folder)
    except StoreError as error:
        say(f"note: {error}")
