"""Counts of parts of a log, as the counts of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInputError
from .cells import sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .click_counts import ClickCounts


def merged_counts(parts: Sequence[ClickCounts]) -> ClickCounts:
    """Return what `click_counts` counts in all parts together.

    Parameters
    ----------
    parts : sequence of ClickCounts, at least one
        Of pairs that share codes of queries and documents, and of whole executions; each with the
        same states, and `row` in one numbering of all rows. A document has its last row.

    Raises
    ------
    InvalidInputError
        If the parts have different states.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import numpy as np
    >>> from rankloom.datasets import load_pairs, simulate_interactions
    >>> from rankloom.datasets.counts.click_counts import click_counts
    >>> from rankloom.datasets.counts.merged_counts import merged_counts
    >>> pairs = load_pairs(simulate_interactions(n_executions=100, random_state=0))
    >>> early, late = (click_counts(pairs.take(part)) for part in np.split(np.arange(100), [60]))
    >>> late = replace(late, row=late.row + int(pairs.offsets[60]))
    >>> counts = merged_counts([early, late])
    >>> float(counts.shown.sum()), bool((counts.row == click_counts(pairs).row).all())
    (1000.0, True)
    """
    first = parts[0]
    if any((part.states, part.by) != (first.states, first.by) for part in parts):
        kinds = sorted({f"{part.states} by {part.by}" for part in parts})
        msg = f"parts: expected counts of the same states, got {', '.join(kinds)}"
        raise InvalidInputError(msg)
    values = tuple(sorted({value for part in parts for value in part.values}))
    largest = max(parts, key=lambda part: part.n_positions)
    per_value = largest.states_per_value
    key, document = np.unique(
        np.concatenate([part.key[part.document] for part in parts]), return_inverse=True
    )
    state = np.concatenate([_states(part, values, per_value) for part in parts])
    n_states = per_value * len(values)
    cells, index = np.unique(document * n_states + state, return_inverse=True)
    number, cell_state = np.divmod(cells, n_states)
    row = np.full(len(key), -1, np.int64)
    for part in parts:
        np.maximum.at(row, np.searchsorted(key, part.key), part.row)

    def total(name: str) -> NDArray[np.float64]:
        return sum_by(index, np.concatenate([getattr(part, name) for part in parts]), len(cells))

    return replace(
        first,
        document=number,
        state=cell_state,
        shown=total("shown"),
        clicks=total("clicks"),
        offsets=np.searchsorted(number, np.arange(len(key) + 1)),
        row=row,
        key=key,
        values=values,
        position_of_state=np.tile(largest.position_of_state[:per_value], len(values)),
        n_positions=largest.n_positions,
    )


def _states(part: ClickCounts, values: tuple[str, ...], per_value: int) -> NDArray[np.int64]:
    """Return the state of every cell where there are more values of context, or positions."""
    number, state = np.divmod(part.state, part.states_per_value)
    codes = np.array([values.index(value) for value in part.values], np.int64)
    return np.asarray(codes[number] * per_value + state)
