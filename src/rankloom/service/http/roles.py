"""Who calls, and what a token's role may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a token may do; admin may do what ingest and read may, metrics reads /metrics only."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"
    METRICS = "metrics"

    def may(self, needed: Role) -> bool:
        """Return whether a token of this role may call an endpoint that needs another.

        Examples
        --------
        >>> Role.ADMIN.may(Role.READ), Role.READ.may(Role.INGEST), Role.ADMIN.may(Role.METRICS)
        (True, False, False)
        """
        return self is needed or (self is Role.ADMIN and needed is not Role.METRICS)


@dataclass(frozen=True)
class Caller:
    """Who calls: the namespace and role of the token, and the name of who has it.

    A token without a name is called by the first 8 digits of its SHA-256, as its line begins.
    """

    namespace: str
    role: Role
    name: str = ""
