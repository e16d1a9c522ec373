"""The weights that one request was served, with all that must be logged beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._policy import PolicyName


class Served(dict[str, float]):
    """Weights by feature_uri, and how they came about.

    A dict, ready for `fuse`. Log `to_metadata()` with the interactions that follow: credit goes by
    the weights that were served, and weights can be judged offline only where the policy and its
    propensity are known.

    Attributes
    ----------
    policy : {"learned", "production", "control", "explore", "shadow", "fallback"}
        "learned": drawn from the posterior; "production": outside the roll-out; "control": equal
        weights; "explore": uniform over all weights, with density (arms - 1)! everywhere;
        "shadow": production weights, see `shadow`; "fallback": equal weights, because no snapshot
        could be loaded.
    propensity : float
        Share of all users who get this policy.
    snapshot_id : str or None
        The posterior behind the weights; None where there is none yet.
    salt : str
        Of the fixed noise.
    noise_of : str
        Whose noise it was: "session", "user", "execution", or "draw:" and the key of a single draw.
    shadow : dict of str to float, or None
        In shadow mode the weights that would have been served; None where nothing is learnt yet.

    Examples
    --------
    >>> served = Served({"bm25": 0.5, "clip": 0.5}, policy="control", propensity=0.05)
    >>> served["bm25"], served.policy
    (0.5, 'control')
    >>> served.to_metadata()["fusion"]["weights"]
    {'bm25': 0.5, 'clip': 0.5}
    """

    __slots__ = ("noise_of", "policy", "propensity", "salt", "shadow", "snapshot_id")

    def __init__(
        self,
        weights: Mapping[str, float],
        *,
        policy: PolicyName = "learned",
        propensity: float = 1.0,
        snapshot_id: str | None = None,
        salt: str = "",
        noise_of: str = "",
        shadow: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(weights)
        self.policy, self.propensity, self.snapshot_id = policy, propensity, snapshot_id
        self.salt, self.noise_of = salt, noise_of
        self.shadow = None if shadow is None else dict(shadow)

    @property
    def weights(self) -> dict[str, float]:
        """The weights alone."""
        return dict(self)

    def to_metadata(self) -> dict[str, Any]:
        """Return what belongs into the ``metadata`` of the interactions, ready for JSON.

        Put the channels' scores as fused beside it, as ``metadata["features"]``.
        """
        facts: dict[str, Any] = {
            "weights": dict(self),
            "policy": self.policy,
            "propensity": self.propensity,
            "snapshot_id": self.snapshot_id,
            "salt": self.salt,
            "noise_of": self.noise_of,
        }
        if self.shadow is not None:
            facts["shadow"] = dict(self.shadow)
        return {"fusion": facts}
