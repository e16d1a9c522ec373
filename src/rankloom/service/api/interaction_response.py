"""A stored interaction as it is answered: every field is present."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from .schemas import InteractionResponse

if TYPE_CHECKING:
    from ...datasets.log.answers import Recorded
    from ...datasets.log.stored_row import PreparedRow
    from ...datasets.record.interaction import Interaction

_FIELDS: Final = InteractionResponse.__struct_fields__


def response(interaction: Interaction) -> InteractionResponse:
    """Return the answer for an interaction.

    Examples
    --------
    >>> from rankloom import parse_interaction
    >>> click = {"feature_id": "doc", "interaction_type": ["click"], "position": 0}
    >>> response(parse_interaction(click)).deduplicated
    False
    """
    return InteractionResponse(**{name: getattr(interaction, name) for name in _FIELDS})


def recorded_response(row: PreparedRow, recorded: Recorded) -> InteractionResponse:
    """Return the answer for a row that has just been recorded; its JSON is sent as it is stored."""
    return InteractionResponse(**row.fields(recorded, msgspec.Raw))
