"""`rankloom position-bias`: how likely each position is looked at, told from a log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidInputError
from .options import Files, Grades, Impressions, Json, QuarantineFile, parse_grades
from .output import say, show, show_json

if TYPE_CHECKING:
    from ..datasets import PositionBias

By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="COLUMN",
        help="A curve for each value of a column or metadata field, such as device.",
        show_default=False,
    ),
]
Estimator = Annotated[
    str, typer.Option("--estimator", metavar="E", help="all_pairs, pivot, adjacent or em.")
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="PNG",
        help="Draw the curve (.png, .svg or .pdf); needs rankloom[plot].",
        show_default=False,
    ),
]


def position_bias(
    files: Files,
    *,
    by: By = None,
    estimator: Estimator = "all_pairs",
    plot: Plot = None,
    impressions: Impressions = None,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Estimate how likely a position is examined, compared with the first one.

    The log tells this only where documents of a query were shown at several positions, because
    rankers differed or changed. Where that never happened the command says so and ends with 2;
    it does not guess.

    **Example**: `rankloom position-bias log.parquet --by device --plot curve.png`
    """
    from ..datasets import PositionBias, load_pairs

    if plot is not None:
        _check_plot(plot)
    pairs = load_pairs(
        files,
        impressions=impressions,
        builtin_features=(),
        context=() if by is None else (by,),
        grades=parse_grades(grade),
        quarantine=quarantine,
    )
    bias = PositionBias(estimator=estimator, by=by).fit(pairs)  # type: ignore[arg-type]
    if plot is not None:
        _draw(bias, plot)
    if json:
        show_json({**bias.to_dict(), "load": pairs.report.to_dict()})
    else:
        show([bias.summary()])


def _check_plot(path: Path) -> None:
    """Refuse what cannot be drawn before the work is done rather than after it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        msg = "--plot: matplotlib is not installed; `pip install 'rankloom[plot]'` adds it"
        raise InvalidInputError(msg)
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        msg = f"--plot: expected a name ending in .png, .svg or .pdf, got {str(path)!r}"
        raise InvalidInputError(msg)


def _draw(bias: PositionBias, path: Path) -> None:
    # A figure without pyplot needs no screen and leaves no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    bias.plot(figure.add_subplot())
    figure.savefig(path, dpi=150)
    say(f"picture -> {path}")
