"""How weights settle as a log is learnt: weights, entropy and interval width over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.summary import Summary, Table, interval, summary_text
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError, NoExposuresError
from ..base.timestamps import NO_TIME
from ..base.weights_display import WeightsOverTimeDisplay
from ..evidence.evidence import Evidence
from ..interactions.source_reader import read_columns
from ..posterior.noise import FixedNoise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ...datasets.record.mapping import InputMapping
    from ..fusion_bandit import FusionBandit
    from ..interactions.columns import EventColumns
    from ..posterior.noise import Noise

    Floats = NDArray[np.float64]

DRAWS: Final = 200


@dataclass(frozen=True)
class LearningCurve:
    """Weights after growing parts of a log, in the order of time.

    Attributes
    ----------
    feature_uris : tuple of str
    times : ndarray of datetime64, shape (steps,)
        Up to when interactions were learnt.
    executions : ndarray of int64, shape (steps,)
        How many executions that were.
    weights : ndarray of float64, shape (steps, arms)
        At the posterior mean; NaN before anything was shown.
    lower, upper : ndarray of float64, shape (steps, arms)
        Ends of the interval that holds the middle `confidence` of drawn weights.
    entropy : ndarray of float64, shape (steps,)
        Of the weights, over its highest: 1 for equal weights, 0 for one channel alone.
    confidence : float
    """

    feature_uris: tuple[str, ...]
    times: NDArray[np.datetime64]
    executions: NDArray[np.int64]
    weights: Floats
    lower: Floats
    upper: Floats
    entropy: Floats
    confidence: float

    @property
    def width(self) -> Floats:
        """Mean width of the channels' intervals; shape (steps,)."""
        return np.asarray((self.upper - self.lower).mean(axis=1))

    @property
    def settled(self) -> int | None:
        """Step from which on no mean weight leaves the last step's interval; None: never."""
        inside = ((self.weights >= self.lower[-1]) & (self.weights <= self.upper[-1])).all(axis=1)
        outside = np.flatnonzero(~inside)
        first = 0 if not len(outside) else int(outside[-1]) + 1
        return first if first < len(inside) else None

    def plot(self, ax: Axes | None = None) -> WeightsOverTimeDisplay:
        """Draw the weights over time, with the interval of drawn weights."""
        return WeightsOverTimeDisplay(
            self.feature_uris, self.times, self.weights, self.lower, self.upper, self.confidence
        ).plot(ax)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; what is not known is None."""
        known = ~np.isnan(self.entropy)
        return {
            "feature_uris": list(self.feature_uris),
            "times": np.datetime_as_string(self.times, unit="s").tolist(),
            "executions": self.executions.tolist(),
            "confidence": self.confidence,
            "settled": self.settled,
            **{
                name: [
                    row if is_known else None
                    for row, is_known in zip(getattr(self, name).tolist(), known, strict=True)
                ]
                for name in ("weights", "lower", "upper", "entropy", "width")
            },
        }

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each step and channel.

        ``step``, ``time``, ``executions``, ``feature_uri``, ``weight``, ``lower``, ``upper``,
        and the step's ``entropy``.
        """
        import polars as pl

        steps, arms = self.weights.shape
        by_step = {"step": np.arange(steps), "time": self.times, "executions": self.executions}
        return pl.DataFrame(
            {
                **{name: np.repeat(values, arms) for name, values in by_step.items()},
                "feature_uri": list(self.feature_uris) * steps,
                "weight": self.weights.ravel(),
                "lower": self.lower.ravel(),
                "upper": self.upper.ravel(),
                "entropy": np.repeat(self.entropy, arms),
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        settled = self.settled
        rows = [
            (uri, interval((self.lower[-1, i], self.upper[-1, i])), self.weights[-1, i])
            for i, uri in enumerate(self.feature_uris)
        ]
        return Summary(
            f"LearningCurve: {len(self.times):,} steps, {int(self.executions[-1]):,} executions",
            [Table.of(["feature_uri", f"{self.confidence:.0%} interval", "weight"], rows)],
            [
                "no weight has settled"
                if settled is None
                else f"settled from {int(self.executions[settled]):,} executions on"
            ],
        )


def learning_curve(
    log: Any,
    bandit: FusionBandit,
    *,
    steps: int = 20,
    confidence: float = 0.90,
    mapping: InputMapping | None = None,
) -> LearningCurve:
    """Learn a log again in steps and follow the weights.

    Parameters
    ----------
    log : path, glob, table, list of dicts, or a list of paths
        Interactions, all of them; steps hold equal numbers of rows in the order of time.
    bandit : FusionBandit
        Whose settings to learn with. It is left as it is: what it has learnt plays no part.
    steps : int
    confidence : float
        Of the intervals, from 200 draws with fixed noise.
    mapping : InputMapping, optional
        How the columns, types, positions and times of the log become those of interactions.

    Returns
    -------
    LearningCurve

    Raises
    ------
    InvalidInputError
        If there is nothing to learn from, or a parameter is wrong.

    Examples
    --------
    >>> from rankloom.bandit import FusionBandit
    >>> rows = []
    >>> for n in range(400):
    ...     channel, clicked = ("bm25", "clip")[n % 2], n % 4 == 0 or n % 10 == 1
    ...     types = ["impression", "click"] if clicked else ["impression"]
    ...     rows.append({"execution_id": f"e{n}", "feature_id": "d", "position": 0,
    ...                  "feature_uri": channel, "interaction_type": types,
    ...                  "timestamp": f"2026-01-{1 + n // 20:02d}"})
    >>> curve = learning_curve(rows, FusionBandit(["bm25", "clip"]), steps=4)
    >>> curve.executions.tolist()
    [100, 200, 300, 400]
    >>> curve.weights[:, 0].round(2), curve.width.round(2)
    (array([0.71, 0.82, 0.88, 0.92]), array([0.48, 0.36, 0.25, 0.19]))
    """
    _check_options(steps, confidence)
    identity = bandit.evidence.identity
    evidence = Evidence(bandit.feature_uris, **identity.settings())
    read = read_columns(log, evidence.arms, identity, evidence.rewards, mapping=mapping)
    columns = read.columns
    order = np.argsort(columns.time, kind="stable")
    order = order[columns.time[order] != NO_TIME]
    if not len(order):
        msg = "log: no row of this retriever has a time"
        raise InvalidInputError(msg)
    columns = columns.interned()
    noise = FixedNoise(evidence.arms, "learning curve")
    noises = [noise.of(str(draw)) for draw in range(DRAWS)]
    parts = [part for part in np.array_split(order, steps) if len(part)]
    weights = np.full((len(parts), 3, len(evidence.arms)), np.nan)
    for step, part in enumerate(parts):
        evidence.update(columns.take(part))
        weights[step] = _mean_and_interval(evidence, bandit, noises, confidence)
    return LearningCurve(
        feature_uris=evidence.arms,
        times=np.array([columns.time[part[-1]] for part in parts]).astype("datetime64[us]"),
        executions=_executions(columns, parts),
        weights=weights[:, 0],
        lower=weights[:, 1],
        upper=weights[:, 2],
        entropy=_entropy(weights[:, 0]),
        confidence=confidence,
    )


def _check_options(steps: int, confidence: float) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        msg = f"steps: expected a whole number of at least 1, got {steps!r}"
        raise InvalidInputError(msg)
    if not 0 < confidence < 1:
        msg = f"confidence: expected a number between 0 and 1, got {confidence!r}"
        raise InvalidInputError(msg)


def _mean_and_interval(
    evidence: Evidence, bandit: FusionBandit, noises: Sequence[Noise], confidence: float
) -> Floats:
    """Return mean, lower and upper weights, shape (3, arms); NaN where nothing was shown."""
    try:
        # The bandit's own posterior, floors and caps.
        posterior = bandit.posterior.compute(evidence).posterior
    except NoExposuresError:
        return np.full((3, len(evidence.arms)), np.nan)
    if not posterior.has_evidence:
        return np.full((3, len(evidence.arms)), np.nan)
    draws = np.array([posterior.draw(noise) for noise in noises])
    tail = (1.0 - confidence) / 2.0
    return np.array([posterior.mean(), *np.quantile(draws, [tail, 1.0 - tail], axis=0)])


def _executions(columns: EventColumns, parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Count the executions up to every step."""
    step = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    execution = columns.execution[np.concatenate(parts)]
    _, first = np.unique(execution[execution >= 0], return_index=True)
    return np.cumsum(np.bincount(step[execution >= 0][first], minlength=len(parts)))


def _entropy(weights: Floats) -> Floats:
    """Return -sum w log w / log n, taking 0 log 0 as 0; one channel has 0."""
    logs = np.log(np.where(weights > 0, weights, 1.0))
    highest = np.log(weights.shape[1]) if weights.shape[1] > 1 else 1.0
    return np.asarray(-(weights * logs).sum(axis=1) / highest)
