"""Conditions such as ``quarantined > 1%``, by which a pipeline stops over a report."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM: Final = re.compile(
    rf"\s*([^\s<>=!][^<>=!]*?)\s*({'|'.join(_OPERATORS)})\s*(\d[\d_]*(?:\.\d+)?)\s*(%?)\s*",
    re.ASCII,
)


class Count(NamedTuple):
    """A count of a report, and the total of which it is a part (None: of nothing)."""

    number: int
    of: int | None = None

    def __str__(self) -> str:
        if self.of is None:
            return f"{self.number:,}"
        return f"{self.number:,} of {self.of:,} ({100 * self.number / max(self.of, 1):.2f}%)"


@dataclass(frozen=True)
class Condition:
    """A comparison of one count with a number, or with a percentage of its total.

    Attributes
    ----------
    text : str
        As it was given.
    name : str
    comparison : str
        One of ``<``, ``<=``, ``==``, ``!=``, ``>=`` and ``>``.
    bound : float
    percent : bool
    """

    text: str
    name: str
    comparison: str
    bound: float
    percent: bool

    def holds(self, count: Count) -> bool:
        """Return whether the count is so; a percentage of nothing is 0."""
        compare = _OPERATORS[self.comparison]
        if not self.percent:
            return compare(count.number, self.bound)
        # Not divided: 1 of 100 is 1 % exactly.
        return compare(100 * count.number, self.bound * (count.of or 1))


def parse_conditions(texts: Iterable[str], counts: Mapping[str, Count]) -> list[Condition]:
    """Return conditions over the counts of a report.

    Parameters
    ----------
    texts : iterable of str
        Each ``NAME OPERATOR NUMBER`` or ``NAME OPERATOR NUMBER%``.
    counts : mapping of str to Count
        Those that may be named; only whether they are part of a total matters.

    Raises
    ------
    InvalidInputError
        If a condition has another form, names no count, or wants a percentage of one that is no
        part of anything.

    Examples
    --------
    >>> counts = {"rows_read": Count(200), "quarantined": Count(3, 200)}
    >>> for each in parse_conditions(["quarantined > 1%", "rows_read < 100"], counts):
    ...     print(each.text, "->", each.holds(counts[each.name]))
    quarantined > 1% -> True
    rows_read < 100 -> False
    """
    if isinstance(texts, str):
        texts = [texts]
    return [_parse(text, counts) for text in texts]


def _parse(text: str, counts: Mapping[str, Count]) -> Condition:
    found = _FORM.fullmatch(text)
    if found is None:
        msg = (
            f"condition: expected NAME OPERATOR NUMBER, such as 'quarantined > 1%', with one of "
            f"{', '.join(_OPERATORS)}; got {text!r}"
        )
        raise InvalidInputError(msg)
    name, comparison, number, percent = found.groups()
    if name not in counts:
        msg = (
            f"condition: the report has no count {name!r}; it has {', '.join(counts)}."
            f"{did_you_mean(name, counts)}"
        )
        raise InvalidInputError(msg)
    if percent and counts[name].of is None:
        msg = f"condition: {name} is no part of a total; give a number without %, got {text!r}"
        raise InvalidInputError(msg)
    return Condition(text.strip(), name, comparison, float(number), bool(percent))
