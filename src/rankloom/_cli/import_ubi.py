"""`rankloom import ubi`: queries and events of OpenSearch User Behavior Insights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from ..errors import InvalidInputError
from .import_target import Log, Namespace, Out, check_target, copy_lines, open_log, write_frame
from .options import Json, QuarantineFile
from .output import counted, say, show, show_json, tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..datasets import UbiResult

BaseOption = Annotated[
    int | None,
    typer.Option(
        "--ordinal-base",
        metavar="0|1",
        help="What positions in events count from.",
        show_default="told by the hit lists",
    ),
]
Actions = Annotated[
    list[str] | None,
    typer.Option(
        "--action",
        metavar="NAME=TYPE",
        help="Interaction type of an action_name, your own types included; may be repeated.",
        show_default=False,
    ),
]


def ubi(
    queries: Annotated[str, typer.Argument(metavar="QUERIES", help="File or glob of ubi_queries.")],
    events: Annotated[str, typer.Argument(metavar="EVENTS", help="File or glob of ubi_events.")],
    *,
    log: Log = None,
    out: Out = None,
    namespace: Namespace = None,
    retriever: Annotated[
        str | None,
        typer.Option(
            "--retriever", metavar="R", help="Written to every interaction.", show_default=False
        ),
    ] = None,
    ordinal_base: BaseOption = None,
    action: Actions = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Read OpenSearch UBI 1.3.0 queries and events: JSON lines, bulk files, answers, Parquet.

    Every hit of a query becomes an impression, every event an interaction. Documents that cannot
    be used are counted by reason. A second import into a log changes nothing.

    **Example**: `rankloom import ubi queries.ndjson events.ndjson.gz --log sqlite:///log.db`
    """
    from ..datasets import CopyReport, load_ubi

    check_target(log, out)
    actions = parse_actions(action)
    result = load_ubi(
        queries,
        events,
        ordinal_base=cast("Literal[0, 1] | None", ordinal_base),
        actions=actions,
        retriever_id=retriever,
        quarantine=quarantine,
    )
    report = CopyReport()
    if out is not None:
        write_frame(result.frame, out)
        report.rows_read = report.created = result.frame.height
    elif log is not None:
        from ..datasets._copies import record_rows

        with open_log(log, namespace, (actions or {}).values()) as opened:
            record_rows(opened, result.records(), "UBI", report)
    target = str(out or log)
    if json:
        show_json({"target": target, "ubi": result.to_dict(), "interactions": report.to_dict()})
    else:
        show([*_ubi_lines(result), *copy_lines(report)])
        say(f"interactions -> {target}")


def parse_actions(texts: Sequence[str] | None) -> dict[str, str] | None:
    """Return ``["save=bookmark"]`` as ``{"save": "bookmark"}``; None if there are none.

    Examples
    --------
    >>> parse_actions(["result.open=click", "save=save_recipe"])
    {'result.open': 'click', 'save': 'save_recipe'}
    """
    if not texts:
        return None
    return dict(_action(text) for text in texts)


def _action(text: str) -> tuple[str, str]:
    name, _, kind = text.rpartition("=")
    if not name.strip() or not kind.strip():
        msg = f"--action: expected NAME=TYPE, such as save=bookmark, got {text!r}"
        raise InvalidInputError(msg)
    return name.strip(), kind.strip()


def _ubi_lines(result: UbiResult) -> list[str]:
    notes = {
        "repeat another one": result.duplicates,
        "queries without hits": result.queries_without_hits,
        "events on an object outside of the hit list": result.not_in_hits,
        "events at another position than the hit list's": result.ordinal_conflicts,
        **result.quarantine.reasons,
    }
    lines = [
        (
            f"{counted(result.rows_read, 'document')} read: {result.queries:,} queries and "
            f"{result.events:,} events kept, {result.quarantine.rows:,} refused"
        ),
        *tally({note: count for note, count in notes.items() if count}),
        f"positions in events count from {result.ordinal_base}",
    ]
    return lines if result.events else lines[:-1]
