"""`rankloom insights`: its commands."""

from __future__ import annotations

import typer

from .documents import documents
from .queries import queries
from .retrievers import retrievers
from .trends import trends
from .users import users

app = typer.Typer(
    name="insights",
    no_args_is_help=True,
    help="Read a log: queries, documents, retrievers, users, trends.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
for command in (queries, documents, retrievers, users, trends):
    app.command()(command)
