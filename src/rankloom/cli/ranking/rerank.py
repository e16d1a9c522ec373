"""`rankloom rerank`: documents in on stdin, the same documents out on stdout, best first."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import InvalidInputError
from ..options import option
from ..output import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Model = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `rankloom train` wrote.")]


Query = Annotated[
    str | None,
    option("--query", "TEXT", "Query of all documents, for a ranker with a memory of queries."),
]


def rerank(model: Model, *, query: Query = None) -> None:
    """Sort documents from stdin by a trained ranker, best first within each execution.

    Input and output are JSON lines. A document may hold execution_id, feature_id, document_score,
    feature_uri and features {name: number}; other fields are passed through. Its score and its
    position (0 is best) are added. An absent feature counts as missing. If one line is wrong, the
    whole input is refused with the number of that line.

    **Example**: `rankloom rerank model < documents.jsonl > reranked.jsonl`
    """
    import msgspec

    from ...ltr import Ranker

    ranker = Ranker.load(model)
    if sys.stdin.isatty():
        say("reading documents from the terminal, one JSON object a line; end with Ctrl-D")
    numbered = list(_documents(sys.stdin.buffer))
    encode = msgspec.json.Encoder().encode
    for document in _ranked(ranker, numbered, query):
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


def _ranked(
    ranker: Any, numbered: list[tuple[int, Any]], query: str | None
) -> Iterator[dict[str, Any]]:
    """Yield documents best first with their positions; errors name lines, not indices."""
    try:
        ranked = ranker.rank([document for _, document in numbered], query=query)
    except InvalidInputError as error:
        message = re.sub(
            r"^documents\[(\d+)\]\.?",
            lambda found: f"line {numbered[int(found[1])][0]}: ",
            str(error),
        )
        raise InvalidInputError(message) from error
    next_position: Counter[Any] = Counter()
    for document in ranked:
        execution = document.get("execution_id")
        position = next_position[execution]
        next_position[execution] += 1
        yield {**document, "position": position}
