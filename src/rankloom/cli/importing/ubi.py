"""`rankloom import ubi`: queries and events of OpenSearch User Behavior Insights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError
from ..options import Json, QuarantineFile, option
from ..output import counted, say, show, show_json, tally
from .target import Log, Namespace, Out, check_target, copy_lines, open_log, write_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...datasets import UbiResult

BaseOption = Annotated[
    str | None,
    option(
        "--ordinal-base",
        "0|1|hits",
        "What positions in events count from; 'hits' takes those of the hit lists instead.",
        show_default="found by comparison with the hit lists",
    ),
]
Actions = Annotated[
    list[str] | None,
    option(
        "--action",
        "NAME=TYPE",
        "Interaction type of an action_name, your own types included; may be repeated.",
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
        option("--retriever", "R", "Written to every interaction."),
    ] = None,
    ordinal_base: BaseOption = None,
    action: Actions = None,
    quarantine: QuarantineFile = None,
    json: Json = False,
) -> None:
    """Read OpenSearch UBI queries and events: JSON lines, bulk files, search responses, Parquet.

    Every hit of a query becomes an impression, every event an interaction. Documents that cannot
    be used are counted by reason. Importing the same files into a log again changes nothing.

    **Example**: `rankloom import ubi queries.ndjson events.ndjson.gz --log sqlite:///log.db`
    """
    from ...datasets import CopyReport, load_ubi

    check_target(log, out)
    actions = parse_actions(action)
    result = load_ubi(
        queries,
        events,
        ordinal_base=_base_of(ordinal_base),
        actions=actions,
        retriever_id=retriever,
        quarantine=quarantine,
    )
    report = CopyReport()
    if out is not None:
        write_frame(result.frame, out)
        report.rows_read = report.created = result.frame.height
    elif log is not None:
        from ...datasets.importers.copy import record_rows

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


def _base_of(text: str | None) -> Any:
    """Return ``"0"`` and ``"1"`` as numbers; `load_ubi` refuses what is no base."""
    return int(text) if text in {"0", "1"} else text


def _ubi_lines(result: UbiResult) -> list[str]:
    notes = {
        "duplicates": result.duplicates,
        "queries without hits": result.queries_without_hits,
        "query ids with several hit lists": result.reused_query_ids,
        "events on an object outside the hit list": result.not_in_hits,
        "events with the position of the hit list for want of a usable one": (
            result.unusable_ordinals
        ),
        "events at another position than in the hit list": result.ordinal_conflicts,
        **result.quarantine.reasons,
    }
    lines = [
        (
            f"{counted(result.rows_read, 'document')} read: {result.queries:,} queries and "
            f"{result.events:,} events kept, {result.quarantine.rows:,} quarantined"
        ),
        *tally({note: count for note, count in notes.items() if count}),
    ]
    if result.events:
        lines += [f"positions in events: {_base_line(result)}"]
    return lines


def _base_line(result: UbiResult) -> str:
    if result.ordinal_base == "hits":
        return "those of the hit lists"
    if result.ordinal_base is not None:
        return f"counted from {result.ordinal_base}"
    parts = [f"from {base} {part}" for part, base in result.ordinal_bases.items()]
    return f"counted {', '.join(parts)}"
