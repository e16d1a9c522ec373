"""Robust 2003 as a source of simulated fused searches: what the fusion benchmark learns from.

Data: ../shared/data/robust03, five systems' top 100 and the qrels. Scores are min-max normalised
per query over all candidates of the system; a document that a system missed has 0.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DEFAULT_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SYSTEMS = ("pircRBa1", "UIUC03Rd1", "SABIR03BASE", "rutcor03100", "InexpC2")
SHOWN = 10
DEPTH = 100
DISCOUNT = 1 / np.log2(np.arange(2, SHOWN + 2))
LOWEST, HIGHEST = 0.1, 0.9
"""Attractiveness of a document without gain and of one with the highest."""


@dataclass(frozen=True)
class Queries:
    """Judged queries with every system's scores, padded to the longest candidate list.

    Attributes
    ----------
    scores : ndarray of float64, shape (queries, candidates, systems)
    reciprocal : ndarray of float64, same shape
        1 / (60 + rank) in each system's list, 0 where it missed the document.
    gain : ndarray of float64, shape (queries, candidates)
        2^grade - 1.
    ideal : ndarray of float64, shape (queries,)
        DCG@10 of the best list.
    size : ndarray of int64, shape (queries,)
        Candidates; the rest is padding.
    """

    scores: Floats
    reciprocal: Floats
    gain: Floats
    ideal: Floats
    size: NDArray[np.int64]

    @cached_property
    def padding(self) -> NDArray[np.bool_]:
        """Return which candidates are none; shape (queries, candidates)."""
        return np.arange(self.scores.shape[1]) >= self.size[:, None]

    def split(self, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return a learning and a held-out half."""
        order = np.random.default_rng(100 + seed).permutation(len(self.size))
        return order[: len(order) // 2], order[len(order) // 2 :]

    def ndcg(self, rows: NDArray[np.int64], weights: Floats, *, ranks: bool = False) -> float:
        """Return the mean NDCG@10 of the fused lists of some queries."""
        fused = (self.reciprocal if ranks else self.scores)[rows] @ weights
        fused[self.padding[rows]] = -1.0
        best = np.argsort(-fused, axis=1, kind="stable")[:, :SHOWN]
        dcg = np.take_along_axis(self.gain[rows], best, axis=1) @ DISCOUNT
        return float((dcg / self.ideal[rows]).mean())


@dataclass(frozen=True)
class Searches:
    """Impressions of fused lists over the queries of one half, and their clicks.

    Attributes
    ----------
    queries : Queries
    rows : ndarray of int64
        The queries searched for.
    power : float
        The true examination is rank^-power.
    seed : tuple of int
        Two learners with the same seed meet the same queries and the same users.
    """

    queries: Queries
    rows: NDArray[np.int64]
    power: float
    seed: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[int, Floats]]:
        """Yield a query and uniform numbers that decide on the clicks, without end."""
        generator = np.random.default_rng(self.seed)
        while True:
            yield int(generator.choice(self.rows)), generator.random(SHOWN)

    def candidates(self, query: int) -> Floats:
        """Return a query's scores; shape (candidates, systems)."""
        return self.queries.scores[query, : self.queries.size[query]]

    def clicks(self, query: int, shown: NDArray[np.int64], uniform: Floats) -> Floats:
        """Return 1 for a click by the position-based model, else 0."""
        gain = self.queries.gain[query, shown]
        attraction = LOWEST + (HIGHEST - LOWEST) * gain / self.queries.gain.max()
        examination = np.arange(1.0, SHOWN + 1) ** -self.power
        return (uniform < examination * attraction).astype(np.float64)

    def ndcg(self, query: int, shown: NDArray[np.int64]) -> float:
        """Return the NDCG@10 of one shown list."""
        return float(self.queries.gain[query, shown] @ DISCOUNT / self.queries.ideal[query])


def top(scores: Floats) -> NDArray[np.int64]:
    """Return the best ten, best first."""
    best = np.argpartition(-scores, SHOWN - 1)[:SHOWN]
    return best[np.argsort(-scores[best], kind="stable")]


def load_queries(data: Path) -> Queries:
    """Read runs and qrels; queries without a relevant document or with few candidates are out."""
    folder = data / "robust03"
    grades = _read_qrels(folder / "qrels.robust2003.txt.gz")
    runs = [_read_run(folder / "runs" / f"{name}.top200.txt.gz") for name in SYSTEMS]
    columns = []
    for query, judged in grades.items():
        lists = [run.get(query, []) for run in runs]
        documents = sorted({document for found in lists for document, _ in found})
        if len(documents) >= 20 and any(judged.values()):
            columns.append(_columns(documents, lists, judged))
    longest = max(len(gain) for _, _, gain, _ in columns)
    return Queries(
        np.array([_pad(scores, longest) for scores, _, _, _ in columns]),
        np.array([_pad(reciprocal, longest) for _, reciprocal, _, _ in columns]),
        np.array([_pad(gain, longest) for _, _, gain, _ in columns]),
        np.array([ideal for _, _, _, ideal in columns]),
        np.array([len(gain) for _, _, gain, _ in columns]),
    )


def _columns(
    documents: list[str], lists: list[list[tuple[str, float]]], judged: dict[str, int]
) -> tuple[Floats, Floats, Floats, float]:
    index = {document: place for place, document in enumerate(documents)}
    scores, reciprocal = np.zeros((2, len(documents), len(lists)))
    for system, found in enumerate(lists):
        if not found:
            continue
        values = np.array([score for _, score in found])
        low, high = values.min(), values.max()
        for rank, (document, score) in enumerate(sorted(found, key=lambda pair: -pair[1])):
            place = index[document]
            scores[place, system] = (score - low) / (high - low) if high > low else 1.0
            reciprocal[place, system] = 1 / (60 + rank + 1)
    gain = 2.0 ** np.array([judged.get(document, 0) for document in documents]) - 1
    best = 2.0 ** np.array(sorted(judged.values(), reverse=True)[:SHOWN]) - 1
    return scores, reciprocal, gain, float(best @ DISCOUNT[: len(best)])


def _pad(values: Floats, length: int) -> Floats:
    return np.pad(values, [(0, length - len(values))] + [(0, 0)] * (values.ndim - 1))


def _read_qrels(path: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    for query, _, document, grade in _fields(path):
        grades.setdefault(query, {})[document] = max(0, int(grade))
    return grades


def _read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    run: dict[str, list[tuple[str, float]]] = {}
    for query, _, document, _, score, *_ in _fields(path):
        found = run.setdefault(query, [])
        if len(found) < DEPTH:
            found.append((document, float(score)))
    return run


def _fields(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", errors="replace") as lines:
        for line in lines:
            parts = line.split()
            if len(parts) >= 4:
                yield parts
