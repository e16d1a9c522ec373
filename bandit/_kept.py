"""What `Evidence` keeps: its bytes and rows for stores, and what users wish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._decay import moment_of
from ._epochs import NEVER, Epoch
from ._wire import unit_rows
from .evidence_files import dump, load, read, save

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from ._account import MergeReport
    from ._context_keys import Context
    from ._state import State
    from ._wire import StoredUnit


class Kept:
    """The part of `Evidence` that stores and users ask for."""

    _state: State
    max_users: int | None

    def reset_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user only what is first shown from now (or `at`) on.

        The user's interactions keep their part in the global sums and those of the segments; the
        user's own closed sums go as a whole.
        """
        self._wish(user_id, at)

    def opt_out(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep no sums for this user until `opt_in`; the global ones still learn."""
        self._wish(user_id, at, since=NEVER)

    def opt_in(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Keep sums for this user again, from now (or `at`) on."""
        self._wish(user_id, at)

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take user and session off the open units; return how many there were.

        What the units say of channels stays, without a name. A resend of the rows names the user
        again, so delete them from the log first.
        """
        self._wish(user_id, at)
        return self._state.forget(user_id)

    def unit_rows(self) -> list[StoredUnit]:
        """Return the open units as rows (key, time, value) for a store; see `fold_unit_values`."""
        return unit_rows(self._state.units)

    def fold_unit_values(
        self, values: Iterable[bytes], segments: Sequence[Context] = ()
    ) -> MergeReport:
        """Fold units that `unit_rows` gave; what is known already changes nothing.

        Parameters
        ----------
        values : iterable of bytes
        segments : sequence of tuple of str
            `segments` of the states that wrote them; the values of a segment are not in its units.

        Raises
        ------
        IntegrityError
            If a value is cut off or of another format.
        """
        return self._state.fold_values(values, segments)

    def still(self) -> Self:
        """Return a copy to read sums from, while rows go on being folded into this one.

        It costs a copy of the open units; sums and counts are those of this moment. Sessions are
        not in it, and nothing may be folded into it.
        """
        return self._of(self._state.still(), self.max_users)

    def to_bytes(self) -> bytes:
        """Return the state as bytes with a digest; see `evidence_files`."""
        return dump(self._state, self.max_users)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the state that `to_bytes` gave.

        Raises
        ------
        IntegrityError
            If the bytes are damaged, cut off, or of another format.
        """
        return cls._of(*load(data))

    def save(self, path: str | Path) -> None:
        """Write the state into a file, which is there whole or not at all."""
        save(self.to_bytes(), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the state that `save` wrote.

        Raises
        ------
        UnreadableSourceError
            If the file cannot be read.
        IntegrityError
            If it is damaged, cut off, or of another format.
        """
        return cls._of(*load(read(path), str(path)))

    @classmethod
    def _of(cls, state: State, max_users: int | None) -> Self:
        made = cls.__new__(cls)
        made._state, made.max_users = state, max_users  # noqa: SLF001 - our own
        return made

    def _wish(self, user_id: str, at: dt.datetime | int | None, since: int | None = None) -> None:
        moment = moment_of(at)
        self._state.wish(user_id, Epoch(moment, moment if since is None else since))
