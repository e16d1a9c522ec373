"""`rankloom position-bias`: how likely each position is examined, estimated from a log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ...errors import InvalidInputError
from ..options import (
    Attribution,
    DropBots,
    Features,
    Grades,
    Impressions,
    Json,
    MappingFile,
    QuarantineFile,
    mapping_arguments,
    option,
    parse_grades,
)
from ..output import say, show, show_json
from ..sources import DEFAULT_NAMESPACE, Files, Namespace, opened

if TYPE_CHECKING:
    from ...datasets import PositionBias

By = Annotated[
    str | None,
    option(
        "--by",
        "COLUMN",
        "Estimate a curve for each value of a column or metadata field, such as device.",
    ),
]
Estimator = Annotated[
    str,
    option(
        "--estimator",
        "E",
        "auto (swaps and features), features, all_pairs, pivot, adjacent or em.",
        show_default=True,
    ),
]
Plot = Annotated[
    Path | None,
    option("--plot", "PNG", "Draw the curve (.png, .svg or .pdf); needs rankloom[plot]."),
]


def position_bias(
    files: Files,
    *,
    by: By = None,
    estimator: Estimator = "auto",
    plot: Plot = None,
    features: Features = None,
    impressions: Impressions = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    drop_bots: DropBots = False,
    grade: Grades = None,
    quarantine: QuarantineFile = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Estimate how likely a position is examined, compared with the first one.

    The log identifies this where documents of a query were shown at several positions, because
    rankers differed or changed, or where documents that look alike by their --features were shown
    at different ones. The table says by how much features contributed; below it stand how far
    they predict the position, and whether documents' moves follow their clicks. Where neither
    identifies the curve, the command says so and ends with 2.

    **Example**: `rankloom position-bias log.parquet --by device --plot curve.png`
    """
    from ...datasets import PositionBias, load_pairs

    if plot is not None:
        _check_plot(plot)
    with opened(files, namespace) as source:
        pairs = load_pairs(
            source,
            features=features,
            impressions=impressions,
            attribution=attribution,
            **mapping_arguments(mapping),
            drop_bots=drop_bots,
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
    """Refuse a picture that cannot be drawn before the log is read."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        msg = "--plot: matplotlib is not installed; `pip install 'rankloom[plot]'` adds it"
        raise InvalidInputError(msg)
    if path.suffix.lower() not in {".png", ".svg", ".pdf"}:
        msg = f"--plot: expected a name ending in .png, .svg or .pdf, got {str(path)!r}"
        raise InvalidInputError(msg)


def _draw(bias: PositionBias, path: Path) -> None:
    # A figure made without pyplot needs no display and leaves no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    bias.plot(figure.add_subplot())
    figure.savefig(path, dpi=150)
    say(f"picture -> {path}")
