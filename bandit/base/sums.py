"""Decayed sums of evidence, all at one reference time: what posteriors are computed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from ..._shared.summary import Summary, Table, summary_text
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

FAINTEST: Final = 1e-300
"""Sums w^2 e below this count as 0: the evidence is older than some 500 half-lives."""


@dataclass(frozen=True)
class Sums:
    """Decayed sums of closed and open units, all at one reference time.

    With decay w = 2^(-(time - first display) / half-life), times the share of the credit that the
    arm has in the unit:

    Attributes
    ----------
    arms : tuple of str
        feature_uris in the order of declaration.
    contexts : tuple of tuple of str, or None
        What the rows are: ``()`` is global, ``("segment", *values)`` a segment and
        ``("user", user_id)`` a user; None where they go by key; see `Evidence.user_sums`.
    time : int
        The reference time, in microseconds of UTC since 1970.
    N : ndarray of float64, shape (contexts, arms)
        sum w e: exposures, each counted with the examination e of its position.
    S : ndarray of float64, shape (contexts, arms)
        sum w r+: positive rewards, scaled so that the highest counts one success.
    F : ndarray of float64, shape (contexts, arms)
        sum w r-: the size of negative rewards, on the same scale.
    Q : ndarray of float64, shape (contexts, arms)
        sum w^2 e; the effective number of exposures is N^2 / Q.
    A : ndarray of float64, shape (contexts, arms + 1, arms + 1), or None
        sum w e z z', z = (x, 1), x the arms' scores as fused; here w is the decay alone. None
        where no scores were logged or the contexts are users.
    b : ndarray of float64, shape (contexts, arms + 1), or None
        sum w z c, c = r+ - r-.
    """

    arms: tuple[str, ...]
    contexts: tuple[tuple[str, ...], ...] | None
    time: int
    N: NDArray[np.float64]
    S: NDArray[np.float64]
    F: NDArray[np.float64]
    Q: NDArray[np.float64]
    A: NDArray[np.float64] | None = None
    b: NDArray[np.float64] | None = None

    def take(self, rows: slice) -> Sums:
        """Return some contexts."""
        return Sums(
            self.arms,
            None if self.contexts is None else self.contexts[rows],
            self.time,
            *(self.N[rows], self.S[rows], self.F[rows], self.Q[rows]),
            None if self.A is None else self.A[rows],
            None if self.b is None else self.b[rows],
        )

    def without(self, part: Sums) -> Sums:
        """Return the sums less those of a part; counts that rounding made negative are 0."""
        counts = {
            name: np.maximum(getattr(self, name) - getattr(part, name), 0.0) for name in "NSFQ"
        }
        if self.A is None or self.b is None or part.A is None or part.b is None:
            return replace(self, **counts)
        return replace(self, **counts, A=self.A - part.A, b=self.b - part.b)

    def has_exposures(self, *, with_scores: bool) -> bool:
        """Return whether any document was shown that can be learnt from.

        Parameters
        ----------
        with_scores : bool
            Count documents whose scores were logged without a channel, too.
        """
        scored = with_scores and self.A is not None and bool(self.A[0, -1, -1] > 0.0)
        return scored or bool(self.N.sum() > 0.0)

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each context and channel: ``context``, ``feature_uri``, N, S, F, Q.

        ``context`` is its names, joined by spaces, "global" for all; the row where `contexts` is
        None.
        """
        import polars as pl

        rows, arms = self.N.shape
        names = range(rows) if self.contexts is None else self.contexts
        named = [
            " ".join(each) or "global" if isinstance(each, tuple) else str(each) for each in names
        ]
        return pl.DataFrame(
            {
                "context": np.repeat(named, arms) if rows else pl.Series([], dtype=pl.String),
                "feature_uri": pl.Series(list(self.arms) * rows, dtype=pl.String),
                **{name: getattr(self, name).ravel() for name in "NSFQ"},
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        return Summary(
            f"Sums: {len(self.N):,} contexts, {len(self.arms)} channels",
            [Table.of_frame(self.to_frame())],
        )


class ArmSums(NamedTuple):
    """Exposures, successes and negative rewards of one user or session; see `Sums`."""

    N: NDArray[np.float64]  # shape (arms,)
    S: NDArray[np.float64]  # shape (arms,)
    F: NDArray[np.float64]  # shape (arms,)

    @classmethod
    def of(cls, sums: Sums, row: int = 0) -> ArmSums:
        """Return one row of some sums."""
        return cls(sums.N[row], sums.S[row], sums.F[row])

    def without(self, part: ArmSums) -> ArmSums:
        """Return the sums less those of a part; what rounding made negative is 0."""
        return ArmSums(
            *(np.maximum(ours - theirs, 0.0) for ours, theirs in zip(self, part, strict=True))
        )


class QuerySums(NamedTuple):
    """Exposures, rewards and scores of one query; see `Sums`."""

    N: NDArray[np.float64]  # shape (arms,)
    S: NDArray[np.float64]  # shape (arms,)
    F: NDArray[np.float64]  # shape (arms,)
    A: NDArray[np.float64] | None = None  # shape (arms + 1, arms + 1)
    b: NDArray[np.float64] | None = None  # shape (arms + 1,)

    @classmethod
    def of(cls, sums: Sums, row: int = 0) -> QuerySums:
        """Return one row of some sums."""
        A = None if sums.A is None else sums.A[row]
        return cls(
            sums.N[row], sums.S[row], sums.F[row], A, None if sums.b is None else sums.b[row]
        )

    @property
    def counts(self) -> ArmSums:
        """Exposures and rewards alone."""
        return ArmSums(self.N, self.S, self.F)
