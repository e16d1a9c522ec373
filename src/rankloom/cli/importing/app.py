"""`rankloom import`: one command for each system whose interactions can be read."""

from __future__ import annotations

import typer

from .mixpeek import mixpeek
from .ubi import ubi

app = typer.Typer(
    name="import",
    no_args_is_help=True,
    help="Read interactions that other systems have recorded into a log or a file.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
for command in (ubi, mixpeek):
    app.command()(command)
