"""The weights that one request was served, with all that must be logged with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .traffic_split import PolicyName


class Served(dict[str, float]):
    """Weights by feature_uri, and how they came about.

    A dict, ready for `fuse`. Log `to_metadata()` with the interactions that follow: credit goes by
    the weights that were served, and weights can be judged offline only where the policy and its
    propensity are known.

    Attributes
    ----------
    policy : {"learned", "prior", "production", "control", "explore", "shadow", "fallback"}
        "learned": sampled from the posterior; "prior": the same before there is any evidence;
        "production": outside the roll-out; "control": equal weights; "explore": uniform over all
        weights, with density (arms - 1)! everywhere; "shadow": production weights, see `shadow`;
        "fallback": equal weights, because no snapshot could be loaded.
    propensity : float
        Share of all users who get this policy.
    snapshot_id : str or None
        The posterior behind the weights; None where they come from none.
    salt : str
        Of the fixed noise.
    randomised_by : str
        Whose noise it was: "session", "user", "execution", or "draw:" and the key of a single draw.
    shadow : dict of str to float, or None
        In shadow mode the weights that would have been served; None where `NoExposuresError` would
        have been raised.

    Examples
    --------
    >>> served = Served({"bm25": 0.5, "clip": 0.5}, policy="control", propensity=0.05)
    >>> served["bm25"], served.policy
    (0.5, 'control')
    >>> served.to_metadata()["fusion"]["weights"]
    {'bm25': 0.5, 'clip': 0.5}
    """

    __slots__ = ("policy", "propensity", "randomised_by", "salt", "shadow", "snapshot_id")

    def __init__(
        self,
        weights: Mapping[str, float],
        *,
        policy: PolicyName = "learned",
        propensity: float = 1.0,
        snapshot_id: str | None = None,
        salt: str = "",
        randomised_by: str = "",
        shadow: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(weights)
        self.policy, self.propensity, self.snapshot_id = policy, propensity, snapshot_id
        self.salt, self.randomised_by = salt, randomised_by
        self.shadow = None if shadow is None else dict(shadow)

    @property
    def weights(self) -> dict[str, float]:
        """The weights alone."""
        return dict(self)

    def to_metadata(self) -> dict[str, Any]:
        """Return what belongs into the ``metadata`` of the interactions, ready for JSON.

        Add the channels' scores as fused, as ``metadata["features"]``.
        """
        fusion: dict[str, Any] = {
            "weights": dict(self),
            "policy": self.policy,
            "propensity": self.propensity,
            "snapshot_id": self.snapshot_id,
            "salt": self.salt,
            "noise_of": self.randomised_by,  # the logged name is that of the first version
        }
        if self.shadow is not None:
            fusion["shadow"] = dict(self.shadow)
        return {"fusion": fusion}

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        by = f", randomised by {self.randomised_by}" if self.randomised_by else ""
        return Summary(
            f"Served: policy {self.policy}, propensity {self.propensity:g}{by}",
            [Table.of(["feature_uri", "weight"], self.items())],
            [] if self.snapshot_id is None else [f"snapshot {self.snapshot_id}"],
        )
