"""`rankloom validate`: the rows of a log that break a rule, each with its reason."""

from __future__ import annotations

from typing import Annotated

import typer

from ..options import (
    Attribution,
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

FailOn = Annotated[
    list[str] | None,
    option(
        "--fail-on",
        "CONDITION",
        'End with 1 only if this holds, such as "quarantined > 1%" or "types.click == 0"; '
        "may be repeated. A wrong name lists all that there are.",
    ),
]
SuggestMap = Annotated[
    bool,
    typer.Option(
        "--suggest-map",
        help="Print a first mapping for --map, by the names of the columns and what they hold, "
        "and check nothing.",
    ),
]


def validate(
    files: Files,
    *,
    impressions: Impressions = None,
    attribution: Attribution = None,
    mapping: MappingFile = None,
    suggest_map: SuggestMap = False,
    quarantine: QuarantineFile = None,
    grade: Grades = None,
    fail_on: FailOn = None,
    namespace: Namespace = DEFAULT_NAMESPACE,
    json: Json = False,
) -> None:
    """Check interactions against the record's rules and count what breaks them.

    Ends with 0 if every row is fine, with 1 if some rows broke a rule (with --fail-on: if one of
    the conditions holds), and with 2 if a file cannot be read at all.

    **Example**: `rankloom validate 'logs/*.jsonl' --quarantine bad.jsonl --grade save=2`

    **Example**: `rankloom validate export.csv --suggest-map > mapping.toml`
    """
    from ... import validate as check
    from ...datasets import ValidationReport
    from ...datasets.reading.suggest_mapping import suggest_mapping
    from ...datasets.record.signals import SignalTable

    arguments = mapping_arguments(mapping)
    types = tuple(parse_grades(grade) or ())
    names = {**arguments.pop("types", {}), **{name: name for name in types}}
    # As in the other commands, a type of one's own is one that --grade names.
    SignalTable.with_types(types).mask(names.values())
    conditions = fail_on or []
    # A condition that cannot be read should not cost the time that the log takes.
    ValidationReport().failed(conditions, types=types)
    with opened(files, namespace) as source:
        if suggest_map:
            show([suggest_mapping(source).to_toml().rstrip()])
            return
        report = check(
            source,
            impressions=impressions,
            attribution=attribution,
            types=names,
            quarantine=quarantine,
            **arguments,
        )
    failed = report.failed(conditions, types=types)
    if json:
        show_json(report.to_dict())
    else:
        show([str(report)])
    if report.quarantined and quarantine is not None:
        say(f"rows that broke a rule -> {quarantine}")
    for condition in failed:
        say(f"failed: {condition}")
    if failed or (report.quarantined and not conditions):
        raise typer.Exit(1)
