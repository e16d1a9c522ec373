"""`build_report`: a log in, the facts of every section out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._shared.plain import plain
from ..._shared.progress import tracked
from ...datasets.record.mapping import InputMapping
from ...errors import InvalidInputError, did_you_mean
from .blocks import Missing, SectionResult
from .log import ReportLog
from .report import Report
from .sections import SECTIONS
from .wording import counted, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...datasets.record.mapping import TimeUnit
    from .blocks import Section


def build_report(
    source: Any,
    *,
    features: Any = None,
    impressions: Any = None,
    judgments: Any = None,
    attribution: str | None = None,
    columns: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    position_base: int = 0,
    time_unit: TimeUnit | None = None,
    grades: Mapping[str, int] | None = None,
    drop_bots: bool = False,
    sections: Sequence[str] | None = None,
    by: str | None = None,
    title: str | None = None,
    n_jobs: int | None = None,
    max_rows: int = 10,
    user: str | None = None,
) -> Report:
    """Read a log and return a report of it for people who would rather look than read.

    Sections are independent of each other: one that lacks a field in the log says so in its place.
    Users' ids are not part of the report, but for the one
    that `user` names.

    Parameters
    ----------
    source : path, glob, list of paths, table, list of dicts, or InteractionLog
        Interactions; see `Scan`. It is read several times.
    features, impressions, judgments, attribution, columns, types, position_base, time_unit, grades
        As for `load_pairs`. The ranker's section needs `features`.
    drop_bots : bool
        As for `load_pairs`.
    sections : sequence of str, optional
        Names out of `rankloom.insights.report.sections.SECTIONS`; all of them by default.
    by : str, optional
        Column or metadata field that splits the examination curve; ``device`` by default, where
        metadata has it.
    title : str, optional
        Of the page.
    n_jobs : int, optional
        Threads of LightGBM; all by default.
    max_rows : int
        Rows of a table; how many more there are is said below it.
    user : str, optional
        A user of whom the users' section says what the log holds.

    Returns
    -------
    Report
        With `to_dict`, `to_html` and `save`; the page needs the extra ``rankloom[report]``.

    Raises
    ------
    UnreadableSourceError
        If a file is missing, truncated or of another format.
    InvalidInputError
        If a parameter is wrong.

    Examples
    --------
    >>> from rankloom.datasets import simulate_interactions
    >>> log = simulate_interactions(n_executions=300, random_state=0)
    >>> report = build_report(log, sections=["labels"])
    >>> list(report.to_dict()["sections"]), report.sections[0].facts["shown"]
    (['labels'], 3000)
    """
    chosen = _chosen(sections)
    if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
        msg = f"max_rows: expected a whole number of at least 1, got {max_rows!r}"
        raise InvalidInputError(msg)
    log = ReportLog(
        source,
        mapping=InputMapping.of(columns, types, position_base, time_unit),
        features=features,
        impressions=impressions,
        judgments=judgments,
        attribution=attribution,
        grades=grades,
        drop_bots=drop_bots,
        by=by,
        n_jobs=n_jobs,
        max_rows=max_rows,
        user=user,
    )
    log.check()
    shown = tracked(chosen, "Sections of the report", len(chosen))
    results = tuple(_result(section, log) for section in shown)
    return Report(title or "Search log report", _subtitle(log), results)


def _chosen(names: Sequence[str] | None) -> list[Section]:
    if names is None:
        return list(SECTIONS.values())
    if isinstance(names, str) or not names:
        msg = f"sections: expected a list of names out of {list(SECTIONS)}, got {names!r}"
        raise InvalidInputError(msg)
    for name in names:
        if name not in SECTIONS:
            msg = (
                f"sections: expected names out of {', '.join(SECTIONS)}, got {name!r}."
                f"{did_you_mean(name, SECTIONS)}"
            )
            raise InvalidInputError(msg)
    return [section for name, section in SECTIONS.items() if name in names]


def _result(section: Section, log: ReportLog) -> SectionResult:
    """Return a section's facts; what the log lacks is said in its place, other errors rise."""
    try:
        found = section.facts(log)
    except InvalidInputError as error:
        what, _, remedy = str(error).partition(" Ways out: ")
        return SectionResult(section, missing=Missing(what, remedy))
    if isinstance(found, Missing):
        return SectionResult(section, missing=found)
    return SectionResult(section, facts=plain(found))


def _subtitle(log: ReportLog) -> str:
    rows = counted(log.validation.rows_read, "row")
    paths = [log.source] if isinstance(log.source, str | Path) else log.source
    if not isinstance(paths, list) or not all(isinstance(each, str | Path) for each in paths):
        return rows
    names = [shortened(Path(each).name) for each in paths]
    more = f" and {counted(len(names) - 3, 'more source')}" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}: {rows}"
