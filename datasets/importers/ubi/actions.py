"""The `action_name` of a UBI event as an interaction type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ....errors import InvalidInputError
from ...record.interaction import LIST_LEVEL_TYPES, InteractionType
from ...record.signals import SignalTable

if TYPE_CHECKING:
    from collections.abc import Mapping

T = InteractionType

DEFAULT_ACTIONS: Final[Mapping[str, str]] = {
    **{str(name): str(name) for name in T if name not in LIST_LEVEL_TYPES},
    "click_through": str(T.CLICK),
    "item_click": str(T.CLICK),
    "product_click": str(T.CLICK),
    "result_click": str(T.CLICK),
    "item_view": str(T.VIEW),
    "product_view": str(T.VIEW),
    "watch": str(T.LONG_VIEW),
    "buy": str(T.PURCHASE),
}
"""Action -> interaction type: the types by their names, UBI's names and common ones."""


def checked_actions(actions: Mapping[str, str] | None) -> dict[str, str]:
    """Return the default actions with those of the user, whose types may be new ones.

    >>> checked_actions({"watch": "wishlist", "save": "save_recipe"})["save"]
    'save_recipe'
    """
    for action, name in (actions or {}).items():
        _check(action, name)
    # Refuses names that are no types, and more types than there are bits.
    SignalTable.with_types((actions or {}).values())
    return {**DEFAULT_ACTIONS, **(actions or {})}


def _check(action: Any, name: Any) -> None:
    if not isinstance(action, str) or not action:
        msg = f"actions: expected action names as keys, got {action!r}"
        raise InvalidInputError(msg)
    if name in LIST_LEVEL_TYPES:
        msg = (
            f"actions[{action!r}]: {name!r} is about the whole list, and an event of UBI is read "
            "as one on an object. Map it to a type such as 'view', or leave it out"
        )
        raise InvalidInputError(msg)
