"""`rankloom validate`: what is wrong with a log, row by row, before anything is learnt from it."""

from __future__ import annotations

import typer

from .options import Files, Grades, Json, QuarantineFile, parse_grades
from .output import say, show, show_json


def validate(
    files: Files,
    *,
    quarantine: QuarantineFile = None,
    grade: Grades = None,
    json: Json = False,
) -> None:
    """Check interactions against the record's rules and count what breaks them.

    Ends with 0 if every row is fine, with 1 if some rows broke a rule, and with 2 if a file
    cannot be read at all.

    **Example**: `rankloom validate 'logs/*.jsonl' --quarantine bad.jsonl --grade save=2`
    """
    from .. import validate as check

    report = check(files, types=tuple(parse_grades(grade) or ()), quarantine=quarantine)
    if json:
        show_json(report.to_dict())
    else:
        show([str(report)])
    if report.quarantined and quarantine is not None:
        say(f"rows that broke a rule -> {quarantine}")
    if report.quarantined:
        raise typer.Exit(1)
