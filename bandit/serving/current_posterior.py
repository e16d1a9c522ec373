"""The posterior that requests are answered from: computed when it is stale, replaced whole."""

from __future__ import annotations

import logging
import time as clock
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from ...errors import NoExposuresError
from ..posterior.simplex import Bounds
from .posterior_snapshot import PosteriorSnapshot

if TYPE_CHECKING:
    from collections import Counter
    from contextlib import AbstractContextManager

    from ..evidence.evidence import Evidence
    from ..posterior.estimation import Kind
    from .fusion_weights import FusionWeights


logger = logging.getLogger("rankloom")

BETWEEN_STEPS: Final = 0.001
"""Seconds for which the lock is free: who waits for it would not get it in less."""


class EvidenceSource(Protocol):
    """What holds the evidence and the lock that it changes under: a `Learner`."""

    @property
    def evidence(self) -> Evidence:
        """Everything learnt, as sums."""
        ...

    @property
    def left_out(self) -> Counter[str]:
        """Rows that were left out, by the names of `UpdateReport`."""
        ...

    def locked(self) -> AbstractContextManager[object]:
        """Return a context in which the evidence does not change."""
        ...


class CurrentPosterior:
    """A cache of the posterior, stale as soon as enough of the evidence is newer.

    `floor`, `cap`: smallest and largest weight. `held`: the last one that was computed. Replaced in
    one step: a request gets the one before it or this one. `on_demand`: whether `get`
    computes a posterior where the one held is stale. Else only `renew` does, and no request ever
    waits.
    """

    def __init__(
        self,
        source: EvidenceSource,
        *,
        kind: Kind = "auto",
        floor: float | None = None,
        cap: float | None = None,
    ) -> None:
        self._source = source
        self._kind: Kind = kind
        self._floor, self._cap = floor, cap
        self.held: PosteriorSnapshot | None = None
        self.on_demand = True
        self._noted: set[str] = set()
        self.check_bounds(len(source.evidence.arms))

    def get(self, share: float = 0.0) -> PosteriorSnapshot:
        """Return the posterior, computed anew if more than a share of the evidence is newer.

        Nothing is locked while it is new enough, so a long update in another thread does not hold
        up requests.

        Raises NoExposuresError if there are clicks and no row says what was shown; or, unless
        `on_demand`, before there is a posterior. Raises StoreError if sums are to lie on a disk
        that is full. Warns once if higher scores of a channel clearly go with fewer rewards.
        """
        held = self.held
        if not self.on_demand:
            if held is None:
                msg = (
                    "no posterior yet: no row says what was shown, or the log is read only in part"
                )
                raise NoExposuresError(msg)
            return held
        if held is not None and not self._is_older(held, share):
            return held
        with self._source.locked():
            # Another thread may have computed it while this one waited for the lock.
            held = self.held
            if held is None or self._is_older(held, share):
                held = self.held = self.compute(self._source.evidence)
        for note in self._new_notes(held):
            warnings.warn(note, stacklevel=3)
        return held

    def renew(self) -> bool:
        """Compute the posterior from a copy of the evidence, while that goes on learning.

        Returns whether there is one that any evidence is behind; the prior is not held.
        """
        evidence = self._reading_copy()
        try:
            computed = self.compute(evidence)
        except NoExposuresError:
            self.held = None
        else:
            self.held = computed if computed.posterior.has_evidence else None
            for note in self._new_notes(computed):
                logger.warning("fusion: %s", note)
        return self.held is not None

    def adopt(self, computed: FusionWeights | None) -> None:
        """Hold what another process has computed, beside the users and sessions known here.

        None: nothing is known, so nothing is held. What is for other channels is left out.
        """
        if computed is None:
            self.held = None
            return
        evidence = self._reading_copy()
        if computed.feature_uris == evidence.arms:
            with suppress(NoExposuresError):  # what came in since has not arrived here yet
                self.held = PosteriorSnapshot(evidence, self._kind, computed=computed)

    def _reading_copy(self) -> Evidence:
        """Return the evidence of one moment; others get the lock while it is being added up."""
        while True:
            with self._source.locked():
                evidence = self._source.evidence
                if evidence.state.add_up():
                    return evidence.reading_copy()
            clock.sleep(BETWEEN_STEPS)

    @property
    def is_stale(self) -> bool:
        """Whether there is evidence that the posterior does not hold."""
        held = self.held
        return held is None or self._is_older(held, 0.0)

    def compute(self, evidence: Evidence) -> PosteriorSnapshot:
        """Return the posterior of some evidence by these settings, without holding it.

        Raises NoExposuresError if there are clicks and no row says what was shown.
        """
        try:
            return PosteriorSnapshot(evidence, self._kind, floor=self._floor, cap=self._cap)
        except NoExposuresError as error:
            raise NoExposuresError(_why(evidence, self._source.left_out)) from error

    def check_bounds(self, arms: int) -> None:
        """Raise unless so many channels can be weighed within floor and cap."""
        Bounds.of(arms, floor=self._floor, cap=self._cap)

    def _new_notes(self, computed: PosteriorSnapshot) -> list[str]:
        """Return what was not said before."""
        new = [note for note in computed.notes if note not in self._noted]
        self._noted.update(new)
        return new

    def _is_older(self, held: PosteriorSnapshot, share: float) -> bool:
        # Other channels, a reset, a merge or a compaction count as a change of all units.
        return self._source.evidence.revision - held.revision > held.size * share


def _why(evidence: Evidence, left_out: Counter[str]) -> str:
    summary = evidence.summary
    units = summary.open_units + summary.closed_units
    counts = ", ".join(f"{n} {name}" for name, n in left_out.items() if n)
    return (
        f"no exposures: of {units} documents of executions, none was shown by a channel of "
        f"{list(evidence.arms)} as far as the rows say, and of "
        f"{summary.units_without_exposure} no 'impression' or 'view' row says that it was "
        "shown. Log impressions, with their feature_uri or their channels' scores, or give "
        "update(impressions=...)"
        + (f". Rows left out: {counts}" if counts else "")
        + ". Until then serve your own weights, or use shadow_mode=True"
    )
