"""Errors of the library as refusals: which status, which field, which reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...errors import InvalidInputError, RankloomError


def unprocessable(errors: Sequence[dict[str, Any]], message: str | None = None) -> Refusal:
    """Return the refusal of a request whose fields break a rule.

    Parameters
    ----------
    errors : sequence of dict
        Each with ``field`` and ``reason``.
    message : str, optional
        The first field and its reason if None.
    """
    said = message or f"{errors[0]['field']}: {errors[0]['reason']}"
    return Refusal(422, "ValidationError", said, {"errors": list(errors)})


def fault(field: str, reason: str) -> Refusal:
    """Return the refusal of a request with one wrong field."""
    return unprocessable([{"field": field, "reason": reason}])


def invalid(error: InvalidInputError) -> Refusal:
    """Return the refusal for a message such as ``"field: reason"``."""
    field, colon, reason = str(error).partition(": ")
    if colon and field.replace(".", "_").replace("-", "_").isidentifier():
        return fault(field, reason)
    return unprocessable([{"field": "body", "reason": str(error)}], str(error))


def malformed(error: Exception, where: str = "body") -> Refusal:
    """Return the refusal of a text that msgspec cannot read or convert."""
    if isinstance(error, UnicodeDecodeError):
        return fault(where, "expected UTF-8")
    reason, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    if not field or field.startswith("["):
        field = where + field
    return fault(field, reason)


def state_mismatch() -> Refusal:
    """Return the refusal for a state that was learnt from another log, or by other settings."""
    return Refusal(
        409,
        "StateMismatch",
        "the learned state is of another log, or of other settings, than the service has: restore "
        'the log that it belongs to, or POST enable with {"relearn": true} to learn this log anew',
    )


def store_failed(error: RankloomError) -> Refusal:
    """Return the refusal for a store that does not work now; its message stays in the log."""
    del error  # it may name files of this machine
    return Refusal(
        503,
        "ServiceUnavailable",
        "the store does not work at present; nothing of this request was stored. Send it again "
        "later.",
        headers={"retry-after": "2"},
    )
