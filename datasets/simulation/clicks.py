"""How simulated readers examine and click: the truth that estimates are compared with.

Every model exists twice: as a closed form (`click_probability`) and as a sampler
(`sample_clicks`), so that a test can compare frequencies with probabilities. Ranks
k = position + 1 appear in the formulas only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Floats: TypeAlias = NDArray[np.float64]
ClickFunction: TypeAlias = Callable[[Floats, Floats, np.random.Generator], "ArrayLike"]
ClickModel: TypeAlias = str | ClickFunction
Satisfaction: TypeAlias = Callable[[Floats], Floats]

CLICK_MODELS = ("pbm", "trust", "cascade", "dbn", "random", "last")
WITHOUT_CURVE = ("cascade", "dbn", "random", "last")
"""Click models without an examination curve."""

RANDOM_CLICK = 0.15
LAST_CLICK = 0.5
DBN_ABANDONS = 0.1


def relevance_of_grade(grade: ArrayLike, *, max_grade: int | None = None) -> Floats:
    """Return the relevance in [0, 1] of a grade: (2^grade - 1) / (2^max_grade - 1).

    Parameters
    ----------
    grade : array-like of int
        Grades >= 0.
    max_grade : int, optional
        The grade that is fully relevant; the highest one present by default.

    Examples
    --------
    >>> relevance_of_grade([0, 1, 2]).round(3).tolist()
    [0.0, 0.333, 1.0]
    """
    grades = np.asarray(grade, dtype=np.float64)
    top = float(grades.max(initial=0)) if max_grade is None else float(max_grade)
    if grades.size and (grades.min() < 0 or grades.max() > top):
        msg = f"grade: expected values from 0 to {top:g}, got {grades.min():g} to {grades.max():g}"
        raise InvalidInputError(msg)
    relevance: Floats = (np.exp2(grades) - 1) / max(2.0**top - 1, 1.0)
    return relevance


def true_examination(
    n_positions: int = 10, examination: float | ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the probability that each position is examined in a simulation.

    Parameters
    ----------
    n_positions : int
        Length of the curve.
    examination : array-like of float, or float, optional
        What `simulate_interactions` was given: None for 1 / rank, a number eta for rank^-eta, or
        the probabilities themselves (the last one holds beyond them).

    Returns
    -------
    ndarray of float64, shape (n_positions,)
        Estimators give it relative to position 0: divide by the first value if it is not 1.

    Raises
    ------
    InvalidInputError
        If a probability is outside [0, 1].

    Examples
    --------
    >>> true_examination(4).round(3).tolist()
    [1.0, 0.5, 0.333, 0.25]
    >>> true_examination(4, 0.5).round(3).tolist()
    [1.0, 0.707, 0.577, 0.5]
    >>> true_examination(4, [1.0, 0.6]).tolist()
    [1.0, 0.6, 0.6, 0.6]
    """
    if examination is None:
        examination = 1.0
    given = np.asarray(examination, dtype=np.float64)
    if given.ndim == 0:
        curve: Floats = np.arange(1, n_positions + 1, dtype=np.float64) ** -float(given)
    elif given.ndim == 1 and given.size:
        curve = given[np.minimum(np.arange(n_positions), given.size - 1)]
    else:
        msg = f"examination: expected a number or a flat array, got shape {given.shape}"
        raise InvalidInputError(msg)
    if not ((curve >= 0) & (curve <= 1)).all():
        msg = f"examination: expected probabilities in [0, 1], got {curve.tolist()}"
        raise InvalidInputError(msg)
    return curve


def trust(n_positions: int) -> tuple[Floats, Floats]:
    """Return P(click | examined, relevant) and P(click | examined, irrelevant) by position."""
    rank = np.arange(1, n_positions + 1, dtype=np.float64)
    return 1 - np.minimum(rank, 20) / 100, 0.65 / rank


def click_probability(
    relevance: ArrayLike,
    *,
    click_model: str = "pbm",
    examination: float | ArrayLike | None = None,
    attractiveness: tuple[float, float] = (0.1, 1.0),
) -> NDArray[np.float64]:
    """Return the probability of a click on every document of a list, in closed form.

    With rank k, examination e_k, relevance r and attractiveness a = low + (high - low) r:

    - ``"pbm"``: e_k a;
    - ``"trust"``: e_k (t_k r + f_k (1 - r)) with t_k = 1 - min(k, 20) / 100, f_k = 0.65 / k
      (Agarwal et al., "Addressing trust bias for unbiased learning-to-rank", WWW 2019);
    - ``"cascade"``: the reader goes down from the top, clicks with a, and stops at the first click
      (Craswell et al., "An experimental comparison of click position-bias models", WSDM 2008);
    - ``"dbn"``: the reader goes down from the top, clicks with a, stops after a click with
      0.2 + 0.7 r and after every result with 0.1 (Chapelle and Zhang, "A dynamic Bayesian network
      click model for web search ranking", WWW 2009);
    - ``"random"``: 0.15 everywhere; ``"last"``: 0.5 on the last document of the list, else 0.

    Of ``"cascade"`` and ``"dbn"`` it is the marginal probability, over all clicks above.

    Parameters
    ----------
    relevance : array-like of float, shape (..., positions)
        Relevance in [0, 1] of the shown documents, top first; NaN beyond the end of a short list.
    click_model : {"pbm", "trust", "cascade", "dbn", "random", "last"}
    examination : array-like of float, or float, optional
        As in `true_examination`; shape (..., positions) is taken as it is.
    attractiveness : (float, float)
        Probability of a click on an examined document of relevance 0 and of relevance 1
        (``"pbm"``, ``"cascade"`` and ``"dbn"``).

    Returns
    -------
    ndarray of float64, the shape of `relevance`
        NaN beyond the end of a short list.

    Examples
    --------
    >>> click_probability([1.0, 0.0, 1.0]).round(4).tolist()
    [1.0, 0.05, 0.3333]
    >>> click_probability([1.0, 0.0, 1.0], click_model="trust").round(4).tolist()
    [0.99, 0.1625, 0.3233]
    >>> click_probability([0.5, 0.0, 1.0], click_model="cascade").round(4).tolist()
    [0.55, 0.045, 0.405]
    >>> click_probability([1.0, 0.0, 1.0], click_model="dbn").round(4).tolist()
    [1.0, 0.009, 0.0794]
    """
    r = np.asarray(relevance, dtype=np.float64)
    check_click_model(click_model)
    if click_model in SEQUENTIAL:
        return _sequential_probability(r, attractiveness, *SEQUENTIAL[click_model])
    if click_model == "random":
        return np.where(np.isnan(r), np.nan, RANDOM_CLICK)
    if click_model == "last":
        return _last_probability(r)
    e = _curves(examination, r)
    if click_model == "trust":
        relevant, irrelevant = trust(r.shape[-1])
        return e * (relevant * r + irrelevant * (1 - r))
    return e * _attractiveness(r, attractiveness)


def sample_clicks(
    click_model: ClickModel,
    relevance: Floats,
    examination: Floats,
    attractiveness: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Draw the clicks on lists; relevance and examination have shape (lists, positions)."""
    if callable(click_model):
        clicks = np.asarray(click_model(relevance, examination, rng))
        if clicks.shape != relevance.shape or clicks.dtype != np.bool_:
            msg = (
                f"click_model: the function must return booleans of shape {relevance.shape}, "
                f"got {clicks.dtype} of shape {clicks.shape}"
            )
            raise InvalidInputError(msg)
        return clicks & ~np.isnan(relevance)
    if click_model in SEQUENTIAL:
        return _sample_sequential(relevance, attractiveness, *SEQUENTIAL[click_model], rng)
    probability = click_probability(
        relevance,
        click_model=click_model,
        examination=examination,
        attractiveness=attractiveness,
    )
    return rng.random(relevance.shape) < probability


def check_click_model(click_model: ClickModel) -> None:
    """Raise unless the click model is a function or a known name."""
    if callable(click_model) or click_model in CLICK_MODELS:
        return
    msg = (
        f"click_model: got {click_model!r}, expected a function or one of "
        f"{', '.join(CLICK_MODELS)}.{did_you_mean(str(click_model), CLICK_MODELS)}"
    )
    raise InvalidInputError(msg)


def _curves(examination: float | ArrayLike | None, relevance: Floats) -> Floats:
    given = None if examination is None else np.asarray(examination, dtype=np.float64)
    if given is not None and given.ndim > 1:
        return given
    return true_examination(relevance.shape[-1], given)


def _attractiveness(relevance: Floats, bounds: tuple[float, float]) -> Floats:
    low, high = bounds
    if not 0 <= low <= high <= 1:
        msg = f"attractiveness: expected 0 <= low <= high <= 1, got {bounds}"
        raise InvalidInputError(msg)
    return low + (high - low) * relevance


def _last_probability(relevance: Floats) -> Floats:
    shown = ~np.isnan(relevance)
    beyond = np.concatenate([shown[..., 1:], np.zeros_like(shown[..., :1])], axis=-1)
    return np.where(shown, LAST_CLICK * ~beyond, np.nan)


def _sequential_probability(
    relevance: Floats, bounds: tuple[float, float], satisfaction: Satisfaction, abandons: float
) -> Floats:
    click = _attractiveness(relevance, bounds)
    goes_on = (1 - click * satisfaction(relevance)) * (1 - abandons)
    examined = np.ones_like(relevance)
    examined[..., 1:] = np.cumprod(goes_on[..., :-1], axis=-1)
    return examined * click


def _sample_sequential(
    relevance: Floats,
    bounds: tuple[float, float],
    satisfaction: Satisfaction,
    abandons: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    click = _attractiveness(relevance, bounds)
    clicks = np.zeros(relevance.shape, dtype=np.bool_)
    reading = np.ones(len(relevance), dtype=np.bool_)
    for position in range(relevance.shape[1]):
        clicked = reading & (rng.random(len(reading)) < click[:, position])
        satisfied = rng.random(len(reading)) < satisfaction(relevance[:, position])
        clicks[:, position] = clicked
        reading &= ~(clicked & satisfied) & (rng.random(len(reading)) >= abandons)
    return clicks


def _dbn_satisfaction(relevance: Floats) -> Floats:
    return 0.2 + 0.7 * relevance


SEQUENTIAL: dict[str, tuple[Satisfaction, float]] = {
    "cascade": (np.ones_like, 0.0),
    "dbn": (_dbn_satisfaction, DBN_ABANDONS),
}
"""Click model -> P(stop | click) by relevance, and P(stop) after every result."""
