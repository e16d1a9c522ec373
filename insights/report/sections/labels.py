"""What users did with the documents that they were shown: types and grades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....errors import InvalidInputError
from ..blocks import Missing, Picture, Section, Table, View, cut
from ..charts.rows import Bar, BarChart
from ..wording import counted, decimal, part, percent

if TYPE_CHECKING:
    from ..blocks import Facts
    from ..log import ReportLog


def facts(log: ReportLog) -> Facts | Missing:
    """Return the rows of each type, and the documents of each grade."""
    pairs = log.pairs
    grades, counts = np.unique(pairs.y.astype(np.int64), return_counts=True)
    try:
        examined = float(log.bias.curve().at(pairs.position).sum())
    except InvalidInputError:
        examined = float("nan")
    return {
        "types": dict(log.validation.types),
        "rows": log.validation.rows_kept + log.validation.duplicates,
        "shown": len(pairs),
        "clicked": int(pairs.clicked.sum()),
        "negative": int(pairs.negative.sum()),
        "grades": dict(zip(map(int, grades), map(int, counts), strict=True)),
        "examined": examined if np.isfinite(examined) else None,
        "max_rows": log.max_rows,
    }


def view(found: Facts) -> View:
    """Return the mix as bars and as a table."""
    shown, left_out = cut(list(found["types"].items()), found["max_rows"], "type")
    bars = [Bar(name, count, f"{count:,}") for name, count in shown]
    sentence = (
        f"Valid rows by interaction type, as logged, duplicates included; a row with several types "
        f"counts for each. {left_out}"
    )
    rows = [
        (str(grade), f"{n:,}", percent(n / found["shown"])) for grade, n in found["grades"].items()
    ]
    table = Table(
        "Shown documents by grade, the highest of their signals",
        ("grade", "documents", "share"),
        rows,
    )
    return View(headline(found), [Picture(BarChart(bars), sentence.strip()), table])


def headline(found: Facts) -> str:
    """Say how many of the shown documents were clicked, raw and by examination."""
    shown = counted(found["shown"], "document")
    text = (
        f"Of {shown} shown in result lists, {part(found['clicked'], found['shown'])} "
        f"{_were(found['clicked'])} clicked and {part(found['negative'], found['shown'])} got a "
        "negative signal."
    )
    examined = found["examined"]
    if examined:
        text += (
            f" By the examination curve, the displays amount to {round(examined):,} at the first "
            f"position, {decimal(found['clicked'] / examined)} clicks for each."
        )
    else:
        text += " The examination curve is not known, so the rate is not corrected for position."
    return text


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


SECTION = Section("labels", "Label mix", facts, view)
