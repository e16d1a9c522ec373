"""The ids of segments; those of single texts are in `_shared.ids`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._shared.ids import stable_id

if TYPE_CHECKING:
    from collections.abc import Sequence


def segment_id(values: Sequence[str]) -> int:
    """Return the id of a segment: of its values, each after its length."""
    return stable_id("".join(f"{len(value)}:{value}" for value in values))
