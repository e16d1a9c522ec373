"""What a running session adds to the long-term success rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

KAPPA: Final = 50.0
"""Worth of the long-term success rate within a session, in exposures."""


def session_theta(theta: Floats, N: Floats, S: Floats, F: Floats, kappa: float = KAPPA) -> Floats:
    """Return the success rates that a session sees; shape (arms,).

    Parameters
    ----------
    theta : ndarray of float64, shape (arms,)
        Long-term success rates, from evidence without this session's.
    N, S, F : ndarray of float64, shape (arms,)
        Exposures, successes and negative rewards of the session, see `Sums`.
    kappa : float
        Positive. The larger, the less a session moves.

    Notes
    -----
    theta_s = (kappa theta + S_s) / (kappa + N_s + F_s): the mean of the Beta posterior whose prior
    has the mean theta and the strength kappa. A negative reward counts as one more trial without
    success. An arm without evidence keeps its theta bit for bit.

    Examples
    --------
    >>> import numpy as np
    >>> theta, none = np.array([0.2, 0.2]), np.zeros(2)
    >>> session_theta(theta, N=np.array([1.0, 0.0]), S=np.array([1.0, 0.0]), F=none, kappa=9.0)
    array([0.28, 0.2 ])
    """
    own = N + F
    moved = (kappa * theta + S) / (kappa + own)
    return np.where((own > 0) | (S > 0), moved, theta)
