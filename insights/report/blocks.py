"""What a section consists of: sentences, pictures and tables, before they are a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from .wording import not_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .charts.chart import Chart
    from .log import ReportLog

    Facts: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Missing:
    """Why a section has nothing to show, and what to log or to give for it."""

    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Picture:
    """A chart and the sentence that says what it shows and how sure it is."""

    chart: Chart
    sentence: str


@dataclass(frozen=True)
class Table:
    """Rows for reading.

    Attributes
    ----------
    title : str
    headings : sequence of str
    rows : sequence of sequence of str
    left : int
        The first columns that hold text; the others hold numbers.
    left_out : str
        What is not shown; empty where everything is.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    left_out: str = ""


@dataclass(frozen=True)
class Notes:
    """Sentences of lesser weight, such as limits of an estimate."""

    title: str
    lines: Sequence[str]


Block: TypeAlias = Picture | Table | Notes


@dataclass(frozen=True)
class View:
    """A section to be shown: its headline first, then the blocks in order."""

    headline: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Section:
    """One subject of the report.

    Attributes
    ----------
    name : str
        As ``--section`` takes it.
    title : str
    facts : callable
        From the log to plain values, ready for JSON; or what is missing.
    view : callable
        From these facts, and nothing else, to what is shown.
    """

    name: str
    title: str
    facts: Callable[[ReportLog], Facts | Missing]
    view: Callable[[Facts], View]


@dataclass(frozen=True)
class SectionResult:
    """A section of one log: its facts, or why there are none."""

    section: Section
    facts: Facts = field(default_factory=dict)
    missing: Missing | None = None

    @property
    def view(self) -> View:
        """What is shown of the facts."""
        return self.section.view(self.facts)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = {"title": self.section.title}
        if self.missing is not None:
            return {**values, "missing": self.missing.what, "remedy": self.missing.remedy}
        return {**values, "headline": self.view.headline, "facts": self.facts}


def cut(rows: Sequence[Any], limit: int, noun: str, plural: str | None = None) -> tuple[Any, str]:
    """Return the first rows, and a sentence on those that are left out.

    >>> cut([1, 2, 3], 2, "query", "queries")
    ([1, 2], '1 more query is not shown.')
    """
    more = len(rows) - limit
    if more <= 0:
        return list(rows), ""
    return list(rows[:limit]), not_shown(more, noun, plural)
