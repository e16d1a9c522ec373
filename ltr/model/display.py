"""Pictures of a model: what its trees use, and what each feature adds to scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ..._shared.drawing import (
    Display,
    height_of_rows,
    mark_value,
    name_rows,
    percent,
    style_of,
    wrapped_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MAX_FEATURES: Final = 20


@dataclass
class FeatureImportanceDisplay(Display):
    """Share of each feature in the gain, or in the number, of all splits.

    Parameters
    ----------
    features : tuple of str
        The most important first.
    importance : ndarray of float64, shape (f,)
        As of `Ranker.feature_importances`, all features.
    kind : {"gain", "split"}
    limit : int
        Features that are drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import FeatureImportanceDisplay
    >>> FeatureImportanceDisplay(("price", "age"), np.array([3.0, 1.0]), "gain").shares
    array([0.75, 0.25])
    """

    features: tuple[str, ...]
    importance: Floats
    kind: str
    limit: int = MAX_FEATURES

    @property
    def shares(self) -> Floats:
        """Importance of each feature as a share of all; 0 for a model without splits."""
        return self.importance / max(float(self.importance.sum()), 1e-300)

    def _height(self) -> float:
        return height_of_rows(min(len(self.features), self.limit))

    def _draw(self, ax: Axes) -> None:
        shares, names = self.shares[: self.limit], self.features[: self.limit]
        ax.barh(np.arange(len(shares)), shares, color=style_of(0).color)
        name_rows(ax, names)
        percent(ax, "x")
        what = "the gain" if self.kind == "gain" else "the number"
        ax.set(xlabel=f"share of {what} of all splits")
        left = len(self.features) - len(names)
        if left:
            wrapped_title(ax, f"{left:,} more have {1 - shares.sum():.1%} together")


@dataclass
class ContributionsDisplay(Display):
    """What each feature adds to the scores of documents, by exact TreeSHAP values.

    For one document the bar is what the feature adds. For several: the median (mark), the middle
    half (thick) and the middle 90 % (thin) of the documents.

    Parameters
    ----------
    features : tuple of str
    contributions : ndarray of float64, shape (n, f)
        Rows are documents; with `expected` each sums to the document's score.
    expected : float
        The mean score of the training data, which a document starts from.
    limit : int
        Features that are drawn: those of the largest mean absolute contribution.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from rankloom.ltr import ContributionsDisplay
    >>> display = ContributionsDisplay(("a", "b"), np.array([[0.1, -0.4], [0.1, 0.4]]), 0.0)
    >>> display.largest
    array([1, 0])
    """

    features: tuple[str, ...]
    contributions: Floats
    expected: float
    limit: int = MAX_FEATURES

    @property
    def largest(self) -> NDArray[np.int64]:
        """Columns of the features that are drawn, the largest first."""
        size = np.abs(self.contributions).mean(axis=0)
        return np.asarray(np.argsort(-size, kind="stable")[: self.limit])

    def _height(self) -> float:
        return height_of_rows(min(len(self.features), self.limit) + 1)

    def _draw(self, ax: Axes) -> None:
        columns, style = self.largest, style_of(0)
        rows = np.arange(len(columns))
        ends = np.quantile(self.contributions[:, columns], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        mark_value(ax, 0.0, "x")
        n = len(self.contributions)
        if n == 1:
            ax.barh(rows, ends[2], height=0.5, color=style.color)
        ax.hlines(rows, ends[0], ends[4], color=style.color, linewidth=1.5)
        ax.hlines(rows, ends[1], ends[3], color=style.color, linewidth=5)
        ax.plot(ends[2], rows, marker="o", linestyle="none", color="black")
        name_rows(ax, [self.features[column] for column in columns])
        ax.set(xlabel="added to the score")
        if n == 1:
            score = float(self.contributions.sum()) + self.expected
            wrapped_title(ax, f"Score {score:.3f}, of which {self.expected:.3f} is expected")
        else:
            wrapped_title(ax, f"Median, middle half and middle 90% of {n:,} documents")
