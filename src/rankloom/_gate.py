"""The rule of both gates, of rankers and of fusion weights: a bound has to lie above a limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Required:
    """What is required of one metric.

    Attributes
    ----------
    bound : float or None
        None where the log cannot tell it.
    limit : float
    relative : bool
        Whether both speak of the relative gain.

    Examples
    --------
    >>> Required(0.02, 0.0, relative=False).met
    True
    >>> Required(None, -0.01, relative=True).reason
    'the bound of the relative gain must lie above -1.0%, but the log tells none'
    """

    bound: float | None
    limit: float
    relative: bool

    @property
    def met(self) -> bool:
        """Whether the bound lies above the limit."""
        return self.bound is not None and self.bound > self.limit

    @property
    def reason(self) -> str:
        """What is required and what there is."""
        form, of = ("+.1%", "relative gain") if self.relative else ("+.4f", "gain")
        got = "the log tells none" if self.bound is None else f"it is {self.bound:{form}}"
        return f"the bound of the {of} must lie above {self.limit:{form}}, but {got}"
