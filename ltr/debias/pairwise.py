"""Unbiased LambdaMART: pairs within executions, weighed by the position bias of both documents.

A click at a low position is stronger evidence than one at the top, and a document that was not
clicked at the top is stronger evidence than one at the bottom. So the pair of a clicked document
at position i and an unclicked one at position j counts 1 / (t+[i] t-[j]). Both ratios are learnt
along with the trees.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._shared.threads import load_lightgbm
from ...errors import InvalidInputError
from ..boosting.dataset import can_split
from ..metrics.ranking import discounts
from .pairwise_kernel import Lists, pair_gradients
from .relevance import grade_gains

if TYPE_CHECKING:
    from collections.abc import Mapping

    import lightgbm
    import polars as pl
    from numpy.typing import ArrayLike, NDArray

    from ..boosting.dataset import TrainingData

    Floats = NDArray[np.float64]
    Gradients = tuple[NDArray[np.float32], NDArray[np.float32]]

MAX_POSITIONS = 50
"""Positions with ratios of their own; those beyond share the last ones."""

PAIRWISE_DEFAULTS: dict[str, Any] = {"lambda_l2": 1.0}
"""LightGBM parameters that suit these gradients, unless the user gives others."""

_BLOCKS = 64
_ROWS_PER_THREAD = 4096


class PairwiseObjective:
    """Gradients of Unbiased LambdaMART, and the ratios that it learns.

    `data`: with positions; every execution holds two grades.
    `depth`: pairs have a document among the first so many by score.
    `clip`: smallest ratio counted.
    `sigma`: steepness of the pairwise sigmoid.
    `normalised`: whether executions with many pairs, and pairs with distant scores, count less.
    `label_gain`: gain of each grade; ``2**grade - 1`` by default.
    `regularisation`: p >= 0: ratios are shrunk to 1 by the power 1 / (p + 1).
    `threads`: the result does not depend on them.

    Hu, Wang, Peng and Li, "Unbiased LambdaMART: An Unbiased Pairwise Learning-to-Rank Algorithm",
    WWW 2019. For documents of grades y_a > y_b at positions i and j, with scores s_a and s_b::

        delta  = |DCG change if a and b swap ranks| / ideal DCG / (0.01 + |s_a - s_b|)
        L      = delta log(1 + exp(sigma (s_a - s_b)))
        lambda = sigma delta / (1 + exp(sigma (s_a - s_b))) / (t+[i] t-[j])

    The gradient is -lambda for a and +lambda for b, summed over the pairs with a document among
    the first `depth` by score. The sum S of 2 lambda over an execution is scaled to log2(1 + S);
    the second derivative counts twice, as in the authors' and XGBoost's programs. After every
    round::

        t+[i] = (l+[i] / l+[0])^(1/(p+1)),  l+[i] = sum of L / t-[j] over rows a at i, per exposure
        t-[j] = (l-[j] / l-[0])^(1/(p+1)),  l-[j] = sum of L / t+[i] over rows b at j, per exposure

    Losses are per exposure: otherwise short lists, or the shared ratios of the last positions,
    would count as bias. Where all lists are equally long, that is the ratio of sums. The
    regularisation p is 0 here and 1 in XGBoost: on MQ2007-agg with 20,000 simulated sessions 0
    ranked 0.3 to 0.9 points better under every click model, on 2,000 sessions 0.3 points worse in
    the mean.

    L is XGBoost's. The paper has exp(-sigma (s_a - s_b)), the loss whose derivative is lambda.
    Where the model agrees with production, it then has little loss at the top, which the ratios
    interpret as little bias: on logs of one deterministic ranker (MQ2007-agg, PBM) it ranked a
    point worse.

    Two executions of two documents; the first document is clicked in one, the second in the other.

    >>> from rankloom.ltr.boosting.dataset import TrainingData
    >>> data = TrainingData(
    ...     X=np.zeros((4, 1), dtype=np.float32),
    ...     y=np.array([1, 0, 0, 1], dtype=np.float32),
    ...     group=np.array([2, 2]),
    ...     position=np.array([0, 1, 0, 1], dtype=np.int32),
    ... )
    >>> objective = PairwiseObjective(data)
    >>> gradient, hessian = objective.gradients(np.zeros(4))
    >>> gradient.round(2)
    array([-0.23,  0.23,  0.23, -0.23], dtype=float32)
    """

    def __init__(
        self,
        data: TrainingData,
        *,
        depth: int = 10,
        clip: float = 0.05,
        sigma: float = 1.0,
        normalised: bool = True,
        label_gain: Any = None,
        regularisation: float = 0.0,
        threads: int = 1,
    ) -> None:
        if data.position is None:
            msg = "data: pairwise debiasing needs positions; use session_data(..., position=True)"
            raise InvalidInputError(msg)
        self.power = 1.0 / (1.0 + regularisation)
        self.depth, self.clip, self.sigma, self.normalised = depth, clip, sigma, normalised
        self._lists = _lists(data, data.position, grade_gains(data.y, label_gain), depth)
        self.position = np.unique(np.minimum(data.position, MAX_POSITIONS - 1))
        weight = np.repeat(self._lists.weight, data.group)
        exposure = np.bincount(self._lists.position, weights=weight)
        self._exposure = np.maximum(exposure, np.finfo(np.float64).tiny)
        self.clicked, self.unclicked = np.ones((2, len(self.position)))
        self.history: list[Floats] = []
        self._gradient, self._hessian = np.empty((2, len(data.y)), dtype=np.float32)
        self._losses = np.empty((len(self._lists.blocks) - 1, 2, len(self.position)))
        self._threads = max(1, min(threads, len(data.y) // _ROWS_PER_THREAD))

    def gradients(self, scores: Floats) -> Gradients:
        """Return gradient and hessian of the rows, then learn the ratios from the same losses.

        The next call overwrites the arrays.
        """
        cuts = np.linspace(0, len(self._losses), self._threads + 1).astype(int).tolist()
        with ThreadPoolExecutor(self._threads, "rankloom-pairwise") as threads:
            others = threads.map(lambda part: self._run(scores, *part), pairwise(cuts[1:]))
            self._run(scores, *cuts[:2])
            list(others)
        self._learn(self._losses.sum(axis=0) / self._exposure)
        return self._gradient, self._hessian

    def pair_bias(self, rounds: int | None = None) -> pl.DataFrame:
        """Return the ratios after so many rounds, after all by default.

        Returns ``position`` (0-based; the last one includes those beyond), ``clicked`` (t+) and
        ``unclicked`` (t-); null where no pair had such a document at that position.
        """
        clicked, unclicked = self.history[-1 if rounds is None else rounds - 1]
        return bias_table(self.position, clicked, unclicked)

    def _run(self, scores: Floats, first: int, end: int) -> None:
        pair_gradients(
            scores,
            self._lists,
            1.0 / np.maximum(self.clicked, self.clip),
            1.0 / np.maximum(self.unclicked, self.clip),
            self.depth,
            self.sigma,
            self.normalised,
            first,
            end,
            self._gradient,
            self._hessian,
            self._losses,
        )

    def _learn(self, loss: Floats) -> None:
        """Take the ratios from the mean losses; a position without a pair keeps its ratio."""
        has_pairs = loss > 0
        first = loss[[0, 1], has_pairs.argmax(axis=1)]
        ratios = (loss / np.where(first > 0, first, 1.0)[:, None]) ** self.power
        self.history.append(np.where(has_pairs, ratios, np.nan))
        self.clicked = np.where(has_pairs[0], ratios[0], self.clicked)
        self.unclicked = np.where(has_pairs[1], ratios[1], self.unclicked)


def train_pairwise(
    train_set: lightgbm.Dataset,
    data: TrainingData,
    params: Mapping[str, Any],
    *,
    clip: float = 0.05,
    **options: Any,
) -> tuple[lightgbm.Booster, pl.DataFrame]:
    """Train LightGBM with the pairwise objective.

    `train_set`: of the same rows as `data`.
    `data`: see `rankloom.ltr.debias.training_rows.session_data`, with positions.
    `params`: LightGBM's, under their main names. Of lambdarank's, ``lambdarank_truncation_level``,
        ``lambdarank_norm``, ``sigmoid`` and ``label_gain`` hold for this objective too.
    `clip`: smallest ratio counted.
    `**options`: for `lightgbm.train`: callbacks, valid_sets, feval.
    Returns `pair_bias`, the ratios of the last round in use; see `PairwiseObjective.pair_bias`.
    """
    load_lightgbm()
    import lightgbm

    state = PairwiseObjective(data, clip=clip, **_objective_settings(params))
    if not can_split(train_set):
        msg = (
            f"pairs: {len(data.y)} rows are too few for min_data_in_leaf="
            f"{params.get('min_data_in_leaf', 20)}: no feature can be split"
        )
        raise InvalidInputError(msg)

    # LightGBM copies its parameters deeply: a function stays the same one, with a bound method
    # the state would be copied.
    def objective(scores: Floats, _: lightgbm.Dataset) -> Gradients:
        return state.gradients(scores)

    booster = lightgbm.train({**params, "objective": objective}, train_set, **options)
    return booster, state.pair_bias(booster.num_trees())


def bias_table(position: ArrayLike, clicked: ArrayLike, unclicked: ArrayLike) -> pl.DataFrame:
    """Return ratios as a table, NaN as null."""
    import polars as pl

    columns = {"position": position, "clicked": clicked, "unclicked": unclicked}
    schema = {"position": pl.Int32, "clicked": pl.Float64, "unclicked": pl.Float64}
    return pl.DataFrame(columns, schema=schema).fill_nan(None)


def _objective_settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the objective takes from LightGBM's parameters."""
    depth = params.get("lambdarank_truncation_level", 10)
    sigma = params.get("sigmoid", 1.0)
    normalised = params.get("lambdarank_norm", True)
    for name, value, fits in (
        ("lambdarank_truncation_level", depth, isinstance(depth, int) and depth >= 1),
        ("sigmoid", sigma, isinstance(sigma, int | float) and sigma > 0),
        ("lambdarank_norm", normalised, isinstance(normalised, bool)),
    ):
        if not fits:
            kind = {"sigmoid": "a number above 0", "lambdarank_norm": "True or False"}
            expected = kind.get(name, "a whole number at least 1")
            msg = f"params: {name!r}: expected {expected}, got {value!r}"
            raise InvalidInputError(msg)
    return {
        "depth": depth,
        "sigma": float(sigma),
        "normalised": normalised,
        "label_gain": params.get("label_gain"),
        "threads": params.get("num_threads", 1),
    }


def _lists(data: TrainingData, position: NDArray[np.int32], gain: Floats, depth: int) -> Lists:
    starts = np.append(0, np.cumsum(data.group, dtype=np.int64))
    query = np.repeat(np.arange(len(data.group)), data.group)
    discount = discounts(np.arange(data.group.max()))
    weight = np.ones(len(data.y)) if data.weight is None else data.weight.astype(np.float64)
    weight = weight[starts[:-1]]
    if not weight.any():
        msg = "pairs.weight: every weight is 0, so no execution counts; give a longer half_life"
        raise InvalidInputError(msg)
    ideal = _ideal_dcg(gain, query, starts, discount, depth)
    share = gain / np.where(ideal > 0, ideal, 1.0)[query]
    index = np.unique(np.minimum(position, MAX_POSITIONS - 1), return_inverse=True)[1]
    cuts = np.searchsorted(starts, np.linspace(0, starts[-1], min(_BLOCKS, len(data.group)) + 1))
    return Lists(
        grade=data.y.astype(np.float64),
        gain=share,
        position=index.astype(np.int64),
        by_position=np.lexsort((position, query)),
        starts=starts,
        weight=weight / weight.mean(),
        discount=discount,
        blocks=cuts,
    )


def _ideal_dcg(
    gain: Floats,
    query: NDArray[np.int64],
    starts: NDArray[np.int64],
    discount: Floats,
    depth: int,
) -> Floats:
    best_first = np.lexsort((-gain, query))
    rank = np.arange(len(gain)) - starts[query]
    worth = np.where(rank < depth, gain[best_first] * discount[rank], 0.0)
    return np.asarray(np.add.reduceat(worth, starts[:-1]))
