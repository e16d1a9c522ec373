"""`rankloom replay`: judge learnt fusion weights on a log before they are deployed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import Json, MappingFile, mapping_arguments, option
from ..output import show, show_json, table
from ..sources import Files, opened
from .state_options import DEFAULT, Namespace, Retriever, State, open_state

if TYPE_CHECKING:
    from ...bandit import LearningCurve

Snapshot = Annotated[
    Path | None,
    option("--snapshot", "FILE", "Judge this snapshot instead of the weights of the state."),
]
Against = Annotated[
    str,
    option(
        "--against",
        "B",
        "Baseline: served (the lists as shown) or equal (equal weights).",
        show_default=True,
    ),
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Include interactions that the weights were learnt from; the gate never passes then.",
    ),
]
Steps = Annotated[
    int, option("--steps", "N", "Steps of the learning curve.", show_default=True, min=1)
]


def replay(
    files: Files,
    *,
    state: State,
    retriever: Retriever = DEFAULT,
    namespace: Namespace = DEFAULT,
    snapshot: Snapshot = None,
    mapping: MappingFile = None,
    against: Against = "served",
    all_lists: All = False,
    steps: Steps = 8,
    json: Json = False,
) -> None:
    """Judge learnt fusion weights on logged interactions that they were not learnt from.

    Where the log holds the weights that were served, the estimate corrects for them. Where it does
    not, the shown lists are only reordered: the report says so and the gate does not pass. The
    text ends with the weights after each part of this log, learnt from the start.

    Ends with 0 if the gate passes: the one-sided 95 % bound of the first metric's gain lies above
    0, and that of every other metric's relative gain above -1 %. Ends with 1 if it does not.

    **Example**: `rankloom replay 'later/*.parquet' --state sqlite:///fusion.db`
    """
    from ...bandit import FusionWeights, learning_curve, replay_weights
    from ...bandit.serving.traffic_split import equal_weights
    from ...datasets.record.mapping import InputMapping
    from ...errors import InvalidInputError

    if against not in {"served", "equal"}:
        msg = f"--against: expected served or equal, got {against!r}"
        raise InvalidInputError(msg)
    bandit = open_state(state, retriever, namespace)
    candidate = bandit.snapshot() if snapshot is None else FusionWeights.load(snapshot)
    identity = bandit.evidence.identity
    rows = InputMapping(**mapping_arguments(mapping))
    with opened(files, namespace) as source:
        verdict = replay_weights(
            source,
            candidate,
            baseline=equal_weights(candidate.feature_uris) if against == "equal" else "served",
            examination=identity.examination,
            rewards=identity.settings()["rewards"],
            retriever_id=retriever,
            later=not all_lists,
            mapping=rows,
        )
        curve = learning_curve(source, bandit, steps=steps, mapping=rows)
    if json:
        show_json(
            {
                **verdict.to_dict(),
                "candidate": {"snapshot_id": candidate.snapshot_id, "weights": candidate.mean()},
                "learning_curve": curve.to_dict(),
            }
        )
    else:
        show([str(verdict), "", *_lines(curve)])
    if not verdict.passed:
        raise typer.Exit(1)


def _lines(curve: LearningCurve) -> list[str]:
    import numpy as np

    headings = ["learnt until", "executions", *curve.feature_uris, "entropy", "width"]
    rows: list[list[Any]] = [
        [
            np.datetime_as_string(time, unit="m").replace("T", " "),
            f"{executions:,}",
            *(f"{weight:.3f}" for weight in weights),
            f"{entropy:.3f}",
            f"{width:.3f}",
        ]
        for time, executions, weights, entropy, width in zip(
            curve.times, curve.executions, curve.weights, curve.entropy, curve.width, strict=True
        )
    ]
    return table(headings, rows)
