"""One version of a registry: a copy of a model's folder, and why and when it was promoted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..._shared.atomic_files import write_whole
from ..._shared.digests import canonical_json, content_of_json, json_with_digest
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html
from ...errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable

PROMOTION: Final = "promotion.json"
"""File of a version that says how it came there."""

_FORMAT: Final = "rankloom-promotion-1"
_REMEDY: Final = "promote the model again"
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_NAME: Final = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-[0-9a-f]{12}")


class Version(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promoted model.

    Attributes
    ----------
    name : str
        Its time (UTC) and the start of its digest: versions sort by when they were promoted.
    digest : str
        Of the model's manifest.
    promoted : str
        When (UTC, ISO 8601).
    previous : str or None
        Name of the version that was current before.
    gate : dict or None
        The verdict that let it pass: ``baseline`` and ``made``; None if it was forced.
    reason : str or None
        Why it was promoted without one.
    """

    name: str
    digest: str
    promoted: str
    previous: str | None
    gate: dict[str, str] | None
    reason: str | None

    @property
    def passed_by(self) -> str:
        """What let it pass, in words."""
        if self.gate is None:
            return f"forced: {self.reason}"
        return f"the gate against {self.gate['baseline'][:12]}"

    def to_dict(self) -> dict[str, Any]:
        """Return the version as plain values, ready for JSON."""
        return dict(msgspec.to_builtins(self))

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        facts = {"promoted": self.promoted, "passed": self.passed_by, "before": self.previous}
        return Summary(f"Version {self.name}", [Table.of_counts(facts)])


def is_name(name: str) -> bool:
    """Return whether a name is that of a version.

    >>> is_name("20261201T003015.000001Z-1a2b3c4d5e6f"), is_name("current")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


def next_moment(names: Iterable[str]) -> datetime:
    """Return the present, or just after the latest version where a clock was set back."""
    moments = [_NAME.fullmatch(name) for name in names]
    latest = [datetime.strptime(m[1], _TIME).replace(tzinfo=UTC) for m in moments if m is not None]
    return max([datetime.now(UTC), *(each + timedelta(microseconds=1) for each in latest)])


def version_name(moment: datetime, digest: str) -> str:
    """Return the name of a version.

    >>> version_name(datetime(2026, 12, 1, 0, 30, 15, 1, UTC), "1a2b3c4d5e6f7081")
    '20261201T003015.000001Z-1a2b3c4d5e6f'
    """
    return f"{moment.strftime(_TIME)}-{digest[:12]}"


def write_version(folder: Path, version: Version) -> None:
    """Write what is known of a version into its folder; raises OSError."""
    text = json_with_digest(_FORMAT, canonical_json(version.to_dict()))
    write_whole(folder / PROMOTION, lambda name: Path(name).write_text(text, "ascii"))


def read_version(folder: Path) -> Version:
    """Return what is known of the version in a folder; raises IntegrityError if it is damaged."""
    file = folder / PROMOTION
    try:
        content = content_of_json(_FORMAT, file.read_bytes(), repr(str(file)), _REMEDY)
        return msgspec.json.decode(content, type=Version)
    except (OSError, msgspec.DecodeError) as error:
        msg = f"{str(file)!r} does not say how the version was promoted: {error}; {_REMEDY}"
        raise IntegrityError(msg) from error
