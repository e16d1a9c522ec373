"""A world of embeddings in which the right map is known."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from rankloom.datasets import simulate_interactions

DIMENSIONS = 12


@dataclass
class World:
    """A log, and the vectors and grades behind it."""

    log: pl.DataFrame
    catalogue: pl.DataFrame
    queries: tuple
    documents: tuple

    def ndcg(self, scores_of, words):
        """Return the mean NDCG@10 of some queries over all their candidates, by true grades."""
        row = {query: i for i, query in enumerate(self.queries[0])}
        found = []
        for query, part in self.catalogue.group_by("query"):
            if query[0] not in words:
                continue
            at = part["document"].to_numpy()
            scores = scores_of(self.queries[1][[row[query[0]]]], self.documents[1][at])[0]
            gains = 2.0 ** part["grade"].to_numpy() - 1
            discount = 1 / np.log2(np.arange(2, 12))
            best = np.sort(gains)[::-1][:10] @ discount
            found.append(gains[np.argsort(-scores)][:10] @ discount / best)
        return float(np.mean(found))


def make_world(true_map, *, executions, n_queries=300, seed=0):
    """Return a world whose relevance is q' W d, ranked in production by q' d and noise."""
    rng = np.random.default_rng(seed)
    words = [f"query {i}" for i in range(n_queries)]
    q = rng.normal(size=(n_queries, DIMENSIONS)).astype(np.float32)
    d = rng.normal(size=(1_000, DIMENSIONS)).astype(np.float32)
    rows = np.sort(rng.permuted(np.tile(np.arange(1_000), (n_queries, 1)), axis=1)[:, :20]).ravel()
    query = np.repeat(np.arange(n_queries), 20)
    relevance = np.einsum("ij,ij->i", q[query] @ true_map, d[rows])
    plain = np.einsum("ij,ij->i", q[query], d[rows])
    noise = plain.std() * rng.normal(size=(3, len(rows)))
    catalogue = pl.DataFrame(
        {
            "query": [words[i] for i in query],
            "feature_id": [f"{i}" for i in rows],
            "grade": np.digitize(relevance, np.quantile(relevance, [0.6, 0.8, 0.93])),
            "document": rows,
        }
    )
    log = simulate_interactions(
        catalogue.drop("document"), n_executions=executions, random_state=seed,
        rankers=(plain + noise).T, context={}, channels=(), interactions="clicks", metadata=False,
    )  # fmt: skip
    return World(log, catalogue, (words, q), ([f"{i}" for i in range(1_000)], d))
