"""The settings behind some evidence, in the form in which a new one takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .rewards import DEFAULT_REWARDS

if TYPE_CHECKING:
    from .identity import Identity


def settings_of(identity: Identity) -> dict[str, Any]:
    """Return keyword arguments of `Evidence` or `FusionBandit` that give the same identity.

    Examples
    --------
    >>> from rankloom.bandit import Evidence
    >>> evidence = Evidence(["bm25"], half_life=30.0, rewards={"click": 2.0, "skip": 0.0})
    >>> same = Evidence(["clip"], **settings_of(evidence.identity))
    >>> same.identity == evidence.identity
    True
    """
    # A default type that was given the reward 0 is not among those of the identity.
    rewards = {**dict.fromkeys(map(str, DEFAULT_REWARDS), 0.0), **dict(identity.rewards)}
    return {
        "half_life": identity.half_life,
        "rewards": rewards,
        "examination": identity.examination,
        "credit": identity.credit,
        "segment_by": identity.segment_by,
        "retriever_id": identity.retriever_id,
    }
