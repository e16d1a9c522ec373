"""`rankloom token`: bearer tokens of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import say, show

app = typer.Typer(no_args_is_help=True, help="Make bearer tokens for the service.")

Namespace = Annotated[
    str,
    typer.Option(
        "--namespace", metavar="N", help="Whose interactions it speaks for.", show_default=False
    ),
]
Role = Annotated[
    str,
    typer.Option(
        "--role",
        metavar="R",
        help="ingest (record), read, admin (both, and delete and configure) or metrics.",
        show_default=False,
    ),
]
File = Annotated[
    Path,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="Where its SHA-256 is added; made with mode 0600 if it does not exist.",
        show_default=False,
    ),
]


@app.command()
def new(*, namespace: Namespace, role: Role, token_file: File) -> None:
    """Print a new token, once: only its SHA-256 is kept.

    A running service knows it within a second; to revoke it, delete its line from the file.

    **Example**: `rankloom token new --namespace shop --role ingest --token-file tokens`
    """
    from .._service.tokens import add_token

    show([add_token(token_file, namespace, role)])
    say(f"{role} token for {namespace} -> {token_file}")


@app.callback()
def token() -> None:
    """Make bearer tokens for the service."""
