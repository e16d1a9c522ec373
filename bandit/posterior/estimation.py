"""From sums of evidence to the posteriors of all levels: what a snapshot holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ...errors import InvalidInputError
from ..base.contexts import GLOBAL
from ..base.sums import Sums
from .fusion_posterior import KAPPA, FusionPosterior, Level
from .hierarchy import COLD_PRIOR_STRENGTH, Moments, effective, top_posterior, trials
from .linear import LinearPosterior
from .query_level import QueryLevel
from .simplex import HALFWAY, MAX_SHARPNESS, MAX_SLOPE_SHARPNESS, Bounds, sharpness

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .beta import BetaPosterior

Kind = Literal["auto", "beta", "linear"]


def estimate(
    top: Sums,
    segments: Sums | None = None,
    users: Sums | Iterable[Sums] | None = None,
    queries: Sums | None = None,
    *,
    posterior: Kind = "auto",
    floor: float | None = None,
    cap: float | None = None,
    kappa: float = KAPPA,
    halfway: float = HALFWAY,
) -> FusionPosterior:
    """Compute the posteriors of all levels: what a snapshot holds; without exposures the prior.

    `top`: one row, the global context.
    `segments`: with their `contexts`.
    `users`: for how much users differ, all at once or in parts; the sums of one user come with a
    request for weights.
    `queries`: for how much queries differ, likewise; None: there is no query level.
    `posterior`: "auto" is linear where scores as fused were logged.
    `floor`, `cap`: smallest and largest weight, see `Bounds`.
    `kappa`: strength of the long-term success rate within a session, in exposures.
    `halfway`: effective exposures at which the sharpness is half-way.
    Raises InvalidInputError if sums are negative or not finite, if bounds cannot be held, or if
    `posterior` is "linear" and documents were shown of which no scores were logged.

    >>> from rankloom.bandit.base.sums import Sums
    >>> shown, clicks = np.array([[90.0, 90.0]]), np.array([[27.0, 18.0]])
    >>> top = Sums(("bm25", "clip"), ((),), 0, shown, clicks, 0 * shown, shown)
    >>> estimate(top).kind
    'beta'
    >>> estimate(top, floor=0.2, cap=0.6).mean().round(2)
    array([0.6, 0.4])
    """
    for name, sums in (("top", top), ("segments", segments), ("queries", queries)):
        _check(name, sums, len(top.arms))
    bounds = Bounds.of(len(top.arms), floor=floor, cap=cap)
    beta = top_posterior(top)
    linear = _linear_top(top, posterior)
    level = Level(beta, linear)
    return FusionPosterior(
        arms=top.arms,
        levels={GLOBAL: level, **_segment_levels(level, top, segments)},
        gamma=sharpness(float(effective(top).sum()), MAX_SHARPNESS, halfway),
        slope_gamma=sharpness(_scored_exposures(top), MAX_SLOPE_SHARPNESS, halfway),
        bounds=bounds,
        prior_strength=_prior_strength(beta, _checked_parts(users, len(top.arms)), top),
        kappa=kappa,
        query_level=None if queries is None else QueryLevel.estimate(top, queries, beta, linear),
    )


def _linear_top(top: Sums, kind: Kind) -> LinearPosterior | None:
    arms = len(top.arms)
    equal = np.full(arms, 1.0 / arms)
    scored = top.A is not None and top.b is not None and bool(top.A.any())
    if kind == "linear" and not scored:
        if not top.N.any():
            return LinearPosterior.top(equal, np.zeros((arms + 1, arms + 1)), np.zeros(arms + 1))
        msg = (
            "posterior: got 'linear', but no scores as fused were logged. Log them as "
            "metadata.features = {feature_uri: {'score': ...}}, or take posterior='beta'"
        )
        raise InvalidInputError(msg)
    if kind == "beta" or top.A is None or top.b is None or not scored:
        return None
    return LinearPosterior.top(equal, top.A[0], top.b[0])


def _scored_exposures(top: Sums) -> float:
    """Return sum w e over units with scores: the entry of the intercept."""
    return 0.0 if top.A is None else float(top.A[0, -1, -1])


def _segment_levels(
    parent: Level, top: Sums, segments: Sums | None
) -> dict[tuple[str, ...], Level]:
    if segments is None:
        return {}
    if segments.contexts is None:
        msg = "segments.contexts: got None, expected ('segment', *values) for every row"
        raise InvalidInputError(msg)
    k = _prior_strength(parent.beta, [segments], top)
    return {
        context: Level(
            parent.beta.child(segments.N[row], segments.S[row], segments.F[row], k),
            _linear_child(parent.linear, segments, row),
        )
        for row, context in enumerate(segments.contexts)
    }


def _linear_child(
    parent: LinearPosterior | None, segments: Sums, row: int
) -> LinearPosterior | None:
    if parent is None or segments.A is None or segments.b is None:
        return parent
    return parent.child(segments.A[row], segments.b[row])


def _prior_strength(parent: BetaPosterior, children: Iterable[Sums], top: Sums) -> float:
    parts = (Moments.of(parent.mean, part, trials(top)[0]) for part in children)
    return sum(parts, Moments()).strength(COLD_PRIOR_STRENGTH)


def _checked_parts(users: Sums | Iterable[Sums] | None, arms: int) -> Iterator[Sums]:
    parts = [] if users is None else [users] if isinstance(users, Sums) else users
    for part in parts:
        _check("users", part, arms)
        yield part


def _check(name: str, sums: Sums | None, arms: int) -> None:
    if sums is None:
        return
    for part in ("N", "S", "F", "Q"):
        values = getattr(sums, part)
        if values.ndim != 2 or values.shape[1] != arms:
            msg = f"{name}.{part}: got shape {values.shape}, expected (contexts, {arms})"
            raise InvalidInputError(msg)
        if not (np.isfinite(values).all() and (values >= 0).all()):
            msg = f"{name}.{part}: got a negative or non-finite sum; the state is damaged"
            raise InvalidInputError(msg)
    for part, shape in (("A", (arms + 1, arms + 1)), ("b", (arms + 1,))):
        values = getattr(sums, part)
        if values is None:
            continue
        if values.shape[1:] != shape or not np.isfinite(values).all():
            msg = (
                f"{name}.{part}: got shape {values.shape}, expected (contexts, "
                f"{', '.join(map(str, shape))}) and finite sums; the state is damaged"
            )
            raise InvalidInputError(msg)
