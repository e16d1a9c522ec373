"""Similar documents: `SimilarItems`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator

from ..._shared.checks import checked_number
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...errors import InvalidInputError
from .ease import ease_bytes, ease_weights
from .evaluation import RecommendationReport, evaluate_recommendations
from .interactions import Interactions
from .low_rank import low_rank_bytes, low_rank_weights
from .model_file import load_model, save_model
from .parameters import check_memory, check_method, check_neighbours, check_weighting
from .top_products import as_csr, top_products
from .weighting import RowWeighting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray
    from scipy import sparse

METHODS: Final = ("cosine", "bm25", "ease", "low_rank")
FORMAT: Final = "rankloom-similar-items 1"


class SimilarItems(BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Documents that the same users engage with: exact neighbours, and recommendations from them.

    Parameters
    ----------
    method : {"cosine", "bm25", "ease", "low_rank"}
        How similar two documents are. With x_i the documents' columns of the matrix: "cosine" is
        ``x_i'x_j / (|x_i| |x_j|)``; "bm25" the same of columns weighted by BM25, so that users who
        engage with everything count less; "ease" the weight of i in the ridge regression of j on
        all other documents (see `rankloom.retrieval.neighbours.ease`), which is not symmetric, may
        be negative, and takes the square of the number of documents in memory; "low_rank" the
        product of "bm25" vectors within their `rank` strongest directions (see
        `rankloom.retrieval.neighbours.low_rank`), for data that are sparse within clusters.
    n_neighbours : int
        Neighbours kept of each document: the most similar ones, for "ease" and "low_rank" those
        whose weight is furthest from 0.
    k1, b : float
        For "bm25" and "low_rank": saturation, and how far documents with much engagement are
        scaled down.
    regularization : float
        For "ease": lambda, in units of the mean of the diagonal of X'X.
    rank : int
        For "low_rank": directions, such as the number of clusters; fewer than users and documents.
    memory_limit : float
        Bytes that a fit may take beyond its input; `fit` refuses what takes more.

    Attributes
    ----------
    neighbours_ : scipy.sparse.csr_matrix of float32, shape (documents, documents)
        Similarity of each row's neighbours, the most similar first; 0 on the diagonal.
    interactions_ : Interactions
        What the neighbours were found from.

    See Also
    --------
    engagement_matrix : what to fit it on.
    SimilarUsers : the same for users.

    Examples
    --------
    >>> from scipy import sparse
    >>> from rankloom.retrieval import SimilarItems
    >>> engaged = sparse.csr_matrix([[1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 0]])
    >>> similar = SimilarItems(method="cosine").fit(engaged)
    >>> similar.similar(0, 1)["feature_id"].to_list()
    [1]
    >>> similar.recommend(3, 2)["feature_id"].to_list()
    [1]
    """

    def __init__(
        self,
        method: Literal["cosine", "bm25", "ease", "low_rank"] = "bm25",
        *,
        n_neighbours: int = 200,
        k1: float = 1.2,
        b: float = 0.75,
        regularization: float = 3.0,
        rank: int = 32,
        memory_limit: float = 4e9,
    ) -> None:
        self.method = method
        self.n_neighbours = n_neighbours
        self.k1 = k1
        self.b = b
        self.regularization = regularization
        self.rank = rank
        self.memory_limit = memory_limit

    def fit(self, engagement: Any, y: Any = None) -> Self:
        """Find each document's neighbours.

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
        self._check_parameters()
        interactions = Interactions.of(engagement)
        k = min(self.n_neighbours, max(interactions.documents.size - 1, 1))
        self._check_size(interactions, k)
        columns, scores = self._neighbours(interactions.engagement, k)
        self.neighbours_ = as_csr(columns, scores, interactions.documents.size)
        self.interactions_ = interactions
        return self

    def similar(self, document_id: str | int, n: int = 10) -> pl.DataFrame:
        """Return the most similar documents, best first: feature_id, score.

        Parameters
        ----------
        document_id : str, or int without ids
        n : int
            At most `n_neighbours` are known.
        """
        checked_number("n", n, 1, whole=True)
        documents = self._fitted().documents
        neighbours = self.neighbours_[[documents.code(document_id)]]
        kept = np.flatnonzero(neighbours.data > 0)[:n]
        return documents.ranked(neighbours.indices[kept], neighbours.data[kept])

    def recommend(
        self, who: str | int | Sequence[Any], n: int = 10, *, filter_seen: bool = True
    ) -> pl.DataFrame:
        """Return what else users engage with who engage with the same: feature_id, score.

        A document's score is the sum of its similarity to what the user engaged with, each
        weighted by the confidence of that engagement. Only positive scores are returned.

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
        history, _ = interactions.history(who)
        columns, scores = self._top(history, n, filter_seen=filter_seen)
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
        found = self._top(interactions.engagement[rows], n, filter_seen=filter_seen)
        return interactions.ranked(rows, *found)

    def evaluate(
        self, held_out: Any, *, k: int = 20, confidence: float = 0.95, binary: bool = False
    ) -> RecommendationReport:
        """Judge recommendations by what the same users engaged with later.

        Only documents that are new to the user and known to the model count. A user's recall is
        the gain of the k recommended documents over that of the best k, NDCG the same discounted by
        1 / log2(rank + 1).

        Parameters
        ----------
        held_out : EngagementMatrix or sparse matrix
            Of later executions: split `load_pairs(..., context=["user_id"])` by `split_by_time`. A
            document's gain is its confidence there, which is corrected for position.
        k : int
        confidence : float
            Of the intervals, whose units are users.
        binary : bool
            Whether every gain is 1, as where positions had no influence.
        """
        interactions = self._fitted()

        def recommend(rows: NDArray[np.int64], n: int) -> NDArray[np.int32]:
            return self._top(interactions.engagement[rows], n, filter_seen=True)[0]

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
        save_model(path, FORMAT, self.get_params(), self._fitted(), self.neighbours_)

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
        model = cls(**stored.parameters)
        model.interactions_, model.neighbours_ = stored.interactions, stored.neighbours
        return model

    def _check_parameters(self) -> None:
        check_method(self.method, METHODS)
        check_neighbours(self.n_neighbours)
        check_weighting(self.k1, self.b)
        checked_number("regularization", self.regularization, 0, between=True)
        checked_number("memory_limit", self.memory_limit, 0, between=True)

    def _check_size(self, interactions: Interactions, k: int) -> None:
        n, entries = interactions.documents.size, interactions.engagement.nnz
        users = interactions.users.size
        if self.method == "ease":
            needed = ease_bytes(n) + 24 * entries + 12 * n * k
            check_memory(
                f'method="ease" on {n:,} documents', needed, self.memory_limit, 'method="bm25"'
            )
            return
        if self.method == "low_rank":
            checked_number("rank", self.rank, 1, min(users, n) - 1, whole=True)
            needed = low_rank_bytes(users, n, self.rank) + 24 * entries + 16 * n * k
            what = f'method="low_rank" on {users:,} users and {n:,} documents'
            check_memory(what, needed, self.memory_limit, "a lower rank")
            return
        # The documents' vectors twice, one with values beside columns; neighbours twice.
        needed = 40 * entries + 17 * n * k
        what = f"{k} neighbours of {n:,} documents from {entries:,} entries"
        check_memory(what, needed, self.memory_limit, "fewer n_neighbours")

    def _neighbours(
        self, engagement: sparse.csr_matrix, k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        if self.method == "ease":
            return ease_weights(engagement, self.regularization, k)
        rows = engagement.T.tocsr()
        if self.method == "low_rank":
            weighting = RowWeighting.bm25(rows, self.k1, self.b)
            return low_rank_weights(weighting.vectors(rows), self.rank, k)
        weighting = RowWeighting.named(self.method, rows, self.k1, self.b)
        vectors = weighting.vectors(rows)
        return top_products(vectors, vectors.T.tocsr(), k, without_self=True)

    def _top(
        self, history: sparse.csr_matrix, n: int, *, filter_seen: bool
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the best documents for rows of engagement."""
        return top_products(
            history,
            self.neighbours_,
            min(n, self.interactions_.documents.size),
            without=history if filter_seen else None,
        )

    def _fitted(self) -> Interactions:
        if not hasattr(self, "interactions_"):
            msg = "SimilarItems: not fitted; call fit(engagement) first"
            raise InvalidInputError(msg)
        return self.interactions_

    def _repr_html_(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return summary_html(self._summary())

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Return both forms: scikit-learn's own would hold a script."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _summary(self) -> Summary:
        if not hasattr(self, "neighbours_"):
            return Summary(f"{self!r}: not fitted")
        found = self.neighbours_
        counts = {"documents": found.shape[0], "neighbours of all": found.nnz}
        return Summary(repr(self), [Table.of_counts(counts)])
