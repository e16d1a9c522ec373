"""The log that the sections read: what several of them need is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from ...datasets import PositionBias, TrainingPairs, ValidationReport
    from ...datasets.record.mapping import InputMapping
    from ...ltr import Ranker
    from ..searches.searches import Searches
    from .log_fields import LogFields

    T = TypeVar("T")

TEST_FRACTION = 0.3
"""Share of the executions, the latest, that rankers and memories are judged on."""

LATENCY_FIELDS = ("latency_ms", "latency")
"""Fields of metadata that are taken for the searches' latency, the first that is logged."""

_GROUPS = ("user_id", "session_id")


@dataclass
class ReportLog:
    """A source of interactions and how to read it; what is derived from it is kept.

    Attributes
    ----------
    source : path, glob, table, list of dicts, list of paths, or InteractionLog
    features, impressions, judgments, attribution, grades, drop_bots
        As for `load_pairs`.
    mapping : InputMapping
    by : str, optional
        Column or metadata field that splits pictures; None: ``device`` where it is logged.
    n_jobs : int, optional
        Threads of LightGBM; all by default.
    max_rows : int
        Rows of a table.
    user : str, optional
        The one user whose rows may be shown.
    """

    source: Any
    mapping: InputMapping
    features: Any = None
    impressions: Any = None
    judgments: Any = None
    attribution: str | None = None
    grades: Mapping[str, int] | None = None
    drop_bots: bool = False
    by: str | None = None
    n_jobs: int | None = None
    max_rows: int = 10
    user: str | None = None
    _found: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def reading(self) -> dict[str, Any]:
        """How the source is read, as keyword arguments of readers."""
        return self.mapping.arguments()

    @property
    def validation(self) -> ValidationReport:
        """What is in the source, row by row."""
        from ...datasets.quality.validate import validate

        types = dict.fromkeys(self.grades or {})
        return self._once(
            "validation",
            lambda: validate(
                self.source,
                impressions=self.impressions,
                attribution=self.attribution,
                **{**self.reading, "types": self.mapping.types or tuple(types)},
            ),
        )

    @property
    def fields(self) -> LogFields:
        """Retrievers, channels and fields of metadata that the rows name."""
        from .log_fields import find_fields

        return self._once("fields", lambda: find_fields(self.source, self.mapping, self.by))

    @property
    def group_by(self) -> str | None:
        """The column that splits pictures, if there is one."""
        if self.by is not None:
            return self.by
        return "device" if "device" in self.fields.metadata else None

    @property
    def pairs(self) -> TrainingPairs:
        """Every shown document of every execution, with users, sessions and the group."""
        return self._once("pairs", self._load)

    @property
    def bias(self) -> PositionBias:
        """The examination curve of the whole log, and that of each value of the group."""
        from ...datasets import PositionBias

        return self._once("bias", lambda: PositionBias(by=self.group_by).fit(self.pairs))

    @property
    def known_curve(self) -> NDArray[np.float64] | None:
        """The examination of each position; None where the log does not identify all of it."""
        try:
            examination = self.bias.curve().examination
        except InvalidInputError:
            return None
        return examination if np.isfinite(examination).all() else None

    @property
    def searches(self) -> Searches:
        """The same log as searches, those without results included."""
        return self._once("searches", self._read)

    @property
    def latency(self) -> str | None:
        """The field of metadata with the searches' latency, if there is one."""
        return next((name for name in LATENCY_FIELDS if name in self.fields.metadata), None)

    @property
    def parts(self) -> tuple[TrainingPairs, TrainingPairs]:
        """The earlier executions, to learn from, and the later ones, to judge by."""
        from ...datasets import split_by_time

        return self._once("parts", lambda: split_by_time(self.pairs, test_fraction=TEST_FRACTION))

    @property
    def ranker(self) -> Ranker:
        """A ranker of the earlier executions."""
        from ...ltr import Ranker

        return self._once(
            "ranker", lambda: Ranker(n_jobs=self.n_jobs, progress=False).fit(self.parts[0])
        )

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        """Return what was computed before, or raise what was raised then."""
        if name not in self._found:
            try:
                self._found[name] = compute()
            except InvalidInputError as error:
                self._found[name] = error
        found: Any = self._found[name]
        if isinstance(found, InvalidInputError):
            raise found
        kept: T = found
        return kept

    def _load(self) -> TrainingPairs:
        from ...datasets import load_pairs

        covered = self.validation.coverage
        context = [name for name in _GROUPS if covered.get(name)]
        if self.group_by is not None and self.group_by not in context:
            context.append(self.group_by)
        return load_pairs(
            self.source,
            features=self.features,
            impressions=self.impressions,
            judgments=self.judgments,
            attribution=self.attribution,
            grades=self.grades,
            drop_bots=self.drop_bots,
            context=context,
            **self.reading,
        )

    def _read(self) -> Searches:
        from ...datasets.record.interaction import canonical_schema
        from ..searches.read_searches import read_searches

        own = canonical_schema()
        context = [name for name in (self.group_by, self.latency) if name and name not in own]
        return read_searches(
            self.source,
            features=self.features,
            impressions=self.impressions,
            attribution=self.attribution,
            grades=self.grades,
            drop_bots=self.drop_bots,
            context=list(dict.fromkeys(context)),
            examination="auto" if self.known_curve is None else self.known_curve,
            **self.reading,
        )

    def check(self) -> None:
        """Raise what no section can do without: a source that is readable, a column that exists.

        Raises
        ------
        UnreadableSourceError
            If a file cannot be read.
        InvalidInputError
            If a required column is missing, or `by` names no column.
        """
        if not self.validation.rows_read or self.by is None:
            return
        names = self.fields.metadata
        if not (self.by in names or self.fields.column_filled):
            msg = (
                f"by: {self.by!r} is neither a column nor a field of metadata in any row."
                f"{did_you_mean(self.by, names)}"
            )
            raise InvalidInputError(msg)
