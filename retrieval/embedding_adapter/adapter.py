"""`EmbeddingAdapter`: embeddings that a user has, mapped to what the log's users engage with."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import polars as pl

from ..._shared.checks import checked_number
from ..._shared.plain import plain
from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ...datasets.counts.bootstrap import ordered_queries
from ...errors import InvalidInputError, RankloomError, did_you_mean
from ..engagement.arrays_file import json_array, json_of, read_arrays, write_arrays
from .bilinear import PairwiseLoss, Solution, TripletVectors, fit_map
from .embeddings import checked_vectors, read_embeddings
from .held_out_gain import HeldOutGain, held_out_documents, held_out_gain

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from ..triplets.triplets import TrainingTriplets
    from .embeddings import Embeddings

    Floats = NDArray[np.float64]
    Floats32 = NDArray[np.float32]

FORMAT: Final = "rankloom-embedding-adapter-1"

Side = Literal["query", "document", "both"]
SIDES: Final[tuple[Side, ...]] = ("query", "document", "both")

RIDGES: Final = np.append(np.inf, 10.0 ** np.arange(0, -5.1, -0.5))
"""Strengths of the ridge that are tried, from the strongest on."""

_WORSE: Final = 3
"""Weaker ridges in a row that are worse than the best one before the search ends."""

_CLOSE: Final = 1e-4
"""Losses no further apart count as equal."""

_VALIDATION: Final = 0.2


class RidgeTried(NamedTuple):
    """A strength of the ridge, and the loss on queries that were not learnt from."""

    ridge: float
    loss: float


class EmbeddingAdapter:
    """Learn a linear map W on embeddings: score = q' W d.

    W is the identity plus what the triplets of the training part warrant: a pairwise logistic loss
    with a ridge towards the identity (`rankloom.retrieval.embedding_adapter.bilinear`), whose
    strength is that of the least loss on a fifth of the queries. It is then judged on the queries
    of the test part, which it did not learn from: DCG of the documents shown, by clicks divided by
    examination. Where the one-sided bound of its gain is not above 0, W is the identity.

    Parameters
    ----------
    rank : int, optional
        Rank of W - I at most; full if None. A low rank needs less evidence.
    ridge : float, optional
        Strength of the ridge; by held-out queries if None.
    side : {"query", "document", "both"}
        What the map is applied to. "query": W' q, an index of documents stays as it is.
        "document": W d. "both": each by the square root of W's singular values.
    k : int
        Ranks that count in the held-out gain.
    confidence : float
        Of the gain's bound and interval.

    Attributes
    ----------
    matrix_ : ndarray of float32, shape (d, d)
        W.
    is_identity_ : bool
        Whether nothing was learnt that passed.
    gain_ : HeldOutGain
        Of the map that was learnt, whether or not it passed.
    ridge_ : float
        Its ridge; infinite where the identity had the least loss.
    ridges_ : tuple of RidgeTried
        What was tried, the identity first; none where the ridge was given.
    n_triplets_ : int
        Triplets that were learnt from.
    notes_ : tuple of str
        What was left out, and why W is the identity.

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.datasets import simulate_interactions
    >>> from rankloom.retrieval import EmbeddingAdapter, training_triplets
    >>> log = simulate_interactions(n_executions=3000, random_state=0)
    >>> triplets = training_triplets(log)
    >>> rng = np.random.default_rng(0)
    >>> queries = triplets.held_out["query"].append(triplets.train["query"]).unique().sort()
    >>> documents = log["feature_id"].unique().sort()
    >>> adapter = EmbeddingAdapter(rank=2).fit(
    ...     triplets,
    ...     queries=(queries, rng.normal(size=(len(queries), 8))),
    ...     documents=(documents, rng.normal(size=(len(documents), 8))),
    ... )
    >>> adapter.is_identity_  # these vectors mean nothing
    True
    """

    def __init__(
        self,
        *,
        rank: int | None = None,
        ridge: float | None = None,
        side: Side = "query",
        k: int = 10,
        confidence: float = 0.95,
    ) -> None:
        self.rank = rank
        self.ridge = ridge
        self.side: Side = side
        self.k = k
        self.confidence = confidence

    def fit(self, triplets: TrainingTriplets, *, queries: Any, documents: Any) -> Self:
        """Learn the map and judge it.

        Parameters
        ----------
        triplets : TrainingTriplets
            With a test part.
        queries : (ids, array of shape (q, d))
            Vectors of the queries by their words, the column ``query`` of the triplets; by
            ``query_id`` for queries without words.
        documents : (ids, array of shape (m, d))
            Vectors of the documents by their ids. Triplets that lack a vector are left out.

        Raises
        ------
        InvalidInputError
            If there is no test part, no triplet has all its vectors, or a parameter is wrong.
        """
        self._check()
        held_out = triplets.held_out
        if held_out is None:
            msg = "triplets: expected a test part; give training_triplets a test_fraction above 0"
            raise InvalidInputError(msg)
        known = read_embeddings("queries", queries), read_embeddings("documents", documents)
        if known[0].vectors.shape[1] != known[1].vectors.shape[1]:
            sizes = " and ".join(str(each.vectors.shape[1]) for each in known)
            msg = f"queries: expected vectors as long as those of the documents, got {sizes}"
            raise InvalidInputError(msg)
        notes: list[str] = []
        learnt = self._learnt(*_vectors(triplets.train, *known, notes))
        self.gain_ = self._gain(held_out, *known, learnt, notes)
        self.is_identity_ = not self.gain_.passed
        if self.is_identity_:
            notes.append("the map is the identity: the bound of the held-out gain is not above 0")
        identity = np.eye(len(learnt), dtype=np.float32)
        self._set(identity if self.is_identity_ else learnt)
        self.notes_ = tuple(notes)
        return self

    def transform_queries(self, queries: ArrayLike) -> Floats32:
        """Return query vectors mapped; shape (n, d). Those of `side` "document" stay."""
        return self._mapped("queries", queries, 0)

    def transform_documents(self, documents: ArrayLike) -> Floats32:
        """Return document vectors mapped; shape (n, d). Those of `side` "query" stay."""
        return self._mapped("documents", documents, 1)

    def score(self, queries: ArrayLike, documents: ArrayLike) -> Floats32:
        """Return q' W d of every query and document; shape (queries, documents)."""
        return np.asarray(self.transform_queries(queries) @ self.transform_documents(documents).T)

    def save(self, path: str | Path) -> None:
        """Write the map, its gain and settings to one file with a checksum, whole or not at all."""
        self._check_fitted()
        header = {
            "settings": {name: getattr(self, name) for name in _SETTINGS},
            "gain": plain(asdict(self.gain_)),
            "is_identity": self.is_identity_,
            "ridge": plain(self.ridge_),
            "ridges": plain(self.ridges_),
            "n_triplets": self.n_triplets_,
            "notes": list(self.notes_),
        }
        write_arrays(path, FORMAT, {"map": self.matrix_, "about": json_array(header)})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        UnreadableSourceError
            If there is no such file.
        IntegrityError
            If it is no adapter, or damaged.
        """
        with read_arrays(path, FORMAT) as arrays:
            header, matrix = json_of(arrays["about"]), arrays["map"]
        adapter = cls(**header["settings"])
        gain = {name: _number(value) for name, value in header["gain"].items()}
        adapter.gain_ = HeldOutGain(**{**gain, "interval": tuple(gain["interval"])})
        adapter.is_identity_ = header["is_identity"]
        adapter.ridge_ = _infinite(header["ridge"])
        adapter.ridges_ = tuple(RidgeTried(_infinite(r), loss) for r, loss in header["ridges"])
        adapter.n_triplets_ = header["n_triplets"]
        adapter.notes_ = tuple(header["notes"])
        adapter._set(matrix)
        return adapter

    def __str__(self) -> str:
        if not hasattr(self, "matrix_"):
            return repr(self)
        what = "identity" if self.is_identity_ else "learnt"
        lines = [f"{what}, {self.n_triplets_:,} triplets, ridge {self.ridge_:.2g}", str(self.gain_)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes_)])

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in _SETTINGS)
        return f"EmbeddingAdapter({settings})"

    def _check(self) -> None:
        if self.rank is not None:
            checked_number("rank", self.rank, 1, whole=True)
        if self.ridge is not None:
            checked_number("ridge", self.ridge, 0, between=True)
        checked_number("k", self.k, 1, whole=True)
        checked_number("confidence", self.confidence, 0.5, 1, between=True)
        if self.side not in SIDES:
            hint = did_you_mean(str(self.side), SIDES)
            msg = f"side: expected one of {list(SIDES)}, got {self.side!r}.{hint}"
            raise InvalidInputError(msg)

    def _check_fitted(self) -> None:
        if not hasattr(self, "matrix_"):
            msg = "this EmbeddingAdapter has no map yet; call fit, or load one"
            raise RankloomError(msg)

    def _set(self, matrix: Floats32) -> None:
        self.matrix_ = np.ascontiguousarray(matrix, dtype=np.float32)
        if self.side == "both":
            left, size, right = np.linalg.svd(self.matrix_.astype(np.float64))
            root = np.sqrt(size)
            self._maps = (left * root).astype(np.float32), (right.T * root).astype(np.float32)
        else:
            self._maps = self.matrix_, np.ascontiguousarray(self.matrix_.T)

    def _mapped(self, name: str, vectors: ArrayLike, side: int) -> Floats32:
        self._check_fitted()
        checked = checked_vectors(name, vectors, len(self.matrix_))
        if self.is_identity_ or self.side == SIDES[1 - side]:
            return checked
        return np.asarray(checked @ self._maps[side])

    def _learnt(self, triplets: TripletVectors, words: pl.Series) -> Floats32:
        """Return W, before it is judged; `words`: of every query of the triplets."""
        scale = triplets.scale
        self.n_triplets_ = len(triplets)
        self.ridges_: tuple[RidgeTried, ...] = ()
        self.ridge_ = self.ridge or self._best_ridge(triplets, words, scale)
        loss = PairwiseLoss(triplets, scale)
        return loss.map_of(fit_map(loss, self.ridge_, self.rank))

    def _best_ridge(
        self, triplets: TripletVectors, words: pl.Series, scale: tuple[float, float]
    ) -> float:
        """Return the ridge of the least loss on queries that were not learnt from."""
        # A hash of the words: neither the order of the queries nor that of the log matters.
        place = ordered_queries(np.arange(len(words)), words)
        validating = (place < round(_VALIDATION * len(words)))[triplets.query]
        if not validating.any():
            return float(RIDGES[0])
        learning = PairwiseLoss(triplets.take(~validating), scale)
        judged = PairwiseLoss(triplets.take(validating), scale)
        at: Solution | None = None
        tried: list[RidgeTried] = []
        for ridge in RIDGES:
            at = fit_map(learning, float(ridge), self.rank, at)
            tried.append(RidgeTried(float(ridge), judged.value(at)))
            best = min(tried, key=lambda each: each.loss)
            if all(each.loss > best.loss + _CLOSE for each in tried[-_WORSE:]):
                break
        self.ridges_ = tuple(tried)
        return min(tried, key=lambda each: each.loss).ridge

    def _gain(
        self,
        held_out: pl.DataFrame,
        queries: Embeddings,
        documents: Embeddings,
        learnt: Floats32,
        notes: list[str],
    ) -> HeldOutGain:
        frame = held_out.with_columns(
            query=pl.Series(queries.index(_words(held_out))),
            document=pl.Series(documents.index(held_out["document_id"])),
        )
        known = frame.filter((frame["query"] >= 0) & (frame["document"] >= 0))
        if len(known) < len(frame):
            part = f"{len(frame) - len(known):,} of {len(frame):,} documents of held-out queries"
            notes.append(f"{part} left out: they, or their query, have no vector")
        summed = known.group_by("query", "document").agg(pl.col("clicks", "examination").sum())
        of_query = pl.len().over("query") > 1, pl.col("clicks").sum().over("query") > 0
        judged = summed.filter(*of_query).sort("query", "document")
        code = judged["query"].rle_id().to_numpy().astype(np.int64)
        shown = held_out_documents(
            code, judged["clicks"].to_numpy(), judged["examination"].to_numpy()
        )
        q = queries.vectors[judged["query"].to_numpy()]
        d = documents.vectors[judged["document"].to_numpy()]
        baseline, adapted = (np.einsum("ij,ij->i", x, d, dtype=np.float64) for x in (q, q @ learnt))
        return held_out_gain(shown, baseline, adapted, self.k, self.confidence)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        if not hasattr(self, "matrix_"):
            return Summary(repr(self))
        ridges = Table.of(["ridge", "loss"], self.ridges_, caption="tried")
        return Summary(repr(self), [ridges], str(self).split("\n"))


_SETTINGS: Final = ("rank", "ridge", "side", "k", "confidence")


def _vectors(
    train: pl.DataFrame, queries: Embeddings, documents: Embeddings, notes: list[str]
) -> tuple[TripletVectors, pl.Series]:
    """Return the triplets that have all their vectors, and the words of their queries."""
    query = queries.index(_words(train))
    positive, negative = (documents.index(train[f"{n}_id"]) for n in ("positive", "negative"))
    known = (query >= 0) & (positive >= 0) & (negative >= 0)
    if not known.any():
        msg = (
            f"queries: none of {len(train):,} triplets has the vectors of its query and documents; "
            "queries go by their words (column query), documents by their ids"
        )
        raise InvalidInputError(msg)
    if not known.all():
        missing = f"{int((~known).sum()):,} of {len(train):,} triplets"
        notes.append(f"{missing} left out: their query or a document has no vector")
    # Vectors that no triplet has would cost time in every step.
    used, q = np.unique(query[known], return_inverse=True)
    both = np.concatenate([positive[known], negative[known]])
    used_documents, d = np.unique(both, return_inverse=True)
    half = len(q)
    vectors = TripletVectors(
        queries.vectors[used],
        documents.vectors[used_documents],
        q,
        d[:half],
        d[half:],
        train["weight"].to_numpy()[known],
    )
    return vectors, queries.ids.gather(used)


def _words(frame: pl.DataFrame) -> pl.Series:
    return frame.select(pl.coalesce("query", "query_id")).to_series()


def _infinite(value: float | None) -> float:
    return float("inf") if value is None else value


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(each) for each in value]
    return float("nan") if value is None else value
