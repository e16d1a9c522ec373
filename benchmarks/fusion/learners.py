"""Who learns fusion weights in the fusion benchmark: rankloom's posteriors and their rivals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from robust2003_protocol import SHOWN, top

from rankloom.bandit.base.sums import Sums
from rankloom.bandit.posterior.estimation import estimate
from rankloom.bandit.posterior.noise import FixedNoise

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from protocol_b import Queries

    Floats = NDArray[np.float64]

EXAMINATION = 1 / np.arange(1.0, SHOWN + 1)
"""What every learner assumes."""


class Learner(Protocol):
    """Shows lists, sees clicks, has weights."""

    def show(self, scores: Floats) -> NDArray[np.int64]:
        """Return the ten candidates to show, best first; `scores` is (candidates, systems)."""
        ...

    def update(self, x: Floats, clicks: Floats) -> None:
        """Learn from the shown documents' scores, (10, systems), and their clicks."""
        ...

    def weights(self) -> Floats:
        """Return the weights to rank held-out queries with."""
        ...


class Rankloom:
    """The posteriors of `rankloom.bandit`, over sums in plain arrays.

    Every impression is a session of its own, with its own fixed noise; a snapshot is computed
    every fifth impression. Per-system scores are logged for "linear" and credit is shared by
    contribution; for "beta" they are not, and credit goes to the system that contributed most,
    which is the one that a log names.
    """

    def __init__(
        self, kind: Literal["beta", "linear"], systems: int, seed: tuple[int, ...]
    ) -> None:
        self.kind, self.lists = kind, 0
        self.arms = tuple(f"system://{number}" for number in range(systems))
        self.noise = FixedNoise(self.arms, salt=str(seed))
        self.N, self.S, self.F, self.Q = np.zeros((4, 1, systems))
        self.A = np.zeros((1, systems + 1, systems + 1))
        self.b = np.zeros((1, systems + 1))
        self.posterior = estimate(self.sums())

    def sums(self) -> Sums:
        """Return what was counted, as the posteriors read it."""
        scored = self.kind == "linear"
        evidence = (self.N, self.S, self.F, self.Q)
        return Sums(
            self.arms, ((),), 0, *evidence, self.A if scored else None, self.b if scored else None
        )

    def show(self, scores: Floats) -> NDArray[np.int64]:
        """Return the ten candidates to show, best first."""
        self.served = self.posterior.draw(self.noise.of(f"session:{self.lists}"))
        return top(scores @ self.served)

    def update(self, x: Floats, clicks: Floats) -> None:
        """Learn from the shown documents' scores and their clicks."""
        parts = x * self.served
        if self.kind == "beta":
            share = np.zeros_like(parts)
            share[np.arange(len(parts)), parts.argmax(axis=1)] = 1.0
        else:
            share = parts / parts.sum(axis=1, keepdims=True)
        self.N += EXAMINATION @ share
        self.S += clicks @ share
        self.Q += EXAMINATION @ share**2
        z = np.column_stack([x, np.ones(len(x))])
        self.A += (z * EXAMINATION[:, None]).T @ z
        self.b += clicks @ z
        self.lists += 1
        if self.lists % 5 == 0:
            self.posterior = estimate(self.sums())

    def weights(self) -> Floats:
        """Return the weights to rank held-out queries with."""
        return estimate(self.sums()).mean()


class PlainLinear:
    """Linear Thompson sampling around equal weights, without floors, sharpness or a second view."""

    def __init__(self, systems: int, seed: tuple[int, ...]) -> None:
        self.systems, self.generator = systems, np.random.default_rng((*seed, 1))
        self.A = np.eye(systems + 1) * 50.0
        self.b = self.A @ np.append(np.full(systems, 0.3 / systems), 0.05)

    def show(self, scores: Floats) -> NDArray[np.int64]:
        """Return the ten candidates to show, best first."""
        root = np.linalg.cholesky(np.linalg.inv(self.A))
        noise = 0.1 * root @ self.generator.standard_normal(self.systems + 1)
        return top(scores @ positive((self._mean() + noise)[:-1]))

    def update(self, x: Floats, clicks: Floats) -> None:
        """Learn from the shown documents' scores and their clicks."""
        z = np.column_stack([x, np.ones(len(x))])
        self.A += (z * EXAMINATION[:, None]).T @ z
        self.b += clicks @ z

    def weights(self) -> Floats:
        """Return the weights to rank held-out queries with."""
        return positive(self._mean()[:-1])

    def _mean(self) -> Floats:
        return np.linalg.solve(self.A, self.b)


class WinnerTakesAll:
    """Beta counts in the common way: the click's system +1 success, all others +1 failure."""

    def __init__(self, systems: int, seed: tuple[int, ...]) -> None:
        self.generator = np.random.default_rng((*seed, 1))
        self.won, self.lost = np.ones(systems), np.full(systems, 9.0)

    def show(self, scores: Floats) -> NDArray[np.int64]:
        """Return the ten candidates to show, best first."""
        self.served = positive(self.generator.beta(self.won, self.lost))
        return top(scores @ self.served)

    def update(self, x: Floats, clicks: Floats) -> None:
        """Learn from the shown documents' scores and their clicks."""
        winners = (x * self.served).argmax(axis=1)[clicks > 0]
        wins = np.bincount(winners, minlength=len(self.won))
        self.won += wins
        self.lost += len(winners) - wins

    def weights(self) -> Floats:
        """Return the weights to rank held-out queries with."""
        return positive(self.won / (self.won + self.lost))


class PairwiseGradient:
    """Pairwise differentiable gradient descent (Oosterhuis and de Rijke, CIKM 2018)."""

    def __init__(self, systems: int, seed: tuple[int, ...]) -> None:
        self.generator = np.random.default_rng((*seed, 1))
        self.slopes, self.rate, self.temperature = np.full(systems, 1 / systems), 0.1, 10.0

    def show(self, scores: Floats) -> NDArray[np.int64]:
        """Return the ten candidates to show, best first."""
        self.logits = self.temperature * (scores @ self.slopes)
        self.order = np.argsort(-(self.logits + self.generator.gumbel(size=len(scores))))[:SHOWN]
        return self.order

    def update(self, x: Floats, clicks: Floats) -> None:
        """Learn from the shown documents' scores and their clicks."""
        if not clicks.any() or clicks.all():
            return
        observed = np.arange(min(int(np.flatnonzero(clicks).max()) + 2, SHOWN))
        gradient = np.zeros_like(self.slopes)
        value = np.exp(self.logits - self.logits.max())
        rest = value.sum() - value[self.order].sum()
        shown, before = value[self.order], self._log_chance(value[self.order], rest)
        for clicked in observed[clicks[observed] > 0]:
            for skipped in observed[clicks[observed] == 0]:
                turned = shown.copy()
                turned[[clicked, skipped]] = turned[[skipped, clicked]]
                after = self._log_chance(turned, rest)
                fair = 1 / (1 + np.exp(np.clip(before - after, -50, 50)))
                apart = np.log(shown[skipped]) - np.log(shown[clicked])
                ahead = 1 / (1 + np.exp(np.clip(apart, -50, 50)))
                step = fair * ahead * (1 - ahead) * self.temperature
                gradient += step * (x[clicked] - x[skipped])
        moved = self.slopes + self.rate / self.temperature * gradient
        self.slopes = np.maximum(moved, 0.0)

    def weights(self) -> Floats:
        """Return the weights to rank held-out queries with."""
        return positive(self.slopes)

    @staticmethod
    def _log_chance(shown: Floats, rest: float) -> float:
        left = rest + np.cumsum(shown[::-1])[::-1]
        return float(np.log(shown / left).sum())


def positive(slopes: Floats) -> Floats:
    """Return weights that sum to 1."""
    positive = np.maximum(slopes, 1e-6)
    return positive / positive.sum()


def coordinate_ascent(queries: Queries, rows: NDArray[np.int64]) -> Floats:
    """Return the weights that rank judged queries best, found one system at a time."""
    systems = queries.scores.shape[2]
    best = np.full(systems, 1 / systems)
    reached = queries.ndcg(rows, best)
    for _ in range(3):
        for system in range(systems):
            for value in (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0):
                tried = best.copy()
                tried[system] = value
                tried /= max(tried.sum(), 1e-12)
                found = queries.ndcg(rows, tried)
                if found > reached + 1e-9:
                    best, reached = tried, found
    return best
