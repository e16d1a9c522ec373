"""`rankloom replay`: what learnt fusion weights would have been worth; may they ship."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .fusion_state import DEFAULT, Namespace, Retriever, State, open_state
from .options import Files, Json
from .output import show, show_json, table

if TYPE_CHECKING:
    from ..bandit import LearningCurve

Snapshot = Annotated[
    Path | None,
    typer.Option(
        "--snapshot",
        metavar="FILE",
        help="Judge this snapshot instead of what the state would give now.",
        show_default=False,
    ),
]
Against = Annotated[
    str, typer.Option("--against", metavar="B", help="served (what was shown) or equal weights.")
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        help="Use interactions too that the weights were learnt from; then nothing passes.",
    ),
]
Steps = Annotated[
    int, typer.Option("--steps", metavar="N", min=1, help="Steps of the learning curve.")
]


def replay(
    files: Files,
    *,
    state: State,
    retriever: Retriever = DEFAULT,
    namespace: Namespace = DEFAULT,
    snapshot: Snapshot = None,
    against: Against = "served",
    all_lists: All = False,
    steps: Steps = 8,
    json: Json = False,
) -> None:
    """Judge learnt fusion weights on logged interactions that they have not seen.

    Where served weights were logged the judgement allows for them; where not, shown lists are
    merely reordered, which is said, and nothing passes. The text ends with how the weights settle
    when this log is learnt from the start.

    Ends with 0 if the gate passes: the one-sided 95 % bound of the first metric's gain lies above
    0, and that of every other metric's relative gain above -1 %. Ends with 1 if it does not.

    **Example**: `rankloom replay 'later/*.parquet' --state sqlite:///fusion.db`
    """
    from ..bandit import FusionWeights, learning_curve, replay_weights
    from ..bandit._policy import equal_weights
    from ..bandit._settings_of import settings_of
    from ..errors import InvalidInputError

    if against not in {"served", "equal"}:
        msg = f"--against: expected served or equal, got {against!r}"
        raise InvalidInputError(msg)
    bandit = open_state(state, retriever, namespace)
    candidate = bandit.snapshot() if snapshot is None else FusionWeights.load(snapshot)
    identity = bandit.evidence.identity
    found = replay_weights(
        files,
        candidate,
        baseline=equal_weights(candidate.feature_uris) if against == "equal" else "served",
        examination=identity.examination,
        rewards=settings_of(identity)["rewards"],
        retriever_id=retriever,
        later=not all_lists,
    )
    curve = learning_curve(files, bandit, steps=steps)
    if json:
        show_json(
            {
                **found.to_dict(),
                "candidate": {"snapshot_id": candidate.snapshot_id, "weights": candidate.mean()},
                "learning_curve": curve.to_dict(),
            }
        )
    else:
        show([str(found), "", *_lines(curve)])
    if not found.passed:
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
