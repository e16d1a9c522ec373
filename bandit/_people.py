"""Users and sessions of a service, read from the store at every request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .posterior import GLOBAL, ArmSums

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from .store import Store
    from .weights import FusionWeights


def read_people(
    store: Store,
    weights: FusionWeights,
    user_id: str | None,
    session_id: str | None,
    now: dt.datetime | int | None,
) -> tuple[ArmSums | None, ArmSums | None]:
    """Return the sums of a user, without those of the session, and of a session.

    What the session's units contributed to the snapshot's global and segment posteriors stays in
    there: that is one session among all.

    Raises
    ------
    StoreError
        If the store is away.
    """
    user = None if user_id is None else store.user_sums(user_id, time=weights.time)
    session = None if session_id is None else store.session_sums(session_id, now=now)
    arms = weights.feature_uris
    own = None if user is None else _aligned(user, arms, 0)
    if session is None or not session.units:
        return own, None
    if own is not None and user_id is not None and session_id is not None:
        contexts = [GLOBAL, ("user", user_id)]
        counted = store.session_sums(session_id, now=now, contexts=contexts, time=weights.time)
        if counted is not None and counted.own is not None:
            part = _aligned(counted.own, arms, 1)
            own = ArmSums(*(np.maximum(a - b, 0.0) for a, b in zip(own, part, strict=True)))
    return own, _aligned(session, arms, None)


def _aligned(sums: Any, arms: tuple[str, ...], row: int | None) -> ArmSums:
    """Return sums in the order of the snapshot's arms, 0 for those that the store does not know."""
    places = {arm: place for place, arm in enumerate(sums.arms)}
    parts = (sums.N, sums.S, sums.F)
    return ArmSums(*(_picked(part if row is None else part[row], places, arms) for part in parts))


def _picked(
    values: NDArray[np.float64], places: dict[str, int], arms: tuple[str, ...]
) -> NDArray[np.float64]:
    return np.array([values[places[arm]] if arm in places else 0.0 for arm in arms])
