"""From a chart to SVG for a page: the same bytes every time, text as text, colours by variables."""

from __future__ import annotations

import re
import warnings
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

from .palette import with_variables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .chart import Chart

_DPI: Final = 72
"""Points are pixels of SVG."""

_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rankloom",
    "text.parse_math": False,  # a text from the log may hold $
    "font.size": 12,
    "font.family": "sans-serif",
    "axes.unicode_minus": True,
}


def picture(chart: Chart, name: str, width: int) -> str:
    """Return a chart as an ``svg`` element without width and height.

    `name`: part of every id in it, unique on the page.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    size = (width, chart.height(width))
    # A figure made without pyplot needs no display and leaves no global state.
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Glyphs that matplotlib's fonts lack are the browser's to draw.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), dpi=_DPI)
        figure.patch.set_visible(False)
        FigureCanvasSVG(figure)
        chart.draw(figure, width)
        written = StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    return _for_page(written.getvalue(), name, size)


def _for_page(document: str, name: str, size: tuple[int, int]) -> str:
    content = document[document.index(">", document.index("<svg")) + 1 : document.rindex("</svg>")]
    content = re.sub(r"<metadata>.*?</metadata>", "", content, flags=re.DOTALL)
    content = re.sub(r"<!--.*?-->", "", content, flags=re.DOTALL)
    content = re.sub(r"font: ([0-9.]+px)[^;\"]*", r"font-size: \1", content)
    content = re.sub(r"font-family: [^;\"]*;? ?", "", content)
    content = with_variables(_own_ids(content, name))
    content = re.sub(r">\s+<", "><", content).strip()
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" aria-hidden="true" focusable="false">'
        f"{content}</svg>"
    )


def _own_ids(content: str, name: str) -> str:
    """Return SVG in which only what is referred to has an id, which starts with the name."""
    used = set(_references(content))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{name}-{found[1]}"' if found[1] in used else ""

    content = re.sub(r' id="([^"]*)"', renamed, content)
    content = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", content)
    return re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', content)


def _references(content: str) -> Iterator[str]:
    for pattern in (r"url\(#([^)]*)\)", r'href="#([^"]*)"'):
        yield from re.findall(pattern, content)
