"""Why weights are what they are, for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Self

from ..._shared.summary import Summary, Table
from ..._shared.summary_html import summary_html
from ..base.contexts import GLOBAL
from ..interactions.live_event import query_text
from ..posterior.fusion_posterior import session_theta

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ..base.contexts import Context
    from ..base.sums import QuerySums
    from ..interactions.live_event import Query
    from ..sessions.session_sums import PersonalSums
    from .posterior_snapshot import PosteriorSnapshot
    from .traffic_split import PolicyName


@dataclass(frozen=True)
class ArmExplanation:
    """What is known of one channel, at the lowest level that has evidence of its own.

    Attributes
    ----------
    feature_uri : str
    weight : float
        At the posterior mean.
    success_rate : float
        Posterior mean, the session's part included.
    strength : float
        Exposures that the posterior is worth, the levels above included.
    exposures, successes, negatives : float
        Decayed sums of the level: N, S and F of `Sums`.
    slope : float or None
        What a score of this channel is worth given the others; None without scores as fused.
    """

    feature_uri: str
    weight: float
    success_rate: float
    strength: float
    exposures: float
    successes: float
    negatives: float
    slope: float | None


@dataclass(frozen=True)
class Explanation:
    """Why these weights; print it.

    Attributes
    ----------
    level : {"global", "segment", "query", "user"}
        The lowest level that has evidence of its own.
    context : tuple of str
        Of that level; ``()`` is global.
    posterior : {"beta", "linear"}
    arms : tuple of ArmExplanation
    sharpness : float
        Exponent gamma of the success rates.
    prior_strength : float
        Exposures that the level above is worth to a user, or to a query where `level` says so.
    session_units : int
        Documents of the session that move the weights beyond the long-term ones.
    query_exposures : float
        Examined documents of the query that move the weights away from those of the level above.
    policy : str
        What `sample` would serve.
    snapshot_id : str
    notes : tuple of str
        What is remarkable about the scores that were logged.
    """

    level: Literal["global", "segment", "query", "user"]
    context: tuple[str, ...]
    posterior: Literal["beta", "linear"]
    arms: tuple[ArmExplanation, ...]
    sharpness: float
    prior_strength: float
    session_units: int
    policy: PolicyName
    snapshot_id: str
    notes: tuple[str, ...] = ()
    query_exposures: float = 0.0

    @classmethod
    def of(
        cls,
        snapshot: PosteriorSnapshot,
        personal: PersonalSums,
        user_id: str | None,
        segment: Context,
        query: Query | None,
        *,
        assigned: PolicyName,
        snapshot_id: str,
    ) -> Self:
        """Return why a posterior gives the weights that it gives."""
        posterior = snapshot.posterior
        level = snapshot.level_of(segment, personal)
        contexts: dict[str, Context] = {
            "global": GLOBAL,
            "segment": segment,
            "query": ("query", "" if query is None else query_text(query)),
            "user": ("user", user_id or ""),
        }
        return cls(
            level=level,
            context=contexts[level],
            posterior=posterior.kind,
            arms=_arms(snapshot, personal, segment),
            sharpness=posterior.gamma,
            prior_strength=posterior.query_strength
            if level == "query"
            else posterior.prior_strength,
            session_units=personal.session_units,
            policy=assigned if posterior.has_evidence or assigned != "learned" else "prior",
            snapshot_id=snapshot_id,
            notes=snapshot.notes,
            query_exposures=0.0 if personal.query is None else _exposures(personal.query),
        )

    def __str__(self) -> str:
        notes = (f"note: {note}" for note in self.notes)
        return "\n".join([*self._head(), *self._table(), *notes])

    def _head(self) -> list[str]:
        where = " ".join(self.context) or "global"
        exposures = sum(arm.exposures for arm in self.arms)
        lines = [
            f"weights of snapshot {self.snapshot_id}, {self.posterior} posterior",
            f"level: {where}, with {exposures:,.1f} exposures of its own"
            if self.context
            else f"level: global, with {exposures:,.1f} exposures",
            f"sharpness: success rates to the power of {self.sharpness:.2f}",
        ]
        if self.level in {"user", "query"}:
            worth = f"{self.prior_strength:.0f} exposures"
            lines.append(f"prior strength: the level above is worth {worth}")
        if self.query_exposures and self.level != "query":
            lines.append(f"query: {self.query_exposures:,.1f} documents examined for it move it")
        if self.session_units:
            lines.append(f"session: {self.session_units} documents of the last hour move it")
        if self.policy == "prior":
            lines.append("no evidence yet: the weights that are served are sampled from the prior")
        elif self.policy != "learned":
            lines.append(f"served instead: the weights of policy {self.policy!r}")
        return lines

    def _table(self) -> list[str]:
        width = max(len("feature_uri"), *(len(arm.feature_uri) for arm in self.arms))
        slope = self.posterior == "linear"
        head = f"{'feature_uri':<{width}}  weight  success rate  strength  exposures  successes"
        lines = [f"{head}  negatives" + ("   slope" if slope else "")]
        for arm in sorted(self.arms, key=lambda arm: -arm.weight):
            line = (
                f"{arm.feature_uri:<{width}}  {arm.weight:6.3f}  {arm.success_rate:12.4f}  "
                f"{arm.strength:8.1f}  {arm.exposures:9.1f}  {arm.successes:9.1f}  "
                f"{arm.negatives:9.1f}"
            )
            lines.append(line + ("" if arm.slope is None else f"  {arm.slope:6.3f}"))
        return lines

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each channel: the fields of `ArmExplanation`."""
        import polars as pl

        return pl.DataFrame([asdict(arm) for arm in self.arms])

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        title, *lines = self._head()
        names = ["feature_uri", "weight", "success rate", "strength", "exposures", "successes"]
        rows = [
            tuple(asdict(arm).values()) for arm in sorted(self.arms, key=lambda arm: -arm.weight)
        ]
        return Summary(
            title, [Table.of([*names, "negatives", "slope"], rows)], [*lines, *self.notes]
        )


def _arms(
    snapshot: PosteriorSnapshot, personal: PersonalSums, segment: Context
) -> tuple[ArmExplanation, ...]:
    posterior, user = snapshot.posterior, personal.user
    sums = snapshot.evidence_of(segment, personal)
    level = posterior.level(segment)
    beta = level.beta if user is None else level.beta.child(*user, posterior.prior_strength)
    slopes = None if level.linear is None else level.linear.mean
    if snapshot.level_of(segment, personal) == "query":
        beta, slopes = posterior.query_means(level, personal.query)
    theta = beta.mean
    if personal.session is not None:
        theta = session_theta(theta, *personal.session, posterior.kappa)
    weights = posterior.mean(segment, user, personal.session, personal.query)
    return tuple(
        ArmExplanation(
            feature_uri=arm,
            weight=float(weights[i]),
            success_rate=float(theta[i]),
            strength=float(beta.strength[i]),
            exposures=float(sums.N[i]),
            successes=float(sums.S[i]),
            negatives=float(sums.F[i]),
            slope=None if slopes is None else float(slopes[i]),
        )
        for i, arm in enumerate(posterior.arms)
    )


def _exposures(query: QuerySums) -> float:
    """Return sum w e over the documents with scores, else of those with a channel."""
    scored = 0.0 if query.A is None else float(query.A[-1, -1])
    return scored or float(query.N.sum())
