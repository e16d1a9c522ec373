"""`rankloom ingest`: JSON lines from a consumer of a message queue into a log, each once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from ...datasets.log.answers import RowFault
from ...errors import InvalidInputError
from ..options import MappingFile, mapping_arguments, option
from ..output import counted, say, tally
from .messages import BadLines, Message, Offsets, in_batches, read_messages

if TYPE_CHECKING:
    from ...datasets.log.interaction_log import InteractionLog

BATCH: Final = 500
WAIT: Final = 1.0
"""Seconds after which what has come is committed, however little it is."""

Input = Annotated[str, typer.Argument(metavar="FILE", help="File of JSON lines; - is stdin.")]
Log = Annotated[
    str, option("--log", "URL", "Log to record into; or RANKLOOM_LOG.", envvar="RANKLOOM_LOG")
]
Namespace = Annotated[str, option("--namespace", "N", "Namespace of the log.", show_default=True)]
Types = Annotated[
    list[str] | None,
    option("--type", "TYPE", "Interaction type beside the built-in ones; may be repeated."),
]
Quarantine = Annotated[
    Path | None,
    option("--quarantine", "JSONL", "File to which lines that break a rule are added."),
]
OffsetFile = Annotated[
    Path | None,
    option(
        "--offsets",
        "FILE",
        "Lines `TOPIC PARTITION NEXT`, written after every commit; messages before NEXT are "
        "skipped.",
    ),
]


def ingest(
    file: Input,
    *,
    log: Log,
    namespace: Namespace = "default",
    quarantine: Quarantine = None,
    offsets: OffsetFile = None,
    mapping: MappingFile = None,
    types: Types = None,
) -> None:
    """Record JSON lines from any consumer: kcat, Vector, Fluent Bit, or a file.

    A line is an interaction, or a message with `topic`, `partition`, `offset` and the interaction
    as `payload`, `message` or `value`. An interaction without an id of its own gets one made of
    these three: it counts once, however often its message comes. Rows are recorded as a backfill.

    After each commit, and only then, a line for each partition, `TOPIC PARTITION NEXT`, is
    printed: where to go on. Killed at any time it can be started again from there, or from before.

    **Example**: `kcat -C -b broker -t events -p 0 -o 0 -u -J | rankloom ingest - --log
    sqlite:///log.db --namespace shop --quarantine bad.jsonl --offsets offsets`
    """
    from ...datasets.log.interaction_log import InteractionLog
    from ...datasets.record.mapping import InputMapping

    arguments: dict[str, Any] = mapping_arguments(mapping) or InputMapping().arguments()
    if types:
        arguments["types"] = {**arguments.get("types", {}), **{name: name for name in types}}
    counts: Counter[str] = Counter()
    with ExitStack() as opened:
        bad = opened.enter_context(BadLines(quarantine))
        into = opened.enter_context(InteractionLog(log, namespace=namespace, **arguments))
        positions = Offsets(offsets)
        lines = opened.enter_context(_opened(file))
        for batch in in_batches(read_messages(lines), BATCH, WAIT):
            counts.update(_record(into, batch, bad, positions))
            for line in positions.committed():
                typer.echo(line)
            sys.stdout.flush()
    total = counted(sum(counts.values()), "line")
    say("\n".join([f"{total} read: {counts.pop('created', 0):,} new", *tally(counts)]))


def _record(
    log: InteractionLog, batch: list[Message], bad: BadLines, positions: Offsets
) -> Iterator[str]:
    """Commit a batch, note where it ends, and yield what became of each line."""
    rows = []
    for message in batch:
        if positions.has_passed(message):
            yield "committed before, by --offsets"
            continue
        row = message.fault or log.prepare(
            message.record, backfill=True, idempotency_key=message.key
        )
        if isinstance(row, RowFault):
            bad.add(message, row)
            yield f"{row.field or 'line'}: {row.reason}"
        else:
            rows.append(row)
    # What is bad is on disk before the offsets say that its line is done with.
    bad.flush()
    names = {"existing": "in the log already", "deduplicated": "duplicates within 5 minutes"}
    for recorded in log.submit(rows).result() if rows else ():
        yield names.get(recorded.status, recorded.status)
    positions.advance(batch)


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        msg = f"{file!r} cannot be read: {error.strerror}; give a file of JSON lines, or -"
        raise InvalidInputError(msg) from error
