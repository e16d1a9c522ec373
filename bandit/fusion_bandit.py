"""Fusion weights per channel, learnt from interactions by Thompson sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, get_args

from ..errors import InvalidInputError
from ._answering import RENEWED_AT, Answering
from ._explaining import explain
from ._policy import Policy
from ._serving import (
    Asker,
    Drawn,
    identifier,
    segment_context,
)
from .estimation import Kind
from .evidence import Evidence

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ._served import Served
    from ._serving import Segment
    from .explanation import Explanation
    from .identity import Credit
    from .store import Store
    from .weights import FusionWeights


class FusionBandit(Answering):
    """Weights of channels (feature_uris), learnt from what users did with what they were shown.

    Interactions go in through `update` and `observe`; `sample` gives the weights to serve, `mean`
    those that are best by present knowledge. Thompson sampling serves weights drawn from the
    posterior, so that channels of which little is known get their chance (Thompson, "On the
    Likelihood that One Unknown Probability Exceeds Another", Biometrika 1933). The posteriors are
    those of `BetaPosterior` and `LinearPosterior`; users lean on their segment, segments on all,
    as far as the evidence says (`hierarchy`); a session moves its own weights at once.

    Parameters
    ----------
    feature_uris : sequence of str
        The channels, called arms.
    posterior : {"auto", "beta", "linear"}
        "auto": linear as soon as channels' scores as fused were logged
        (``metadata.features[uri].score``), else success rates alone.
    examination : sequence of float, optional
        Examination by position, the first 1, the last holding beyond; None: 1 / (position + 1).
    half_life : float
        Days after which evidence weighs half.
    segment_by : sequence of str
        Columns or metadata fields whose values make a segment.
    namespace, retriever_id : str
        Whose weights these are. Rows that name another retriever are left out and counted;
        ``retriever_id=None`` takes all rows.
    random_state : int, optional
        Of the dice. The same number throws the same dice in every process.
    rewards : mapping of str to float, optional
        Interaction type -> reward, over the defaults; see `RewardTable`.
    credit : {"shared", "named"}
        See `Evidence`.
    floor, cap : float, optional
        Smallest and largest weight; by default min(0.05, 1 / (4 arms)) and
        max(0.95, 1 - (arms - 1) floor).
    rollout_pct, control_pct, explore_pct : float
        Per cent of users (else sessions, else executions) who get learned weights at all, and of
        these, who get equal weights and uniformly random ones instead.
    shadow_mode : bool
        Serve production weights to everybody, and report what would have been served.
    production_weights : mapping of str to float, optional
        Weights outside the roll-out and in shadow mode; equal ones if None.
    salt : str, optional
        Another salt throws everybody's dice anew; by default from namespace, retriever_id and
        `random_state`.
    max_users : int, optional
        Most user contexts among closed sums; those with the oldest evidence go first.
    store : Store, optional
        Where evidence is kept; see `open`.

    Raises
    ------
    InvalidInputError
        Names the parameter, the value and what was expected.
    StateMismatchError
        If the store holds evidence that was folded with other settings.

    Examples
    --------
    >>> rows = []
    >>> for n in range(200):
    ...     channel, clicked = ("bm25", "clip")[n % 2], n % 8 == 0
    ...     types = ["impression", "click"] if clicked else ["impression"]
    ...     rows.append({"execution_id": f"e{n}", "feature_id": "d", "position": 0,
    ...                  "feature_uri": channel, "interaction_type": types,
    ...                  "timestamp": "2026-01-31"})
    >>> bandit = FusionBandit(["bm25", "clip"])
    >>> bandit.update(rows).units_opened
    200
    >>> weights = bandit.mean()
    >>> weights["bm25"] > weights["clip"]
    True
    >>> served = bandit.sample(user_id="u1", session_id="s1")
    >>> served.policy, round(sum(served.values()), 9)
    ('learned', 1.0)
    """

    def __init__(
        self,
        feature_uris: Sequence[str],
        *,
        posterior: Kind = "auto",
        examination: Sequence[float] | NDArray[np.float64] | None = None,
        half_life: float = 138.0,
        segment_by: Sequence[str] = (),
        namespace: str = "default",
        retriever_id: str | None = "default",
        random_state: int | None = None,
        rewards: Mapping[str, float] | None = None,
        credit: Credit = "shared",
        floor: float | None = None,
        cap: float | None = None,
        rollout_pct: float = 100.0,
        control_pct: float = 0.0,
        explore_pct: float = 0.0,
        shadow_mode: bool = False,
        production_weights: Mapping[str, float] | None = None,
        salt: str | None = None,
        max_users: int | None = None,
        store: Store | None = None,
    ) -> None:
        evidence = Evidence(
            feature_uris,
            half_life=half_life,
            rewards=rewards,
            examination=examination,
            credit=credit,
            segment_by=segment_by,
            retriever_id=retriever_id,
            max_users=max_users,
        )
        if posterior not in get_args(Kind):
            msg = f"posterior: expected 'auto', 'beta' or 'linear', got {posterior!r}"
            raise InvalidInputError(msg)
        super().__init__(
            evidence,
            policy=Policy(
                f"{namespace}/{retriever_id}", rollout_pct, control_pct, explore_pct, shadow_mode
            ),
            production=production_weights,
            namespace=namespace,
            salt=salt,
            random_state=random_state,
            options={"posterior": posterior, "floor": floor, "cap": cap},
            store=store,
        )

    @classmethod
    def open(
        cls,
        url: str,
        feature_uris: Sequence[str],
        *,
        namespace: str = "default",
        retriever_id: str = "default",
        timeout: float = 30.0,
        **options: Any,
    ) -> Self:
        """Return a bandit over a store, which it shares with other processes.

        Parameters
        ----------
        url : str
            Such as ``sqlite:////absolute/path.db`` or ``redis://host:port/db``; see `open_store`.
        feature_uris : sequence of str
        namespace, retriever_id : str
            Under which the evidence is kept.
        timeout : float
            Seconds to wait for the store.
        **options
            As of `FusionBandit`.

        Raises
        ------
        StoreError
            If the store cannot be reached.
        StateMismatchError
            If it holds evidence that was folded with other settings.
        """
        from .store import open_store

        store = open_store(url, namespace=namespace, retriever_id=retriever_id, timeout=timeout)
        return cls(
            feature_uris, namespace=namespace, retriever_id=retriever_id, store=store, **options
        )

    @property
    def feature_uris(self) -> tuple[str, ...]:
        """Channels in the order of their weights."""
        return self.evidence.arms

    def sample(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        execution_id: str | None = None,
        now: dt.datetime | int | None = None,
    ) -> Served:
        """Return the weights to serve one request.

        The dice belong to the session, else to the user, else to the execution: asked again, the
        same one sees the posterior move and never the dice. A request that names nobody gets a new
        draw. Evidence of other sessions shows as soon as it makes up 1 % of all: the request that
        comes next computes the posterior anew, a matter of 0.1 s with 100,000 users. Services that
        cannot wait serve from `FusionWeights.watch`.

        Parameters
        ----------
        user_id, session_id, execution_id : str, optional
            Whose weights; the first of user, session and execution chooses the policy.
        segment : str, sequence or mapping, optional
            Value, values, or values by field of ``segment_by``. One that is not known is served
            what everybody is.
        now : datetime, or int in microseconds, optional
            The clock's time if None; the session counts for an hour before it.

        Returns
        -------
        Served
            A dict of weights with the policy, its propensity and the snapshot; log its
            `to_metadata` with the interactions.

        Raises
        ------
        NoExposuresError
            If learned weights were to be served and no row says what was shown. The policies
            production, control, explore and shadow need no evidence.
        InvalidInputError
            If the segment has not one value for each field, or linear was asked for and no scores
            were logged.
        """
        user, session = identifier("user_id", user_id), identifier("session_id", session_id)
        context = segment_context(segment, self.evidence.identity.segment_by)
        asker = Asker.of(user, session, identifier("execution_id", execution_id), self._draws)

        def draw(key: str) -> Drawn:
            present, view = self._seen(RENEWED_AT, context, user, session, now)
            serving = present.weights.serving
            drawn = view.posterior.draw(serving.noise(key), context, view.user, view.session)
            return Drawn(serving.named(drawn), present.weights.snapshot_id)

        return self._serving.serve(asker, draw)

    def mean(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        now: dt.datetime | int | None = None,
    ) -> dict[str, float]:
        """Return the weights at the posterior mean of all evidence up to now.

        They are what is known, without dice, roll-out and experiments; parameters and errors as
        of `sample`.
        """
        user, session = identifier("user_id", user_id), identifier("session_id", session_id)
        context = segment_context(segment, self.evidence.identity.segment_by)
        present, view = self._seen(0.0, context, user, session, now)
        weights = view.posterior.mean(context, view.user, view.session)
        return present.weights.serving.named(weights)

    def explain(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        now: dt.datetime | int | None = None,
    ) -> Explanation:
        """Return why `mean` gives these weights: level, evidence, strength; print it.

        Parameters and errors as of `sample`.
        """
        user, session = identifier("user_id", user_id), identifier("session_id", session_id)
        context = segment_context(segment, self.evidence.identity.segment_by)
        with self._lock:
            present, view = self._seen(0.0, context, user, session, now)
            units = 0
            if session is not None:
                units = self.evidence.session_sums(session, now=now).units
        unit = Asker.of(user, session, None, self._draws).unit
        return explain(
            present.standing,
            view,
            context,
            user,
            session_units=units,
            policy=self._policy.of(unit).policy,
            snapshot_id=present.weights.snapshot_id,
        )

    def snapshot(self) -> FusionWeights:
        """Return what services load: global and segment posteriors of all evidence up to now.

        Raises
        ------
        NoExposuresError
            If no row says what was shown.
        """
        return self._present_within(0.0).weights

    def publish(self) -> FusionWeights:
        """Put a snapshot into the store, for services that watch it, and return it.

        Raises
        ------
        InvalidInputError
            If there is no store.
        NoExposuresError
            If no row says what was shown.
        StoreError
            If the store is away.
        """
        if self._store is None:
            msg = "store: got None; open the bandit over one, or save snapshot() into a file"
            raise InvalidInputError(msg)
        weights = self.snapshot()
        self._store.put_snapshot(weights.snapshot_id, weights.to_json())
        return weights

    def __repr__(self) -> str:
        account = self.evidence.account
        units = account.open_units + account.closed_units
        return (
            f"FusionBandit({self.namespace}/{self.retriever_id}, "
            f"{len(self.feature_uris)} channels, {units} units)"
        )
