"""`rankloom import`: what other systems have recorded, into a log or a file of interactions."""

from __future__ import annotations

import typer

from .import_mixpeek import mixpeek
from .import_ubi import ubi

app = typer.Typer(
    name="import",
    no_args_is_help=True,
    help="Bring in interactions that other systems have recorded, into a log or a file.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
for command in (ubi, mixpeek):
    app.command()(command)
