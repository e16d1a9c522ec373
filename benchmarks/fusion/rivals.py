"""Thompson sampling by other libraries, as far as they are installed: the same job, their way.

Each learns click or no click of five arms for everybody; none of them keeps users, positions,
decay or units. What is not installed is left out, with a line that says so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


class Rival(Protocol):
    """A bandit that is ready to learn a batch and to draw once for every arm."""

    def update(self) -> None:
        """Learn all events."""

    def draw(self) -> object:
        """Draw from the posterior of every arm."""


class MabWiser:
    """`MAB.partial_fit` of arrays, with texts or with small numbers as names of the arms."""

    def __init__(self, decisions: NDArray[Any], rewards: NDArray[np.int64]) -> None:
        from mabwiser.mab import MAB, LearningPolicy

        self.decisions, self.rewards = decisions, rewards
        arms = np.unique(decisions).tolist()
        self.bandit = MAB(arms, LearningPolicy.ThompsonSampling())
        self.bandit.fit(np.array(arms), np.zeros(len(arms), int))

    def update(self) -> None:
        """Learn all events."""
        self.bandit.partial_fit(self.decisions, self.rewards)

    def draw(self) -> object:
        """Draw from the posterior of every arm."""
        return self.bandit.predict_expectations()


class BayesianBandits:
    """`Arm.update` of the rewards of each arm."""

    def __init__(self, arms: NDArray[np.integer], rewards: NDArray[np.int64]) -> None:
        from bayesianbandits import Agent, Arm, DirichletClassifier, ThompsonSampling

        self.arms, self.rewards = arms, rewards
        made = [
            Arm(i, lambda p: p[..., 1], learner=DirichletClassifier({0: 1.0, 1: 1.0}))
            for i in range(int(arms.max()) + 1)
        ]
        self.agent = Agent(made, ThompsonSampling())
        for i in range(len(made)):  # the first update of an arm allocates
            self.agent.select_for_update(i).update(np.array([0, 1]))

    def update(self) -> None:
        """Learn all events."""
        for i in range(int(self.arms.max()) + 1):
            self.agent.select_for_update(i).update(self.rewards[self.arms == i])

    def draw(self) -> object:
        """Draw from the posterior of every arm; it returns the best one only."""
        return self.agent.pull()


class River:
    """`ThompsonSampling.update`, one event after the other: it has no other way."""

    def __init__(self, arms: NDArray[np.integer], rewards: NDArray[np.int64]) -> None:
        from river import bandit, proba

        self.events = list(zip(arms.tolist(), rewards.tolist(), strict=True))
        self.policy = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=0)
        self.ids = sorted({arm for arm, _ in self.events})
        for arm in self.ids:
            self.policy.update(arm, 1)

    def update(self) -> None:
        """Learn all events."""
        for arm, reward in self.events:
            self.policy.update(arm, reward)

    def draw(self) -> object:
        """Draw from the posterior of every arm; it returns the best one only."""
        return self.policy.pull(self.ids)


class PyBandits:
    """`SmabBernoulli.update` of lists."""

    def __init__(self, decisions: NDArray[Any], rewards: NDArray[np.int64]) -> None:
        from pybandits.model import Beta
        from pybandits.smab import SmabBernoulli

        self.decisions, self.rewards = decisions.tolist(), rewards.tolist()
        self.bandit = SmabBernoulli(actions={arm: Beta() for arm in dict.fromkeys(self.decisions)})

    def update(self) -> None:
        """Learn all events."""
        self.bandit.update(actions=self.decisions, rewards=self.rewards)

    def draw(self) -> object:
        """Draw from the posterior of every arm."""
        return self.bandit.predict(n_samples=1)


def rivals(
    names: list[str], arm: NDArray[np.integer], clicked: NDArray[np.int64]
) -> Iterator[tuple[str, Callable[[], Rival]]]:
    """Yield those that are installed, each as a function that makes a new one."""
    texts = np.array(names)[arm]
    makers: list[tuple[str, str, Callable[[], Rival]]] = [
        ("mabwiser", "MABWiser, text arms", lambda: MabWiser(texts, clicked)),
        ("mabwiser", "MABWiser, integer arms", lambda: MabWiser(arm, clicked)),
        ("bayesianbandits", "bayesianbandits", lambda: BayesianBandits(arm, clicked)),
        ("river", "river", lambda: River(arm, clicked)),
        ("pybandits", "PyBandits", lambda: PyBandits(texts, clicked)),
    ]
    for module, label, make in makers:
        try:
            import_module(module)
        except ImportError as error:
            print(f"{label} is left out: {error}")
        else:
            yield label, make
