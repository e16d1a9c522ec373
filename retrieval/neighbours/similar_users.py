"""Similar users: `SimilarUsers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from ..._shared.checks import checked_number
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from .evaluation import RecommendationReport, evaluate_recommendations
from .interactions import Interactions
from .model_file import load_model, save_model
from .parameters import check_memory, check_method, check_neighbours, check_weighting
from .top_products import as_csr, top_products
from .weighting import RowWeighting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

METHODS: Final = ("cosine", "bm25")
FORMAT: Final = "rankloom-similar-users 1"


class SimilarUsers(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Users who engage with the same documents: exact neighbours, and recommendations from them.

    Neighbours are searched when they are asked for: those of all users would take the square of
    the users of each document.

    Parameters
    ----------
    method : {"cosine", "bm25"}
        How similar two users are: "cosine" is ``x_u'x_v / (|x_u| |x_v|)`` of their rows;
        "bm25" the same of rows weighted by BM25, so that documents that all users engage with count
        less. (EASE is a regression of documents: see `SimilarItems`.)
    n_neighbours : int
        Most similar users of whose engagement recommendations are made.
    k1, b : float
        For "bm25": saturation, and how far users with much engagement are scaled down.
    memory_limit : float
        Bytes that a fit may take beyond its input; `fit` refuses what takes more.

    Attributes
    ----------
    interactions_ : Interactions
        What neighbours are found from.

    See Also
    --------
    engagement_matrix : what to fit it on.
    SimilarItems : the same for documents.

    Examples
    --------
    >>> from scipy import sparse
    >>> from rankloom.retrieval import SimilarUsers
    >>> engaged = sparse.csr_matrix([[1, 1, 0], [1, 1, 1], [0, 0, 1]])
    >>> users = SimilarUsers(method="cosine").fit(engaged)
    >>> users.similar(0, 1)["user_id"].to_list()
    [1]
    >>> users.recommend(0, 2)["feature_id"].to_list()
    [2]
    """

    def __init__(
        self,
        method: Literal["cosine", "bm25"] = "bm25",
        *,
        n_neighbours: int = 200,
        k1: float = 1.2,
        b: float = 0.75,
        memory_limit: float = 4e9,
    ) -> None:
        self.method = method
        self.n_neighbours = n_neighbours
        self.k1 = k1
        self.b = b
        self.memory_limit = memory_limit

    def fit(self, engagement: Any, y: Any = None) -> Self:
        """Weight users' engagement, and order it by document.

        Parameters
        ----------
        engagement : EngagementMatrix or sparse matrix of shape (users, documents)
            Values of at least 0. Of a sparse matrix, ids are the numbers of rows and columns.
        y : None
            Ignored.

        Raises
        ------
        InvalidInputError
            If a parameter is wrong, nobody engaged with anything, or it takes too much memory.
        """
        del y
        check_method(self.method, METHODS)
        check_neighbours(self.n_neighbours)
        check_weighting(self.k1, self.b)
        checked_number("memory_limit", self.memory_limit, 0, between=True)
        interactions = Interactions.of(engagement)
        entries = interactions.engagement.nnz
        what = f"a search among {entries:,} entries"
        check_memory(what, 20 * entries, self.memory_limit, "fewer users")
        rows = interactions.engagement
        self._weighting = RowWeighting.named(self.method, rows, self.k1, self.b)
        self._by_document = self._weighting.vectors(rows).T.tocsr()
        self.interactions_ = interactions
        return self

    def similar(self, who: str | int | Sequence[Any], n: int = 10) -> pl.DataFrame:
        """Return the most similar users, best first: user_id, score.

        Parameters
        ----------
        who : str, or sequence of documents
            A user of the matrix, or ids of documents that somebody engaged with.
        n : int
        """
        checked_number("n", n, 1, whole=True)
        interactions = self._fitted()
        columns, scores = self._similar(*interactions.history(who), n)
        return interactions.users.ranked(columns[0], scores[0])

    def recommend(
        self, who: str | int | Sequence[Any], n: int = 10, *, filter_seen: bool = True
    ) -> pl.DataFrame:
        """Return what the most similar users engage with, best first: feature_id, score.

        A document's score is the sum of the neighbours' confidence, each weighted by the
        similarity.

        Parameters
        ----------
        who : str, or sequence of documents
            A user of the matrix, or ids of documents that somebody engaged with.
        n : int
        filter_seen : bool
            Whether to leave out the documents that were engaged with.
        """
        checked_number("n", n, 1, whole=True)
        interactions = self._fitted()
        columns, scores = self._top(*interactions.history(who), n, filter_seen=filter_seen)
        return interactions.documents.ranked(columns[0], scores[0])

    def recommend_all(
        self, users: Sequence[Any] | None = None, n: int = 10, *, filter_seen: bool = True
    ) -> pl.DataFrame:
        """Return `recommend` of many users: user_id, feature_id, score; best first for each user.

        Parameters
        ----------
        users : sequence of ids, optional
            None: every user of the matrix.
        n : int
        filter_seen : bool
        """
        checked_number("n", n, 1, whole=True)
        interactions = self._fitted()
        rows = interactions.rows(users)
        found = self._top(interactions.engagement[rows], rows, n, filter_seen=filter_seen)
        return interactions.ranked(rows, *found)

    def evaluate(
        self, held_out: Any, *, k: int = 20, confidence: float = 0.95, binary: bool = False
    ) -> RecommendationReport:
        """Judge recommendations by what the same users engaged with later.

        As `SimilarItems.evaluate` does.

        Parameters
        ----------
        held_out : EngagementMatrix or sparse matrix
        k : int
        confidence : float
        binary : bool
        """
        interactions = self._fitted()

        def recommend(rows: NDArray[np.int64], n: int) -> NDArray[np.int32]:
            return self._top(interactions.engagement[rows], rows, n, filter_seen=True)[0]

        return evaluate_recommendations(
            interactions, recommend, held_out, k=k, confidence=confidence, binary=binary
        )

    def save(self, path: str | Path) -> None:
        """Write the model, with what it was fitted on, as a .npz file without pickle.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        save_model(path, FORMAT, self.get_params(), self._fitted())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        UnreadableSourceError
            If the file cannot be read.
        IntegrityError
            If it is damaged, or of another format.
        """
        stored = load_model(path, FORMAT)
        return cls(**stored.parameters).fit(stored.interactions)

    def _similar(
        self, history: sparse.csr_matrix, users: NDArray[np.int64], n: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the users nearest to rows of engagement, without the `users` themselves."""
        known = np.flatnonzero(users >= 0)
        shape = (history.shape[0], self.interactions_.users.size)
        themselves = sparse.csr_matrix((np.ones(len(known)), (known, users[known])), shape)
        vectors = self._weighting.vectors(history)
        return top_products(vectors, self._by_document, min(n, shape[1]), without=themselves)

    def _top(
        self, history: sparse.csr_matrix, users: NDArray[np.int64], n: int, *, filter_seen: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the best documents for rows of engagement."""
        known = self.interactions_
        nearest = as_csr(*self._similar(history, users, self.n_neighbours), known.users.size)
        return top_products(
            nearest,
            known.engagement,
            min(n, known.documents.size),
            without=history if filter_seen else None,
        )

    def _fitted(self) -> Interactions:
        if not hasattr(self, "interactions_"):
            msg = "SimilarUsers: not fitted; call fit(engagement) first"
            raise InvalidInputError(msg)
        return self.interactions_

    def _repr_html_(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return summary_html(self._summary())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return both forms: scikit-learn's own would hold a script."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _summary(self) -> Summary:
        if not hasattr(self, "interactions_"):
            return Summary(f"{self!r}: not fitted")
        known = self.interactions_
        counts = {"users": known.users.size, "documents": known.documents.size}
        return Summary(repr(self), [Table.of_counts(counts)])
