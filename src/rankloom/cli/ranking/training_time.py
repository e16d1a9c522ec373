"""Which executions are trained on, and which are held out, by time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...errors import InvalidInputError
from ..output import counted

if TYPE_CHECKING:
    import datetime as dt

    import numpy as np
    from numpy.typing import NDArray

    from ...datasets import TrainingPairs


@dataclass(frozen=True)
class TrainingTime:
    """What --since, --until and --validation say.

    Attributes
    ----------
    since, until : datetime or None
        Executions from the first moment on, and before the second.
    held_out : float, datetime or None
        Share of the latest executions, or the moment from which they are held out.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    held_out: float | dt.datetime | None = None

    @classmethod
    def of(cls, since: str | None, until: str | None, validation: str | None) -> TrainingTime:
        """Read the texts of the command line; raises InvalidInputError."""
        first, last = _moment("--since", since), _moment("--until", until)
        if first is not None and last is not None and first >= last:
            msg = f"--since: expected a time before --until, got {since} and {until}"
            raise InvalidInputError(msg)
        return cls(first, last, _held_out(validation))

    def within(self, pairs: TrainingPairs) -> TrainingPairs:
        """Return the executions between since and until; a note of their load counts the others."""
        import numpy as np

        if self.since is None and self.until is None:
            return pairs
        if not pairs.has_times:
            msg = (
                "--since, --until: some executions have no time; add occurred_at or timestamp to "
                "the log, or give the files of the period alone"
            )
            raise InvalidInputError(msg)
        early = np.zeros(pairs.n_executions, bool)
        late = early.copy()
        if self.since is not None:
            early = pairs.time < _of_numpy(self.since)
        if self.until is not None:
            late = pairs.time >= _of_numpy(self.until)
        if (early | late).all():
            first, last = pairs.time.min(), pairs.time.max()
            msg = f"--since, --until: no execution is between them; the log has {first} to {last}"
            raise InvalidInputError(msg)
        notes = [*pairs.report.notes, *_note(pairs, early, "before --since", self.since)]
        notes += _note(pairs, late, "from --until on", self.until)
        return replace(pairs.take(~(early | late)), report=replace(pairs.report, notes=notes))

    def split(self, pairs: TrainingPairs) -> tuple[TrainingPairs, TrainingPairs | None]:
        """Return what is trained on and what is held out, which is the later part."""
        from ...datasets import split_by_time

        if self.held_out is None:
            return pairs, None
        if isinstance(self.held_out, float | int):
            return split_by_time(pairs, test_fraction=self.held_out)
        return split_by_time(pairs, at=self.held_out)


def _note(
    pairs: TrainingPairs, outside: NDArray[np.bool_], where: str, moment: dt.datetime | None
) -> list[str]:
    executions = int(outside.sum())
    if moment is None or not executions:
        return []
    rows = counted(int(pairs.group[outside].sum()), "row")
    shown = f"{counted(executions, 'execution')} {where} ({moment:%Y-%m-%dT%H:%M:%SZ})"
    return [f"{rows} of training data in {shown} were left out"]


def _of_numpy(moment: dt.datetime) -> np.datetime64:
    import numpy as np

    return np.datetime64(moment.replace(tzinfo=None), "us")


def _moment(flag: str, text: str | None, expected: str = "") -> dt.datetime | None:
    from ...datasets.record.fault import FaultError
    from ...datasets.record.times import moment_of

    cause = None
    try:
        found = moment_of(flag, text)
    except FaultError as error:
        found, cause = None, error
    if text is not None and found is None:
        msg = (
            f"{flag}: expected {expected}a time in UTC such as 2026-01-31 or 2026-01-31T12:00:00Z, "
            f"got {text!r}"
        )
        raise InvalidInputError(msg) from cause
    return found


def _held_out(text: str | None) -> float | dt.datetime | None:
    if text is None:
        return None
    try:
        share = float(text)
    except ValueError:
        return _moment("--validation", text, "a share of the executions such as 0.2, or ")
    if not 0 < share < 1:
        msg = f"--validation: expected a share between 0 and 1, such as 0.2, or a time, got {text}"
        raise InvalidInputError(msg)
    return share
