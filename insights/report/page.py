"""From the sections' results to one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import InvalidInputError
from .blocks import Picture, Table
from .charts.chart import NARROW, WIDE
from .charts.palette import DASHES, MARKERS
from .charts.svg import picture
from .wording import as_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .blocks import Block, SectionResult
    from .charts.chart import Chart

MARK_SHAPES = {
    "o": "M10 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "s": "M10 2h8v8h-8z",
    "^": "M14 1.5l5 9h-10z",
    "D": "M14 1l5 5l-5 5l-5 -5z",
    "v": "M14 10.5l5 -9h-10z",
    "P": "M12 2h4v2.5h2.5v3h-2.5v2.5h-4v-2.5h-2.5v-3h2.5z",
}
"""Marks of the series as paths in a legend of 28 times 12 pixels."""


def check_packages() -> None:
    """Refuse a page that cannot be made, before the log is read."""
    for package in ("jinja2", "matplotlib"):
        if find_spec(package) is None:
            msg = f"report: {package} is not installed; `pip install 'rankloom[report]'` adds it"
            raise InvalidInputError(msg)


def render(title: str, subtitle: str, results: Sequence[SectionResult]) -> str:
    """Return the page.

    Parameters
    ----------
    title, subtitle : str
    results : sequence of SectionResult
        In the order of the page.
    """
    check_packages()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html")
    page: str = template.render(
        title=title, subtitle=subtitle, sections=[_shown(result) for result in results]
    )
    return page


def _shown(result: SectionResult) -> dict[str, Any]:
    """Return what the template needs of a section."""
    name = result.section.name
    shown: dict[str, Any] = {
        "name": name,
        "title": result.section.title,
        "missing": result.missing,
        "headline": "",
        "blocks": [],
    }
    if result.missing is not None:
        return shown
    view = result.view
    blocks = [_block(block, f"{name}-{n}") for n, block in enumerate(view.blocks, start=1)]
    return {**shown, "headline": view.headline, "blocks": blocks}


def _block(block: Block, name: str) -> dict[str, Any]:
    if isinstance(block, Picture):
        return {"kind": "picture", "sentence": block.sentence, **_drawings(block.chart, name)}
    if isinstance(block, Table):
        return {"kind": "table", "table": block, "name": name}
    lines = [as_sentence(line) for line in block.lines]
    return {"kind": "notes", "title": block.title, "lines": lines}


def _drawings(chart: Chart, name: str) -> dict[str, Any]:
    """Return a chart for wide and for narrow pages, and the entries of its legend."""
    from markupsafe import Markup

    # Texts in the drawings are escaped by matplotlib.
    return {
        "wide": Markup(picture(chart, f"{name}-wide", WIDE)),  # noqa: S704
        "narrow": Markup(picture(chart, f"{name}-narrow", NARROW)),  # noqa: S704
        "legend": [
            {
                "label": entry.label,
                "series": entry.number + 1,
                "line": entry.line,
                "dashes": DASHES[entry.number],
                "mark": MARK_SHAPES[MARKERS[entry.number]],
            }
            for entry in chart.legend
        ],
    }
