"""How likely a document was examined, by its position or by the clicks around it.

A click model gives the examination of a log's own rows. What is kept of it for later rows is the
mean in every state: the position, the last click above, and whether there was a click at or below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from ...datasets.counts.cells import last_click_states
from ...errors import InvalidInputError, NotIdentifiableError, did_you_mean
from ..exposure.click_exposure import dbn_exposure, ubm_exposure
from ..exposure.examination import assumed_examination, find_examination

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...datasets.pairs.training_pairs import TrainingPairs

    Floats = NDArray[np.float64]

CLICK_MODELS: Final = ("pbm", "ubm", "dbn")
MAX_POSITIONS: Final = 40
"""Positions that states tell apart; further ones count as the last."""


MAX_EXECUTIONS: Final = 50_000
"""Executions that a curve or click model is estimated from; of a longer log, every n-th."""


@dataclass(frozen=True)
class ExaminationTable:
    """Examination by state, relative to the first position.

    Attributes
    ----------
    curve : ndarray of float64
        Examination by position; beyond it its last value holds.
    states : ndarray of float64 or None
        By state, see `states_of`; None for "pbm".
    click_model : str
        "pbm" (by position), "ubm" or "dbn" (by state).
    source : str
        "given", "pairs", "estimated" or "assumed".
    """

    curve: Floats
    states: Floats | None
    click_model: str
    source: str

    def of(self, pairs: TrainingPairs) -> NDArray[np.floating]:
        """Return the examination of every row: the pairs' own, unless a curve was given."""
        if pairs.examination is not None and self.source != "given":
            return find_examination(pairs, None).values
        if self.states is None:
            return self.at(pairs.position)
        return np.asarray(self.states.astype(np.float32)[states_of(pairs)])

    def at(self, position: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the examination of positions, whatever was clicked."""
        curve = self.curve.astype(np.float32)
        return np.asarray(curve[np.minimum(position, len(curve) - 1)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "curve": self.curve.tolist(),
            "states": None if self.states is None else self.states.tolist(),
            "click_model": self.click_model,
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `to_dict` described."""
        curve, states = np.array(values["curve"], dtype=np.float64), values["states"]
        states = None if states is None else np.array(states, dtype=np.float64)
        return cls(curve, states, values["click_model"], values["source"])


class LogExamination(NamedTuple):
    """The examination of a log's own rows, and what is kept of it for later ones."""

    table: ExaminationTable
    rows: NDArray[np.floating]  # shape (n,)


def log_examination(pairs: TrainingPairs, given: Any, click_model: str) -> LogExamination:
    """Return the examination of a log by a curve or, where none is given, by a click model.

    Where the log identifies no curve, 1 / (position + 1) is assumed. A DBN knows of each row how
    relevant the documents above it are, which the mean by state does not: of a log of at most
    `MAX_EXECUTIONS` its own examinations count. Curves that are given win over the pairs' own.
    """
    every = -(-pairs.n_executions // MAX_EXECUTIONS)
    sample = pairs if every == 1 else pairs.take(np.arange(0, pairs.n_executions, every))
    try:
        used = find_examination(sample, given)
    except NotIdentifiableError:
        used = assumed_examination(sample)
    curve = used.filled_curve()
    if click_model == "pbm" or used.source in ("given", "pairs"):
        table = ExaminationTable(curve, None, "pbm", used.source)
        return LogExamination(table, table.of(pairs))
    model = dbn_exposure(sample) if click_model == "dbn" else ubm_exposure(sample, curve)
    states = _by_state(sample, model.examination)
    table = ExaminationTable(curve, states, click_model, used.source)
    return LogExamination(table, model.examination if every == 1 else table.of(pairs))


def checked_click_model(name: Any) -> None:
    """Raise InvalidInputError unless it is "auto" or a click model."""
    names = ("auto", *CLICK_MODELS)
    if name not in names:
        hint = did_you_mean(str(name), names)
        msg = f"click_model: got {name!r}, expected one of {names}.{hint}"
        raise InvalidInputError(msg)


def states_of(pairs: TrainingPairs) -> NDArray[np.int64]:
    """Return the state of every row: 2 (k (k + 1) / 2 + j + 1) + b.

    k is the position, j that of the last click above, -1 for none, and b whether there was a click
    at the row's own place or below.
    """
    state = np.empty(len(pairs), dtype=np.int64)
    unordered = last_click_states(
        pairs.offsets, pairs.position, pairs.clicked, MAX_POSITIONS, state
    )
    if unordered >= 0:
        msg = f"pairs: rows of execution {unordered} are not in the order of their positions"
        raise InvalidInputError(msg)
    clicks = np.append(0, np.cumsum(pairs.clicked))
    at_end = clicks[pairs.offsets[1:]][pairs.execution_index]
    return 2 * state + (at_end > clicks[:-1])


def _by_state(pairs: TrainingPairs, examination: Floats) -> Floats:
    """Return the mean of every state; of one that the log lacks, that of its position."""
    state = states_of(pairs)
    size = MAX_POSITIONS * (MAX_POSITIONS + 1)
    position = np.repeat(np.arange(MAX_POSITIONS), 2 * np.arange(1, MAX_POSITIONS + 1))
    k = np.minimum(pairs.position, MAX_POSITIONS - 1)
    count = np.bincount(k, minlength=MAX_POSITIONS)
    mean = np.bincount(k, examination, MAX_POSITIONS) / np.maximum(count, 1)
    last = np.maximum.accumulate(np.where(count > 0, np.arange(MAX_POSITIONS), 0))
    of_state = np.bincount(state, minlength=size)
    values = mean[last][position]
    np.divide(np.bincount(state, examination, size), of_state, out=values, where=of_state > 0)
    return values
