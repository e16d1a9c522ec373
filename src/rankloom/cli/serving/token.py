"""`rankloom token`: bearer tokens of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..options import option
from ..output import say, show

app = typer.Typer(no_args_is_help=True, help="Create bearer tokens for the service.")

Namespace = Annotated[
    str,
    option("--namespace", "N", "Namespace that the token gives access to."),
]
Role = Annotated[
    str,
    option(
        "--role", "R", "ingest (record), read, admin (both, and delete and configure) or metrics."
    ),
]
File = Annotated[
    Path,
    option(
        "--token-file",
        "FILE",
        "File to which its SHA-256 is added; created with mode 0600 if it does not exist.",
    ),
]
Name = Annotated[
    str | None,
    option(
        "--name", "N", "Who has it, for the history of changes.", show_default="part of its SHA-256"
    ),
]


@app.command()
def new(*, namespace: Namespace, role: Role, token_file: File, name: Name = None) -> None:
    """Print a new token, once: only its SHA-256 is stored.

    A running service accepts it within a second; to revoke it, delete its line from the file.

    **Example**: `rankloom token new --namespace shop --role ingest --token-file tokens`
    """
    from ...service.http.tokens import add_token

    show([add_token(token_file, namespace, role, name)])
    say(f"{role} token for {namespace} -> {token_file}")


@app.callback()
def token() -> None:
    """Create bearer tokens for the service."""
