"""The examination curve over time, where the log of a time identifies one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ...datasets.position_bias.estimator import PositionBias
from ...errors import InvalidInputError, NotIdentifiableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..searches.searches import Searches
    from ..statistics.periods import Periods

MAX_CURVES: Final = 12
"""More periods are joined into as many blocks, because a curve needs many searches."""

SCHEMA: Final[dict[str, pl.DataType]] = {
    "from": pl.Datetime("us"),
    "until": pl.Datetime("us"),
    "position": pl.Int64(),
    "examination": pl.Float64(),
    "lower": pl.Float64(),
    "upper": pl.Float64(),
}


def curve_table(
    searches: Searches, periods: Periods, confidence: float, n_bootstrap: int
) -> tuple[pl.DataFrame, list[str]]:
    """Return the curve of every block of periods, and why there is none of the others."""
    block = _blocks(len(periods))
    of_search = block[periods.of(searches.time.astype(np.int64))]
    frames, failures = [pl.DataFrame(schema=SCHEMA)], {}
    for number in range(int(block.max()) + 1):
        first, last = np.flatnonzero(block == number)[[0, -1]]
        limits = _limits(periods, int(first), int(last))
        try:
            bias = PositionBias(confidence=confidence, n_bootstrap=n_bootstrap)
            curve = _fitted(bias, searches.select((of_search == number) & searches.exposed))
        except (NotIdentifiableError, InvalidInputError) as error:
            failures[limits[0]] = str(error).split(" Ways out:")[0].split(". ")[0]
            continue
        frames.append(_table(curve, limits))
    return pl.concat(frames), _notes(failures, int(block.max()) + 1)


def _blocks(periods: int) -> NDArray[np.int64]:
    """Return the block of every period: one each, or as many as there may be, about equal."""
    if periods <= MAX_CURVES:
        return np.arange(periods)
    return np.arange(periods) * MAX_CURVES // periods


def _limits(periods: Periods, first: int, last: int) -> tuple[Any, Any]:
    ends = pl.Series([periods.start[first], periods.start[last] + periods.length])
    start, end = ends.cast(pl.Datetime("us")).to_list()
    return start, end


def _fitted(bias: PositionBias, searches: Searches) -> PositionBias:
    """Fit a curve on swaps, or with the features that the log was read with.

    The score alone is no such feature: learning from it costs seconds for every time, and adds
    little to swaps.
    """
    if not len(searches):
        msg = "no search says what was shown"
        raise NotIdentifiableError(msg)
    pairs = searches.pairs()
    if searches.features is None:
        pairs.X, pairs.feature_names = pairs.X[:, :0], ()
    return bias.fit(pairs)


def _table(bias: PositionBias, limits: tuple[Any, Any]) -> pl.DataFrame:
    n = len(bias.examination_)
    return pl.DataFrame(
        {
            "from": [limits[0]] * n,
            "until": [limits[1]] * n,
            "position": np.arange(n),
            "examination": bias.examination_,
            "lower": bias.lower_,
            "upper": bias.upper_,
        },
        schema=SCHEMA,
    )


def _notes(failures: dict[Any, str], blocks: int) -> list[str]:
    if not failures:
        return []
    first, reason = next(iter(failures.items()))
    share = f"{len(failures)} of {blocks} times"
    return [f"{share} have no examination curve; the one from {first:%Y-%m-%d}: {reason}"]
