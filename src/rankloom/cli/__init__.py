"""The `rankloom` command: its commands, and how they end.

Exit codes: 0 for success, 1 where `validate` found rows that break a rule or `compare`, `replay` or
`memory evaluate` does not let a candidate pass, 2 for an error that the user can correct (one line
on stderr that starts with ``error:``), 130 for an interrupt.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .._version import __version__
from ..errors import RankloomError
from .demo.demo import demo
from .demo.simulate import simulate
from .exporting.app import app as exporting
from .fusion.learn_fusion import learn_fusion
from .fusion.replay import replay
from .fusion.weights import weights
from .importing.app import app as importing
from .insights.app import app as insights
from .insights.report import report
from .memory.app import app as memory
from .ranking.compare import compare
from .ranking.evaluate import evaluate
from .ranking.position_bias import position_bias
from .ranking.registry import promote, rollback, versions
from .ranking.rerank import rerank
from .ranking.train import train
from .ranking.tune import tune
from .ranking.validate import validate
from .serving.backup import backup, restore
from .serving.ingest import ingest
from .serving.serve import serve
from .serving.token import app as token

if TYPE_CHECKING:
    from collections.abc import Sequence

# UsageError is defined in different modules by typer's releases, but is always the second base of
# BadParameter.
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="rankloom",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
RERANKING = (validate, position_bias, tune, train, evaluate, compare, rerank)
REGISTRY = (promote, rollback, versions)
FUSION = (learn_fusion, weights, replay)
SERVING = (serve, ingest, backup, restore)
for command in (*RERANKING, *REGISTRY, *FUSION, report, *SERVING, simulate, demo):
    app.command()(command)
app.add_typer(token, name="token")
app.add_typer(importing, name="import")
app.add_typer(memory, name="memory")
app.add_typer(exporting, name="export")
app.add_typer(insights, name="insights")


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it so
    if requested:
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
    """Turn stored search interactions into a debiased reranker and fusion weights.

    A typical run: **validate** a log, look at its **position-bias**, **tune** and **train** a
    ranker on it, **evaluate** that on later interactions, **compare** it with
    production, **rerank** with it, **promote** it to a registry that is served, and
    **rollback**; **versions** lists what there is. A **memory** keeps what the clicks of each query
    said. For the weights of retrieval channels:
    **learn-fusion** from a log, look at the **weights**, **replay** later interactions.
    **report** makes one page of pictures and sentences about a log.
    **serve** does both over HTTP, with a **token** for each client; **ingest** reads
    messages of a queue, **backup** and **restore** copy what is stored.
    **import** reads interactions that other systems have recorded, **export** writes
    what they say as files for other tools. **insights** show which
    queries and documents fail, compare retrievers, and describe users and trends.
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
        # The reader has closed the pipe (`| head`): let Python's flush at exit write elsewhere.
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
    """Return the message of a wrong command line, and the command that prints its help."""
    message = getattr(error, "format_message", lambda: str(error))() or "expected a command"
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "rankloom"
    return f"{message.rstrip('.')}. Try `{path} --help`"
