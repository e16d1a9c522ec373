"""Simulated searches in which the right map on embeddings is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rankloom.datasets import simulate_interactions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]

DIMENSIONS, DOCUMENTS, CANDIDATES = 32, 3_000, 30
TOP = 10


@dataclass
class EmbeddingWorld:
    """A log, the vectors behind it, and the grades of all candidates of a query."""

    log: pl.DataFrame
    catalogue: pl.DataFrame  # query, feature_id, grade, row: index of the document's vector
    queries: tuple[list[str], Matrix]
    documents: tuple[list[str], Matrix]
    true_map: Matrix

    def ndcg(self, matrix: Matrix, words: set[str]) -> float:
        """Return the mean NDCG@10 of some queries over all candidates, by true grades."""
        row = {query: i for i, query in enumerate(self.queries[0])}
        discount = 1 / np.log2(np.arange(2, TOP + 2))
        found = []
        for (query,), part in self.catalogue.group_by("query"):
            if query not in words:
                continue
            documents = self.documents[1][part["row"].to_numpy()]
            scores = documents @ (self.queries[1][row[str(query)]] @ matrix)
            gains = 2.0 ** part["grade"].to_numpy() - 1
            best = np.sort(gains)[::-1][:TOP] @ discount
            found.append(float(gains[np.argsort(-scores)][:TOP] @ discount / best))
        return float(np.mean(found))


def true_map(kind: str, seed: int) -> Matrix:
    """Return the map of a world.

    ``identity``: embeddings are right. ``weights``: a quarter of the dimensions says nothing, a
    quarter counts twice. ``rotation``: half the plane of each two dimensions is turned by 45
    degrees. ``low rank``: four directions are added.
    """
    rng = np.random.default_rng([seed, 7])
    identity = np.eye(DIMENSIONS)
    if kind == "weights":
        return np.diag(rng.permutation(np.repeat([0.0, 1.0, 1.0, 2.0], DIMENSIONS // 4)))
    if kind == "rotation":
        for i in range(0, DIMENSIONS // 2, 2):
            identity[i : i + 2, i : i + 2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    if kind == "low rank":
        u, v = (np.linalg.qr(rng.normal(size=(DIMENSIONS, 4)))[0] for _ in range(2))
        identity = identity + 4 * u @ v.T
    return identity


def make_world(
    kind: str, executions: int, seed: int, *, click_model: str = "pbm", n_queries: int = 600
) -> EmbeddingWorld:
    """Return a world whose production rankers go by the embeddings as they are, and noise."""
    rng = np.random.default_rng(seed)
    matrix = true_map(kind, seed)
    q = rng.normal(size=(n_queries, DIMENSIONS)).astype(np.float32)
    d = rng.normal(size=(DOCUMENTS, DIMENSIONS)).astype(np.float32)
    rows = np.concatenate(
        [np.sort(rng.choice(DOCUMENTS, CANDIDATES, replace=False)) for _ in range(n_queries)]
    )
    query = np.repeat(np.arange(n_queries), CANDIDATES)
    relevance = np.einsum("ij,ij->i", q[query] @ matrix, d[rows])
    plain = np.einsum("ij,ij->i", q[query], d[rows])
    noise = plain.std() * rng.normal(size=(len(rows), 3))
    words, ids = [f"query {i}" for i in range(n_queries)], [str(i) for i in range(DOCUMENTS)]
    catalogue = pl.DataFrame(
        {
            "query": [words[i] for i in query],
            "feature_id": [ids[i] for i in rows],
            "grade": np.digitize(relevance, np.quantile(relevance, [0.6, 0.8, 0.93])),
            "row": rows,
        }
    )
    log = simulate_interactions(
        catalogue.drop("row"),
        n_executions=executions,
        random_state=seed,
        rankers=plain[:, None] + noise,
        click_model=click_model,
        context={},
        channels=(),
        interactions="clicks",
        metadata=False,
    )
    return EmbeddingWorld(log, catalogue, (words, q), (ids, d), matrix)
