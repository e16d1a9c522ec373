"""The report: the results of its sections, as a page and as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._shared.plain import plain
from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    from pathlib import Path

    from .blocks import SectionResult


@dataclass(frozen=True)
class Report:
    """A log's report; `build_report` makes it.

    Attributes
    ----------
    title : str
    subtitle : str
        What was read: sources, rows, period.
    sections : tuple of SectionResult
        In the order of the page.
    """

    title: str
    subtitle: str
    sections: tuple[SectionResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the same facts as plain values, ready for JSON."""
        values: dict[str, Any] = plain(
            {
                "title": self.title,
                "subtitle": self.subtitle,
                "sections": {each.section.name: each.to_dict() for each in self.sections},
            }
        )
        return values

    def to_html(self) -> str:
        """Return the page, which needs no other file and no network.

        Raises
        ------
        InvalidInputError
            If jinja2 or matplotlib is not installed.
        """
        from .page import render

        return render(self.title, self.subtitle, self.sections)

    def save(self, path: str | Path) -> None:
        """Write the page, whole or not at all.

        Parameters
        ----------
        path : path
            Such as ``report.html``; a file that is there is replaced.
        """
        from pathlib import Path

        from ..._shared.atomic_files import write_whole

        html = self.to_html()
        write_whole(path, lambda name: Path(name).write_text(html, encoding="utf-8"))

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        rows = [
            (each.section.title, each.missing.what if each.missing else each.view.headline)
            for each in self.sections
        ]
        return Summary(
            f"{self.title}: {self.subtitle}",
            [Table.of(["section", ""], rows, limit=20, width=240)],
            ["save(path) writes the page"],
        )
