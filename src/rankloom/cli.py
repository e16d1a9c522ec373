"""The `rankloom` command: its commands, and how they end.

Exit codes: 0 for success, 1 where `validate` found rows that break a rule or `compare` or `replay`
does not let a candidate pass, 2 for anything that the user can mend (one line on stderr that starts
with ``error:``), 130 for an interrupt.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from . import __version__
from ._cli.compare import compare
from ._cli.demo import demo
from ._cli.evaluate import evaluate
from ._cli.import_ import app as importing
from ._cli.learn_fusion import learn_fusion
from ._cli.position_bias import position_bias
from ._cli.replay import replay
from ._cli.rerank import rerank
from ._cli.serve import serve
from ._cli.simulate import simulate
from ._cli.token import app as token
from ._cli.train import train
from ._cli.validate import validate
from ._cli.weights import weights
from .errors import RankloomError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Its home differs between typer's releases; BadParameter's line of descent does not.
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="rankloom",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
RERANKING = (validate, position_bias, train, evaluate, compare, rerank)
FUSION = (learn_fusion, weights, replay)
for command in (*RERANKING, *FUSION, serve, simulate, demo):
    app.command()(command)
app.add_typer(token, name="token")
app.add_typer(importing, name="import")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"rankloom {__version__}")
        raise typer.Exit


@app.callback()
def rankloom(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Turn stored search interactions into a debiased reranker and learnt fusion weights.

    A typical run: **validate** a log, look at its **position-bias**, **train** a
    ranker on it, **evaluate** that on later interactions, **compare** it with
    production, **rerank** with it. For the weights of retrieval channels:
    **learn-fusion** from a log, look at the **weights**, **replay** later interactions.
    **serve** does both for others by HTTP, with a **token** for each of them.
    **import** brings in what other systems have recorded.
    **demo** does all of this on simulated interactions.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name; those of the process if None.
    """
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(app)
    given = None if arguments is None else list(arguments)
    try:
        code = command.main(args=given, prog_name="rankloom", standalone_mode=False)
        sys.stdout.flush()
    except USAGE_ERROR as error:
        return _refuse(_usage(error))
    except BrokenPipeError:
        # The reader has seen enough (`| head`); Python must not complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RankloomError, OSError) as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return code or 0


def _refuse(message: str) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return 2


def _usage(error: Exception) -> str:
    """Return the message of a wrong command line, and where to read on."""
    message = getattr(error, "format_message", lambda: str(error))() or "expected a command"
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "rankloom"
    return f"{message.rstrip('.')}. Try `{path} --help`"
