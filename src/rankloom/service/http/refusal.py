"""A request that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - an answer rather than an error
    """A request that is refused; becomes the error envelope.

    Parameters
    ----------
    status : int
    type_ : str
        Name of the kind of error, such as ``"NotFound"``.
    message : str
        For the sender of the request; never holds a path of this machine.
    details : mapping, optional
    headers : mapping of str to str, optional
        Such as ``retry-after``.
    """

    def __init__(
        self,
        status: int,
        type_: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type_
        self.message = message
        self.details = details
        self.headers = headers or {}
