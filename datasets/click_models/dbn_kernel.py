"""Expectations of the dynamic Bayesian network, execution by execution.

Down to the last click everything was examined, no click but perhaps the last one satisfied, and
the reader went on. Below the last click nothing was clicked: the rows were not examined, or did
not attract; one pass up and one down give the probabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._shared.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def expect(
    offsets: NDArray[np.int64],
    document: NDArray[np.int32],
    value: NDArray[np.int64],
    clicked: NDArray[np.bool_],
    weight: NDArray[np.float32],
    of_document: NDArray[np.float64],
    attracts: NDArray[np.float64],
    satisfies: NDArray[np.float64],
    goes_on: NDArray[np.float64],
    documents: NDArray[np.float64],
    values: NDArray[np.float64],
) -> None:
    """Add up what a step of expectation-maximisation divides.

    `offsets`, `document`, `value`, `clicked`, `weight`: as in `Sessions`, the former two of some
        executions. A row's weight in `values` is its own times `of_document`, shape (m,).
    `documents`, shape (4, m): receives clicks, examinations, satisfactions, and clicks that could
        have satisfied.
    `values`, shape (2, v): receives how often readers went on, and how often they could have.
    Shapes: `attracts`, `satisfies` (m,); `goes_on` (v,).
    """
    quiet = np.empty(1)
    for execution in range(len(offsets) - 1):
        start, end = offsets[execution], offsets[execution + 1]
        v = value[execution]
        gamma = float(goes_on[v])
        if end - start > len(quiet):
            quiet = np.empty(2 * (end - start))
        last = end - 1
        while last >= start and not clicked[last]:
            last -= 1
        _down_to(start, last, document, v, clicked, weight, of_document, documents, values)
        if last == end - 1:
            continue  # without a row below it, the last click may have satisfied or not
        _quiet(last + 1, end, start, document, gamma, attracts, quiet)
        examined = 1.0
        if last >= start:
            d = document[last]
            stays = (1 - satisfies[d]) * gamma * quiet[last + 1 - start]
            total = satisfies[d] + (1 - satisfies[d]) * (1 - gamma) + stays
            documents[2, d] += weight[last] * satisfies[d] / total
            documents[3, d] += weight[last]
            examined = stays / total
            values[0, v] += weight[last] * of_document[d] * examined
            values[1, v] += weight[last] * of_document[d] * (1 - satisfies[d] / total)
        for row in range(last + 1, end):
            documents[1, document[row]] += weight[row] * examined
            if row < end - 1:
                value_weight = weight[row] * of_document[document[row]]
                onward = gamma * quiet[row + 1 - start]
                values[1, v] += value_weight * examined
                examined *= onward / (onward + 1 - gamma)
                values[0, v] += value_weight * examined


@kernel
def _down_to(
    start: np.int64,
    last: np.int64,
    document: NDArray[np.int32],
    value: np.int64,
    clicked: NDArray[np.bool_],
    weight: NDArray[np.float32],
    of_document: NDArray[np.float64],
    documents: NDArray[np.float64],
    values: NDArray[np.float64],
) -> None:
    """Add up the rows down to the last click, all of them examined."""
    for row in range(start, last + 1):
        documents[1, document[row]] += weight[row]
        if clicked[row]:
            documents[0, document[row]] += weight[row]
        if row < last:
            if clicked[row]:
                documents[3, document[row]] += weight[row]
            value_weight = weight[row] * of_document[document[row]]
            values[0, value] += value_weight
            values[1, value] += value_weight


@kernel
def _quiet(
    first: np.int64,
    end: np.int64,
    start: np.int64,
    document: NDArray[np.int32],
    gamma: float,
    attracts: NDArray[np.float64],
    quiet: NDArray[np.float64],
) -> None:
    """Fill in P(no click from a row to the end | the row is examined), from the end upwards."""
    below = 1.0
    for row in range(end - 1, first - 1, -1):
        if row < end - 1:
            below = gamma * quiet[row + 1 - start] + 1 - gamma
        quiet[row - start] = (1 - attracts[document[row]]) * below
