"""What each interaction type means: its grade, and whether it is negative or list-level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.checks import checked_number
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, did_you_mean
from .interaction import LIST_LEVEL_TYPES, MAX_TYPES, InteractionType
from .type_names import known_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

T = InteractionType

DEFAULT_GRADES: Final[dict[str, int]] = {
    T.CLICK: 1,
    T.DWELL: 1,
    T.LONG_VIEW: 2,
    T.SHARE: 2,
    T.BOOKMARK: 2,
    T.WISHLIST: 2,
    T.ADD_TO_CART: 3,
    T.POSITIVE_FEEDBACK: 3,
    T.PURCHASE: 4,
}
"""Grades where the user names none; every other type has grade 0."""

NEGATIVE_TYPES: Final = frozenset({T.NEGATIVE_FEEDBACK, T.SKIP, T.RETURN_TO_RESULTS})
"""Types that count against the document."""

MAX_GRADE: Final = 30
"""LightGBM's default ``label_gain`` holds 31 levels."""


class SignalTable:
    """Immutable vocabulary of interaction types, one bit each, with their grades.

    Built-in types take the first bits in the order of `InteractionType`; the user's own types
    follow in alphabetical order, so that the order of a dict changes nothing.

    Parameters
    ----------
    grades : mapping of str to int, optional
        Type -> grade, a whole number from 0 to 30. It updates `DEFAULT_GRADES`; a name that is
        no built-in type becomes a new type.

    Attributes
    ----------
    vocabulary : tuple of str
        Type names by bit index.
    grade : ndarray of int32, shape (len(vocabulary),)
        Grade of every bit.
    positive, negative, list_level, implies_shown, return_to_results, impression : numpy.uint64
        Bitmasks over the vocabulary.

    Raises
    ------
    InvalidInputError
        If a grade is no whole number from 0 to 30, a name is empty or too long, a list-level type
        is given a grade, or there are more than 64 types.

    Examples
    --------
    >>> table = SignalTable({"save_recipe": 2, "click": 1})
    >>> table.vocabulary[-1]
    'save_recipe'
    >>> int(table.grade[table.bit("save_recipe")])
    2
    """

    __slots__ = (
        "grade",
        "implies_shown",
        "impression",
        "list_level",
        "negative",
        "positive",
        "return_to_results",
        "vocabulary",
    )

    def __init__(self, grades: Mapping[str, int] | None = None) -> None:
        given = _checked_grades(grades or {}, frozenset(InteractionType))
        added = sorted(set(given) - set(InteractionType))
        self.vocabulary: tuple[str, ...] = (*(str(name) for name in InteractionType), *added)
        if len(self.vocabulary) > MAX_TYPES:
            msg = (
                f"grades: {len(added)} types of your own and {len(InteractionType)} built-in ones "
                f"make {len(self.vocabulary)}, at most {MAX_TYPES} are possible"
            )
            raise InvalidInputError(msg)
        merged = {**DEFAULT_GRADES, **given}
        self.grade: NDArray[np.int32] = np.array(
            [merged.get(name, 0) for name in self.vocabulary],
            dtype=np.int32,
        )
        self.grade.setflags(write=False)
        self.positive = self.mask(name for name, grade in merged.items() if grade)
        self.negative = self.mask(NEGATIVE_TYPES)
        self.list_level = self.mask(LIST_LEVEL_TYPES)
        self.implies_shown = self.mask(set(self.vocabulary) - LIST_LEVEL_TYPES)
        self.return_to_results = self.mask([T.RETURN_TO_RESULTS])
        self.impression = self.mask([T.IMPRESSION])

    @classmethod
    def with_types(cls, types: Mapping[str, str] | Iterable[str]) -> SignalTable:
        """Return the default grades with further types, or those of a mapping, at grade 0."""
        names = checked_types(types.values() if isinstance(types, Mapping) else types)
        return cls({name: DEFAULT_GRADES.get(name, 0) for name in names})

    def bit(self, name: str) -> int:
        """Return the bit index of a type."""
        if name not in self.vocabulary:
            msg = f"unknown interaction type {name!r}.{did_you_mean(name, self.vocabulary)}"
            raise InvalidInputError(msg)
        return self.vocabulary.index(name)

    def mask(self, names: Iterable[str]) -> np.uint64:
        """Return the bitmask of several types."""
        return np.uint64(sum(1 << bit for bit in {self.bit(name) for name in names}))

    def names(self, mask: int) -> list[str]:
        """Return the types of a bitmask, in the order of the vocabulary."""
        return [name for bit, name in enumerate(self.vocabulary) if mask >> bit & 1]

    def __repr__(self) -> str:
        """Show the grades that are not 0."""
        pairs = zip(self.vocabulary, self.grade.tolist(), strict=True)
        return f"SignalTable({ {name: grade for name, grade in pairs if grade} })"

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        rows = zip(self.vocabulary, self.grade.tolist(), strict=True)
        return Summary(
            f"SignalTable: {len(self.vocabulary)} types",
            [Table.of(["type", "grade"], rows, limit=40)],
        )


def checked_types(types: Iterable[str]) -> list[str]:
    """Return type names as a list, refusing a bare string and names that are no text."""
    if isinstance(types, str):
        msg = f"types: expected a list of names such as [{types!r}], got the text {types!r}"
        raise InvalidInputError(msg)
    names = list(types)
    for name in names:
        _check_name(name, "types")
    return names


def _checked_grades(grades: Mapping[str, int], built_in: frozenset[str]) -> dict[str, int]:
    """Return grades by type; a built-in type may be written otherwise, as in the data."""
    found: dict[str, int] = {}
    for name, grade in grades.items():
        _check_name(name, "grades")
        known = known_name(str(name), built_in) or str(name)
        _check_grade(known, grade)
        if found.setdefault(known, int(grade)) != grade:
            msg = f"grades: {name!r} is {known!r}, which has the grade {found[known]} too"
            raise InvalidInputError(msg)
    return found


def _check_name(name: object, parameter: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > 100:
        msg = f"{parameter}: a type's name is text of 1 to 100 characters, got {name!r}"
        raise InvalidInputError(msg)


def _check_grade(name: str, grade: object) -> None:
    checked_number(f"grades[{name!r}]", grade, 0, MAX_GRADE, whole=True)
    if name in LIST_LEVEL_TYPES and grade != 0:
        msg = (
            f"grades[{name!r}]: this type describes the whole list, not a document, so it has no "
            f"grade; got {grade!r}. Leave it out"
        )
        raise InvalidInputError(msg)
