"""How far a stored state has followed a log of interactions."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import NamedTuple

from ...errors import IntegrityError, StateMismatchError


class LogPosition(NamedTuple):
    """The last row and the last deletion of a log that a state has taken in.

    Attributes
    ----------
    log_id : str
        The log that the state is a fold of.
    row : int
        Rows up to this one are in the state.
    deletion : int
        Deletions up to this one are too.
    generation : int
        How often the state was learnt anew from the first row; a state of another generation is
        not continued.
    row_time, deletion_time : int
        When that row and that deletion were recorded, in microseconds; 0 where it is not known.
        Numbers alone do not show that a log was replaced by an older copy and went on from there.

    Examples
    --------
    >>> LogPosition("log", 7, 2).max_with(LogPosition("log", 5, 3))[:4]
    ('log', 7, 3, 0)
    """

    log_id: str
    row: int = 0
    deletion: int = 0
    generation: int = 0
    row_time: int = 0
    deletion_time: int = 0

    def check(self, other: LogPosition | None) -> None:
        """Raise `StateMismatchError` unless another position is of the same log and generation."""
        if other is None or (other.log_id, other.generation) == (self.log_id, self.generation):
            return
        msg = (
            f"log: the state was learnt from the log {other.log_id} (generation "
            f"{other.generation}), this is the log {self.log_id} (generation {self.generation}). "
            "Clear the store and learn the state again from this log, or follow the other one"
        )
        raise StateMismatchError(msg)

    def max_with(self, other: LogPosition | None) -> LogPosition:
        """Return the position as far as the farther of two: a position never goes back.

        Raises
        ------
        StateMismatchError
            If the two are of different logs.
        """
        self.check(other)
        if other is None:
            return self
        by_row = max(self, other, key=attrgetter("row", "row_time"))
        by_deletion = max(self, other, key=attrgetter("deletion", "deletion_time"))
        return by_row._replace(
            deletion=by_deletion.deletion, deletion_time=by_deletion.deletion_time
        )

    def to_json(self) -> str:
        """Return the position as a text for a store."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> LogPosition:
        """Return the position that `to_json` gave.

        Raises
        ------
        IntegrityError
            If the text is damaged.
        """
        try:
            log_id, row, deletion, generation, *times = json.loads(text)
            return cls(str(log_id), *map(int, (row, deletion, generation, *times)))
        except (ValueError, TypeError) as error:
            msg = (
                f"the stored position in the log is damaged ({error}). Restore a copy of the "
                "store, or clear it and learn the state again from the log"
            )
            raise IntegrityError(msg) from error


Mark = LogPosition
"""The name of `LogPosition` in earlier versions."""
