"""Executions of live interactions that name none, as they come one by one."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ...datasets.record.inferred_executions import SESSION_GAP, continues, inferred_id
from ...datasets.record.query_keys import digest_of

if TYPE_CHECKING:
    from .live_event import LiveEvent


class InferredExecutions:
    """The executions of sessions and queries that may still go on.

    In the order of time they are those that `infer_executions` finds. An interaction that comes
    late joins the execution that is under way, which keeps its name.
    """

    def __init__(self) -> None:
        self._lasting: dict[tuple[str, str], tuple[int, int]] = {}

    def execution_of(self, event: LiveEvent) -> str | None:
        """Return the name of an event's execution; None where session or query is not known."""
        if event.session is None or event.query is None:
            return None
        key = event.session, event.query
        start, last = self._lasting.pop(key, (event.time, event.time))
        if not continues(start, last, event.time):
            start = last = event.time
        self._lasting[key] = start, max(last, event.time)
        self._drop_old(event.time)
        return inferred_id(event.session, digest_of(event.query), start)

    def has(self, key: tuple[str, str], time: int) -> bool:
        """Return whether a moment belongs to the execution of a session and query at hand."""
        return key in self._lasting and continues(*self._lasting[key], time)

    def begin(self, key: tuple[str, str], start: int, last: int) -> None:
        """Note an execution that began elsewhere."""
        self._lasting.pop(key, None)
        self._lasting[key] = start, last

    def _drop_old(self, time: int) -> None:
        # Two are looked at for each that is added, so those that are over never pile up.
        for key in list(islice(self._lasting, 2)):
            if self._lasting[key][1] < time - 2 * SESSION_GAP:
                del self._lasting[key]
