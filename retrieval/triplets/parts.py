"""Parts of a log for training and for testing that share no query, the test part being later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..._shared.checks import checked_number
from ...datasets.pairs.splits import split_by_query, split_by_time
from ...errors import InvalidInputError

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from ...datasets.pairs.training_pairs import TrainingPairs


class Parts(NamedTuple):
    """Executions of a log.

    Attributes
    ----------
    train : TrainingPairs
        The earlier executions of some queries.
    test : TrainingPairs or None
        The later executions of the other queries; None without a test part.
    held_out : TrainingPairs or None
        All executions of these other queries.
    """

    train: TrainingPairs
    test: TrainingPairs | None = None
    held_out: TrainingPairs | None = None


def split_parts(
    pairs: TrainingPairs, words: pl.Series, test_fraction: float, at: datetime | None, salt: str
) -> Parts:
    """Return the parts of a log; without a test part if its fraction is 0.

    A log without times is split by query.
    `words`: text of every query, null where it has none; queries with one text are one query.

    Raises
    ------
    InvalidInputError
        If a part would be empty, or `at` is given for a log without times.
    """
    checked_number("test_fraction", test_fraction, 0, 0.9)
    if not test_fraction:
        return Parts(pairs)
    if not pairs.has_times:
        if at is not None:
            msg = "at: the log has no times for some executions; leave it out to split by query"
            raise InvalidInputError(msg)
        earlier = later = pairs
    else:
        earlier, later = split_by_time(pairs, test_fraction=test_fraction, at=at)
    texts = words.zip_with(words.is_not_null(), pairs.queries)

    def by_text(part: TrainingPairs) -> tuple[TrainingPairs, TrainingPairs]:
        named = replace(part, queries=texts)
        sides = split_by_query(named, test_fraction=test_fraction, salt=salt)
        first, second = (replace(side, queries=pairs.queries) for side in sides)
        return first, second

    _, held_out = by_text(pairs)
    return Parts(by_text(earlier)[0], by_text(later)[1], held_out)
