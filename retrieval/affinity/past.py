"""A log as each user's past: when documents were engaged with, and how similar they were then."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from ...datasets.behaviour.by_key import by_key
from ...datasets.behaviour.fold_displays import NEVER
from ...datasets.pairs.text_codes import ranks, recode
from ..engagement.confidence import UserDisplays, confidence
from ..neighbours.top_products import as_csr, top_products
from ..neighbours.weighting import RowWeighting
from .kernels import Histories, Moments, fill_affinity

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray
    from scipy import sparse

    from ...datasets.behaviour.displays import Displays

DAY: Final = 86_400_000_000
FEATURES: Final = (
    "affinity_user_document",
    "affinity_user_document_highest",
    "affinity_user_history",
)


@dataclass(frozen=True)
class AffinitySettings:
    """How similarity is found and how the past is weighed.

    Attributes
    ----------
    method : {"cosine", "bm25"}
    n_neighbours : int
    prior_strength : float
    half_life : float
        Days.
    refit_every : int
        Microseconds.
    """

    method: str
    n_neighbours: int
    prior_strength: float
    half_life: float
    refit_every: int

    def fitted_at(self, moment: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the last whole multiple of `refit_every` since 1970 up to each moment."""
        return moment // self.refit_every * self.refit_every


@dataclass(frozen=True)
class Past:
    """Displays to users, with what was known of them when.

    Attributes
    ----------
    user, document : ndarray of int32, shape (n,)
        Alphabetical ranks of ids, so that no later row changes the order; -1 without a user.
    shown_at, clicked_at : ndarray of int64, shape (n,)
        Since when the display, and its click, is known to be of this user; `NEVER` without a click.
    examination : ndarray of float64, shape (n,)
    user_ids, document_ids : polars.Series of String
        By rank.
    settings : AffinitySettings
    """

    user: NDArray[np.int32]
    document: NDArray[np.int32]
    shown_at: NDArray[np.int64]
    clicked_at: NDArray[np.int64]
    examination: NDArray[np.float64]
    user_ids: pl.Series
    document_ids: pl.Series
    settings: AffinitySettings

    @classmethod
    def of(
        cls, displays: Displays, examination: NDArray[np.float64], settings: AffinitySettings
    ) -> Past:
        """Return the past of a log that names users."""
        key, columns = displays.keys["user_id"], displays.columns
        shown, clicked = columns.shown_at, columns.clicked_at
        if key.known_at is not None:
            shown, clicked = np.maximum(shown, key.known_at), np.maximum(clicked, key.known_at)
        return cls(
            recode(key.codes, ranks(key.texts)),
            recode(columns.document, ranks(displays.documents)),
            shown,
            clicked,
            examination,
            key.texts.sort(),
            displays.documents.sort(),
            settings,
        )

    @cached_property
    def histories(self) -> Histories:
        """Every user's engagement in order of time."""
        clicked = np.flatnonzero((self.clicked_at != NEVER) & (self.user >= 0))
        order = clicked[np.argsort(self.clicked_at[clicked], kind="stable")]
        starts, rows = by_key(self.user, order, len(self.user_ids))
        return Histories(starts, self.document[rows], self.clicked_at[rows])

    def neighbours(self, before: int) -> sparse.csr_matrix:
        """Return every document's most similar ones, by what was known before a time."""
        settings, shape = self.settings, (len(self.user_ids), len(self.document_ids))
        known = np.flatnonzero((self.user >= 0) & (self.shown_at < before))
        age = (before - self.shown_at[known]) / (settings.half_life * DAY)
        displays = UserDisplays(
            self.user[known],
            self.document[known],
            (self.clicked_at[known] < before).astype(np.float64),
            np.zeros(len(known), np.bool_),
            self.examination[known],
            np.exp2(-age),
        )
        rows = confidence(displays, shape, settings.prior_strength)[0].T.tocsr()
        weighting = RowWeighting.named(settings.method, rows)
        vectors = weighting.vectors(rows)
        k = min(settings.n_neighbours, max(shape[1] - 1, 1))
        found = top_products(vectors, vectors.T.tocsr(), k, without_self=True)
        return as_csr(*found, shape[1])

    def features(self, moments: Moments, neighbours: sparse.csr_matrix) -> NDArray[np.float32]:
        """Return `FEATURES` of displays at moments; shape (displays, 3)."""
        features = np.empty((len(moments.document), len(FEATURES)), np.float32)
        starts = neighbours.indptr.astype(np.int64)
        similar = neighbours.indices, neighbours.data
        half_life = self.settings.half_life * DAY
        fill_affinity(self.histories, moments, starts, *similar, half_life, features)
        return features


def features_by_block(
    past: Past, group: NDArray[np.int32], moment: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the features of every display, from before its execution; shape (n, 3).

    `group`, `moment`: displays and time of every execution, in order of time.
    """
    offsets = np.concatenate([[0], np.cumsum(group, dtype=np.int64)])
    found = [np.empty((0, len(FEATURES)), np.float32)]
    for first, end, before in _blocks(past.settings.fitted_at(moment)):
        rows = slice(offsets[first], offsets[end])
        starts = offsets[first : end + 1] - offsets[first]
        filled = group[first:end] > 0
        user = np.full(end - first, -1, np.int32)
        user[filled] = past.user[rows][starts[:-1][filled]]
        moments = Moments(starts, user, moment[first:end], past.document[rows])
        found.append(past.features(moments, past.neighbours(before)))
    return np.concatenate(found)


def _blocks(fitted_at: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Yield first execution, end, and the time before which similarity is fitted."""
    cuts = np.flatnonzero(np.diff(fitted_at)) + 1
    bounds = [0, *cuts.tolist(), len(fitted_at)]
    for first, end in pairwise(bounds):
        yield first, end, int(fitted_at[first])
