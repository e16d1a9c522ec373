"""How far a stored state has followed a log of interactions."""

from __future__ import annotations

import json
from typing import NamedTuple

from ..errors import IntegrityError, StateMismatchError, StoreError


class OvertakenError(StoreError):
    """Another process moved the mark meanwhile; what was read has to be read again."""


class Mark(NamedTuple):
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
        Which learning of the log this is: it grows when a state is to be learnt anew, and a state
        of another generation is not continued.

    Examples
    --------
    >>> Mark("log", 7, 2).joined(Mark("log", 5, 3))
    Mark(log_id='log', row=7, deletion=3, generation=0)
    """

    log_id: str
    row: int = 0
    deletion: int = 0
    generation: int = 0

    def check(self, other: Mark | None) -> None:
        """Raise `StateMismatchError` unless another mark is of the same log and generation."""
        if other is None or (other.log_id, other.generation) == (self.log_id, self.generation):
            return
        msg = (
            f"log: the state was learnt from the log {other.log_id} (generation "
            f"{other.generation}), this is the log {self.log_id} (generation {self.generation}). "
            "Clear the store and learn the state again from this log, or follow the other one"
        )
        raise StateMismatchError(msg)

    def joined(self, other: Mark | None) -> Mark:
        """Return the mark that is as far as the farther of two; a mark never goes back.

        Raises
        ------
        StateMismatchError
            If the two are of different logs.
        """
        self.check(other)
        if other is None:
            return self
        row, deletion = max(self.row, other.row), max(self.deletion, other.deletion)
        return self._replace(row=row, deletion=deletion)

    def to_json(self) -> str:
        """Return the mark as a text for a store."""
        return json.dumps(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Mark:
        """Return the mark that `to_json` gave.

        Raises
        ------
        IntegrityError
            If the text is damaged.
        """
        try:
            log_id, row, deletion, generation = json.loads(text)
            return cls(str(log_id), int(row), int(deletion), int(generation))
        except (ValueError, TypeError) as error:
            msg = (
                f"the stored mark of the log is damaged ({error}). Restore a copy of the store, or "
                "clear it and learn the state again from the log"
            )
            raise IntegrityError(msg) from error
