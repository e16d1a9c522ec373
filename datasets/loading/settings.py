"""The parameters of a load, checked once: the same in memory, on disk and on workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from ..._shared.checks import checked_number
from ...errors import InvalidInputError, did_you_mean
from ..pairs.fold import CARRIED
from ..pairs.row_reader import SNAPSHOT, RowReader
from ..reading.displays import attribution_window
from ..reading.quarantine import check_format
from ..record.mapping import InputMapping
from ..record.signals import SignalTable
from ..record.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from ..record.mapping import TimeUnit

BUILTIN_FEATURES: Final = CARRIED
"""Features that the log itself holds."""


@dataclass(frozen=True)
class LoadSettings:
    """The parameters of `load_pairs` that concern rows and executions; see there.

    Attributes
    ----------
    signals : SignalTable
        Types and their grades.
    mapping : InputMapping
    context : tuple of str
    builtin_features : tuple of str
    query_key : callable, str or None
    half_life : float or None
        Days.
    now : int or None
        Microseconds.
    drop_bots : bool
    window : int or None
        Microseconds within which a row without an execution is attributed to a display.
    on_error : {"quarantine", "raise"}
    quarantine : path or None
    has_impressions : bool
        Whether a table of impressions follows the interactions.
    clock : datetime in UTC
        When the load began: later times become this one.
    """

    signals: SignalTable
    mapping: InputMapping
    context: tuple[str, ...] = ()
    builtin_features: tuple[str, ...] = BUILTIN_FEATURES
    query_key: Callable[[Any], str] | str | None = None
    half_life: float | None = None
    now: int | None = None
    drop_bots: bool = False
    window: int | None = None
    on_error: Literal["quarantine", "raise"] = "quarantine"
    quarantine: str | Path | None = None
    has_impressions: bool = False
    clock: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(
        cls,
        *,
        builtin_features: Sequence[str] = BUILTIN_FEATURES,
        context: Sequence[str] = (),
        columns: Mapping[str, str] | None = None,
        types: Mapping[str, str] | None = None,
        position_base: int = 0,
        time_unit: TimeUnit | None = None,
        grades: Mapping[str, int] | None = None,
        query_key: Callable[[Any], str] | str | None = None,
        half_life: float | None = None,
        now: datetime | None = None,
        drop_bots: bool = False,
        attribution: str | None = None,
        on_error: Literal["quarantine", "raise"] = "quarantine",
        quarantine: str | Path | None = None,
        has_impressions: bool = False,
    ) -> LoadSettings:
        """Check the parameters of `load_pairs`; raises `InvalidInputError` if one is wrong."""
        _check_names(builtin_features, context)
        _check_values(half_life, now, drop_bots, quarantine)
        return cls(
            signals=SignalTable(grades),
            mapping=InputMapping.of(columns, types, position_base, time_unit),
            context=tuple(context),
            builtin_features=tuple(builtin_features),
            query_key=query_key,
            half_life=half_life,
            now=None if now is None else microseconds(now),
            drop_bots=drop_bots,
            window=attribution_window(attribution),
            on_error=on_error,
            quarantine=quarantine,
            has_impressions=has_impressions,
        )

    @property
    def query_column(self) -> str | None:
        """Column that holds the query's id, where it is not derived from the snapshot."""
        return self.query_key if isinstance(self.query_key, str) else None

    @property
    def query_text(self) -> str:
        """Column of whose texts the queries are made."""
        return self.query_column or SNAPSHOT

    @property
    def query_ids(self) -> str:
        """Column of partitions with the queries' ids: one of its own if the texts are context."""
        return f"{self.query_text} (id)" if self.query_text in self.context else self.query_text

    @property
    def attributed(self) -> np.uint64 | None:
        """Bitmask of the types whose rows are attributed to displays; None where none are."""
        return None if self.window is None else self.signals.implies_shown

    def reader(self) -> RowReader:
        """Return a reader of rows."""
        return RowReader(
            self.signals,
            self.context,
            self.query_column,
            users=True,
            mapping=self.mapping,
            now=self.clock,
        )


def _check_names(builtin_features: Sequence[str], context: Sequence[str]) -> None:
    for name, value in (("builtin_features", builtin_features), ("context", context)):
        if isinstance(value, str):
            msg = f"{name}: expected a sequence of names such as ({value!r},), got {value!r}"
            raise InvalidInputError(msg)
    for name in builtin_features:
        if name not in BUILTIN_FEATURES:
            msg = (
                f"builtin_features: expected names out of {list(BUILTIN_FEATURES)}, got {name!r}."
                f"{did_you_mean(name, BUILTIN_FEATURES)}"
            )
            raise InvalidInputError(msg)


def _check_values(half_life: Any, now: Any, drop_bots: Any, quarantine: Any) -> None:
    if half_life is not None:
        checked_number("half_life", half_life, 0, between=True)
    if now is not None and not isinstance(now, datetime):
        msg = f"now: expected a datetime such as datetime(2026, 1, 31, tzinfo=UTC), got {now!r}"
        raise InvalidInputError(msg)
    if not isinstance(drop_bots, bool):
        msg = f"drop_bots: expected True or False, got {drop_bots!r}"
        raise InvalidInputError(msg)
    if quarantine is not None:
        check_format(quarantine)
