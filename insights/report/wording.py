"""Numbers, names and lists in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..._shared.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NONE",
    "as_sentence",
    "counted",
    "decimal",
    "interval",
    "listed",
    "not_shown",
    "part",
    "percent",
    "shortened",
]

MAX_LABEL: Final = 60
"""Characters of a text from the log; longer ones are cut."""

_LOWER: Final = ("pbm", "ubm", "dbn")

NONE: Final = "\N{EN DASH}"
"""A cell of a table without a value."""


def not_shown(number: int, noun: str, plural: str | None = None) -> str:
    """Return a sentence on what a table or picture leaves out.

    >>> not_shown(1, "row"), not_shown(20, "query", "queries")
    ('1 more row is not shown.', '20 more queries are not shown.')
    """
    more = counted(number, f"more {noun}", f"more {plural or f'{noun}s'}")
    return f"{more} {'is' if number == 1 else 'are'} not shown."


def percent(share: float, *, sign: bool = False) -> str:
    """Return a share in per cent; what is neither nothing nor all does not look like it.

    >>> percent(0.1234), percent(0.0), percent(0.0002), percent(0.9999), percent(0.05, sign=True)
    ('12.3%', '0%', '<0.1%', '>99.9%', '+5.0%')
    """
    if share == 0 or (share == 1 and not sign):
        return f"{share:.0%}"
    if not sign and 0 < share < 0.0005:
        return "<0.1%"
    if not sign and 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:+.1%}" if sign else f"{share:.1%}"


def part(number: int, of: int) -> str:
    """Return a number with its share of a whole, where there is one.

    >>> part(5, 20), part(0, 0)
    ('5 (25.0%)', '0')
    """
    return f"{number:,} ({percent(number / of)})" if of else f"{number:,}"


def decimal(value: float, *, sign: bool = False) -> str:
    """Return a number with three significant digits.

    >>> decimal(0.10432), decimal(12.345), decimal(1234.5), decimal(-0.0391, sign=True), decimal(0)
    ('0.104', '12.3', '1,234', '-0.0391', '0')
    """
    if value == 0:
        return "0"
    size = abs(value)
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    if size < 0.0995:
        digits = 4
    return format(value, f"{'+' if sign else ''},.{digits}f")


def interval(lower: float | None, upper: float | None, confidence: float) -> str:
    """Return ``90% interval 0.1 to 0.3``; says so where there is none.

    >>> interval(0.1, 0.3, 0.9), interval(None, None, 0.9)
    ('90% interval 0.100 to 0.300', 'no interval')
    """
    if lower is None or upper is None:
        return "no interval"
    return f"{confidence:.0%} interval {decimal(lower)} to {decimal(upper)}"


def listed(names: Sequence[str]) -> str:
    """Return ``a, b and c``.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a and b', 'a, b and c', 'none')
    """
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def as_sentence(text: str) -> str:
    """Return a note with a capital and a full stop; names at its head stay as they are.

    >>> as_sentence("times are unknown"), as_sentence("document_score: not logged")
    ('Times are unknown.', 'document_score: not logged.')
    >>> as_sentence("Swaps follow clicks."), as_sentence("")
    ('Swaps follow clicks.', '')
    """
    head = text.split(" ", 1)[0]
    if head.isalpha() and head.islower() and head not in _LOWER:
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?:" else f"{text}."


def shortened(text: str, characters: int = MAX_LABEL) -> str:
    r"""Return a text from the log on one line, without control characters, cut where it is long.

    >>> shortened("red\tshoes\x00"), shortened("abcdef", 4)
    ('red shoes\ufffd', 'abc…')
    """
    line = " ".join(text.split())
    line = "".join(each if each.isprintable() else "\ufffd" for each in line)
    return line if len(line) <= characters else f"{line[: characters - 1]}…"
