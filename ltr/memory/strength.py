"""How many examinations the prior counts as, by how well the clicks of a document predict others.

Of a (query, document) with C gains over E examinations, one display has c over e. Under
``c ~ Poisson(e r)``, the other displays predict it by ``r = (C - c + k p) / (E - e + k)``. The
strength k is that of the highest likelihood of all displays, each left out in turn (empirical Bayes
by held-out data: Efron, "Large-Scale Inference", 2010, chapter 1). Of strengths whose likelihood is
within half a standard error of the highest the largest is taken: the prior also ranks what was
never shown. Where a prior has learnt from clicks of its own log, only displays that it did not
learn from are predicted: as it knows the others, it would seem to deserve more strength.

Memory is worth serving where the displays are predicted better than by the prior alone, by a
one-sided test over queries, and so is the later half of the log by the sums of the earlier half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np

from ..exposure.frequency_bands import BANDS, band_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STRENGTHS: Final = 2.0 ** np.arange(-1, 13.1, 0.5)

MIN_Z: Final = 1.645
"""Standard errors by which memory must predict better than the prior alone: 95 %, one-sided."""

MIN_QUERIES: Final = 20
"""Queries below which a frequency band goes by all bands together."""

_OWN_STRENGTH_Z: Final = 2.33
_LEAST = 1e-4


@dataclass(frozen=True)
class Band:
    """What a frequency band of queries says.

    Attributes
    ----------
    queries : int
        Queries with so many impressions in the earlier half that the later half has, too.
    strength : float
        k: examinations that the prior counts as.
    gain : float
        Log-likelihood of the later half by memory, less that by the prior alone; a query.
    z : float
        That in standard errors.
    """

    queries: int
    strength: float
    gain: float
    z: float


@dataclass(frozen=True)
class Strength:
    """The strength of the prior, by frequency band of the query."""

    bands: tuple[Band, ...]  # as many as BANDS
    z: float  # of the gain in likelihood of displays left out, in standard errors over queries
    common: float  # of all bands together

    @property
    def predicts(self) -> bool:
        """Whether memory predicts displays, and later clicks, better than the prior alone.

        The largest strength stands for the prior alone: differences of next to nothing would order
        documents of like scores by chance.
        """
        later = sum(band.gain * band.queries for band in self.bands)
        return bool(self.z >= MIN_Z and later > 0 and self.common < STRENGTHS[-1])

    @property
    def by_band(self) -> Floats:
        """Strength of every band."""
        return np.array([band.strength for band in self.bands])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        bands = [[b.queries, b.strength, b.gain, b.z] for b in self.bands]
        return {"bands": bands, "z": self.z, "common": self.common}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `to_dict` described."""
        bands = tuple(Band(int(b[0]), *map(float, b[1:])) for b in values["bands"])
        return cls(bands, float(values["z"]), float(values["common"]))


class Predictions(NamedTuple):
    """How well every strength predicts displays that were left out."""

    gains: Floats  # shape (strengths, q): log-likelihood less that by the prior alone, by query
    band: NDArray[np.int64]  # shape (q,): frequency band of the query


def left_out_predictions(
    cell: NDArray[np.int64],
    gain: Floats,
    exposure: Floats,
    predicted: NDArray[np.bool_],
    judged: tuple[Floats, Floats],
    prior: Floats,
    query: NDArray[np.int64],
    impressions: Floats,
) -> Predictions:
    """Return how well displays are predicted by the others of their document; see the module.

    `cell`, `gain`, `exposure`, shape (n,): (query, document) of every display, c and e.
    `predicted`, shape (n,): displays that are predicted; all of them predict. `judged`, shape (m,)
    each: clicks and examinations that judgements of every (query, document) count as.
    `prior`, `query`, shape (m,): its p and number of its query. `impressions`, shape (q,): of
    every query.
    """
    each = gain, exposure
    others = [
        np.maximum(np.bincount(cell, values, len(prior))[cell] - values, 0.0) + known[cell]
        for values, known in zip(each, judged, strict=True)
    ]
    informs = (others[1] > _LEAST) & predicted
    before, after = ((c[informs], e[informs]) for c, e in (others, each))
    known, place = np.unique(query[cell[informs]], return_inverse=True)
    p = prior[cell[informs]]
    without = _likelihood(before, after, p, place, np.inf)
    gains = [_likelihood(before, after, p, place, k) - without for k in STRENGTHS]
    return Predictions(np.array(gains).reshape(len(STRENGTHS), -1), band_of(impressions[known]))


def estimate_strength(
    predictions: Predictions,
    earlier: tuple[Floats, Floats],
    later: tuple[Floats, Floats],
    prior: Floats,
    query: NDArray[np.int64],
    impressions: Floats,
) -> Strength:
    """Estimate the strength of the prior; see the module.

    `earlier`, `later`: C and E of every (query, document), shape (m,). `prior`: p. `query`: number
    of the query, ascending. `impressions`, shape (q,): earlier ones of every query.
    """
    common = _strongest(predictions.gains)
    bands = range(len(BANDS))
    chosen = [_strength_of(predictions.gains[:, predictions.band == b], common) for b in bands]
    # A document without earlier or later examinations has the same likelihood by every strength.
    informs = (later[1] > 0) & (earlier[1] > 0)
    before, after = ((half[0][informs], half[1][informs]) for half in (earlier, later))
    known, place = np.unique(query[informs], return_inverse=True)
    band = band_of(impressions[known])
    k = STRENGTHS[np.array(chosen)][band][place]
    p = prior[informs]
    gains = _likelihood(before, after, p, place, k) - _likelihood(before, after, p, place, np.inf)
    return Strength(
        tuple(_band(gains[band == b], float(STRENGTHS[chosen[b]])) for b in bands),
        _z(predictions.gains[common]),
        float(STRENGTHS[common]),
    )


def _likelihood(
    earlier: tuple[Floats, Floats],
    later: tuple[Floats, Floats],
    prior: Floats,
    query: NDArray[np.int64],
    k: float | Floats,
) -> Floats:
    """Return the log-likelihood of later clicks by query, but for a constant."""
    alone = np.ndim(k) == 0 and np.isinf(k)
    rate = prior if alone else (earlier[0] + k * prior) / (earlier[1] + k)
    rate = np.maximum(rate, _LEAST)
    each = later[0] * np.log(rate) - later[1] * rate
    return np.asarray(np.bincount(query, each), dtype=np.float64)


def _strongest(gains: Floats) -> int:
    """Return the largest strength within half a standard error of the best; gains by query."""
    total = gains.sum(axis=1)
    best = int(total.argmax())
    if not gains.shape[1]:
        return len(gains) - 1
    error = (gains[best] - gains).std(axis=1) * np.sqrt(gains.shape[1])
    return int(np.flatnonzero(total >= total[best] - error / 2)[-1])


def _strength_of(gains: Floats, common: int) -> int:
    """Return a band's own strength where it is clearly better, else the common one."""
    if gains.shape[1] < MIN_QUERIES:
        return common
    own = _strongest(gains)
    return own if _z(gains[own] - gains[common]) >= _OWN_STRENGTH_Z else common


def _band(gains: Floats, strength: float) -> Band:
    mean = float(gains.mean()) if len(gains) else 0.0
    return Band(len(gains), strength, mean, _z(gains))


def _z(values: Sequence[float] | Floats) -> float:
    each = np.asarray(values, dtype=np.float64)
    error = float(each.std() * np.sqrt(len(each))) if len(each) else 0.0
    return float(each.sum()) / error if error > 0 else 0.0
