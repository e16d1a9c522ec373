"""`rankloom export`: one command for each kind of file that other tools read."""

from __future__ import annotations

import typer

from .judgments import judgments
from .letor import letor
from .matrix import matrix
from .ranker import ranker
from .triplets import triplets

app = typer.Typer(
    name="export",
    no_args_is_help=True,
    help="Write what interactions say, and trained rankers, as files that other tools read.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
for command in (judgments, letor, matrix, triplets, ranker):
    app.command()(command)
