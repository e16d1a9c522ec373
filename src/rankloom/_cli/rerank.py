"""`rankloom rerank`: documents in on stdin, the same documents out on stdout, best first."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidInputError
from .output import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Model = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `rankloom train` wrote.")]


def rerank(model: Model) -> None:
    """Sort documents from stdin by a trained ranker, best first within each execution.

    In and out are JSON lines. A document holds execution_id, feature_id, document_score,
    feature_uri and features {name: number}, as far as there are; whatever else it holds is passed
    on. It comes out with its score and its position (0 is best). A feature that is absent counts as
    missing. One bad line refuses the whole input, by its number.

    **Example**: `rankloom rerank model < documents.jsonl > reranked.jsonl`
    """
    import msgspec

    from ..ltr import Ranker

    ranker = Ranker.load(model)
    if sys.stdin.isatty():
        say("reading documents from the terminal, one JSON object a line; end with Ctrl-D")
    numbered = list(_documents(sys.stdin.buffer))
    encode = msgspec.json.Encoder().encode
    for document in _ranked(ranker, numbered):
        sys.stdout.write(encode(document).decode() + "\n")


def _documents(lines: Iterable[bytes]) -> Iterator[tuple[int, Any]]:
    """Yield line number and value of every line that is not blank."""
    import msgspec

    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            msg = f"line {number}: not a JSON object ({error})"
            raise InvalidInputError(msg) from error


def _ranked(ranker: Any, numbered: list[tuple[int, Any]]) -> Iterator[dict[str, Any]]:
    """Yield documents best first with their positions; errors name lines instead of indices."""
    try:
        ranked = ranker.rank([document for _, document in numbered])
    except InvalidInputError as error:
        message = re.sub(
            r"^documents\[(\d+)\]\.?",
            lambda found: f"line {numbered[int(found[1])][0]}: ",
            str(error),
        )
        raise InvalidInputError(message) from error
    seen: dict[Any, int] = {}
    for document in ranked:
        execution = document.get("execution_id")
        position = seen.get(execution, 0)
        seen[execution] = position + 1
        yield {**document, "position": position}
