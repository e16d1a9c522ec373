"""Fusion weights per channel, learnt from interactions by Thompson sampling."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Self, get_args

from .._shared.summary import Summary, Table
from .._shared.summary_html import summary_html
from ..datasets.record.mapping import InputMapping
from ..errors import InvalidInputError, NoExposuresError, NotPicklableError
from .base.timestamps import moment_of
from .evidence.evidence import Evidence
from .learner import Learner
from .posterior.estimation import Kind
from .serving.current_posterior import CurrentPosterior
from .serving.explanation import Explanation
from .serving.request import identifier, segment_context, single_draws
from .serving.traffic_split import TrafficSplit
from .serving.weight_server import WeightServer
from .units.user_resets import NEVER, UserReset

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ..datasets.record.mapping import TimeUnit
    from .base.identity import Credit
    from .base.weights_display import WeightsDisplay
    from .evidence.reports import MergeReport
    from .interactions.live_event import Query
    from .interactions.update_report import UpdateReport
    from .posterior.display import PosteriorDisplay
    from .serving.fusion_weights import FusionWeights
    from .serving.request import Segment
    from .serving.served import Served
    from .store.store import Store

logger = logging.getLogger("rankloom")

RENEWED_AT: Final = 0.01
"""Share of new units at which `sample` computes the long-term posterior anew."""


class FusionBandit:
    """Weights of channels (feature_uris), learnt from what users did with what they were shown.

    Interactions go in through `update` and `observe`; `sample` gives the weights to serve, `mean`
    those that are best by present knowledge. Thompson sampling serves weights drawn from the
    posterior, so that channels of which little is known get their chance (Thompson, "On the
    Likelihood that One Unknown Probability Exceeds Another", Biometrika 1933). The posteriors are
    those of `BetaPosterior` and `LinearPosterior`. Weights of all are the prior of those of a
    segment, these of those of a query (`QueryLevel`) and of a user, each as strong as the evidence
    says (`hierarchy`); a session moves its own weights at once.

    Safe to use from several threads: learning waits for a lock, `sample` and `mean` only where the
    posterior has to be computed anew.

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
        Of the noise. The same number gives the same noise in every process.
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
        Another salt gives everybody other noise; by default it is made of namespace, retriever_id
        and `random_state`.
    max_users : int, optional
        Most user contexts among closed sums; those with the oldest evidence go first. Over a store
        that holds evidence it takes the place of the stored limit, which None leaves as it is.
    max_queries : int, optional
        Most queries that get weights of their own from their own evidence, those with the newest;
        0: none does. Over a store that holds evidence it takes the place of the stored number,
        which None leaves as it is; else None is 0. A query takes 8 bytes for each of
        4 c + (c + 1) (c + 4) / 2 sums in memory, 376 with c = 5 channels; in a store twice that.
        Only rows that come once it is above 0 count for their query: learn again from the log to
        have the earlier ones.
    store : Store, optional
        Where evidence is stored; see `open`.

    Attributes
    ----------
    learner : Learner
        The evidence, the store behind it, and the lock that both change under.
    posterior : CurrentPosterior
        The posterior that requests are answered from, and when it is computed anew.
    server : WeightServer
        Policies, production weights and fixed noise, for the channels there are now.

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
        max_queries: int | None = None,
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
            max_queries=0 if max_queries is None else max_queries,
        )
        if posterior not in get_args(Kind):
            msg = f"posterior: expected 'auto', 'beta' or 'linear', got {posterior!r}"
            raise InvalidInputError(msg)
        scope = f"{namespace}/{retriever_id}"
        seeded = scope if random_state is None else f"{scope}/{random_state}"
        split = TrafficSplit(scope, rollout_pct, control_pct, explore_pct, shadow_mode)
        self._server = WeightServer(
            evidence.arms,
            split,
            production=production_weights,
            salt=seeded if salt is None else salt,
            namespace=namespace,
            retriever_id=retriever_id,
            draws=single_draws(random_state),
        )
        self.learner = Learner(evidence, store, max_queries=max_queries)
        self.posterior = CurrentPosterior(self.learner, kind=posterior, floor=floor, cap=cap)

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
            Under which the evidence is stored.
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
        from .store.opening import open_store

        store = open_store(url, namespace=namespace, retriever_id=retriever_id, timeout=timeout)
        return cls(
            feature_uris, namespace=namespace, retriever_id=retriever_id, store=store, **options
        )

    @property
    def evidence(self) -> Evidence:
        """Everything learnt, as sums."""
        return self.learner.evidence

    @property
    def feature_uris(self) -> tuple[str, ...]:
        """Channels in the order of their weights."""
        return self.evidence.arms

    @property
    def namespace(self) -> str:
        """Under which the weights are learnt."""
        return self._server.namespace

    @property
    def retriever_id(self) -> str | None:
        """Whose weights these are."""
        return self._server.retriever_id

    @property
    def server(self) -> WeightServer:
        """Policies, production weights and fixed noise, for the channels there are now."""
        server = self._server.for_arms(self.evidence.arms)
        if server is not self._server:
            self._server = server
        return server

    @server.setter
    def server(self, server: WeightServer) -> None:
        self._server = server

    def update(
        self,
        interactions: Any,
        *,
        impressions: Any = None,
        columns: Mapping[str, str] | None = None,
        types: Mapping[str, str] | None = None,
        position_base: int = 0,
        time_unit: TimeUnit | None = None,
        on_error: Literal["quarantine", "raise"] = "quarantine",
    ) -> UpdateReport:
        """Learn from many interactions, in any order; a resend changes nothing.

        Rows that had to be left out are counted in the report and logged in one line.

        Parameters
        ----------
        interactions : EventColumns, or path, glob, table, list of dicts or of paths
            See `Evidence.update`.
        impressions : path or table, optional
            What was shown, where the interactions do not say. A late reward without a position
            takes that of its document in its execution, from these, from the interactions, or from
            an earlier call.
        columns : mapping of str to str, optional
            Field of the interaction -> column of the tables, where their names differ.
        types : mapping of str to str, optional
            Type in the tables -> interaction type, built-in or in the table of rewards.
        position_base : {0, 1}
            Position of the first result in the tables.
        time_unit : {"s", "ms", "us", "ns"}, optional
            Unit of times that are numbers, counted since 1970; without one they are refused.
        on_error : {"quarantine", "raise"}
            What happens to a row that breaks a rule of the record.

        Returns
        -------
        UpdateReport

        Raises
        ------
        InvalidInputError
            If a parameter is wrong, or no row has a time.
        UnreadableSourceError
            If a file cannot be read.
        StoreError
            If the store is away: then nothing was learnt, and the same call can be made again.
        """
        mapping = InputMapping.of(columns, types, position_base, time_unit)
        report = self.learner.update(
            interactions, impressions=impressions, mapping=mapping, on_error=on_error
        )
        counts = ", ".join(f"{n} {name}" for name, n in report.left_out().items() if n)
        if counts:
            logger.warning("fusion: of %d rows: %s", report.rows, counts)
        for note in report.notes:
            logger.warning("fusion: %s", note)
        return report

    def observe(
        self, event: Mapping[str, Any] | Any, *, now: dt.datetime | int | None = None
    ) -> UpdateReport:
        """Learn one interaction as it happens; its session's weights move at once.

        The first call of a process takes a second or two, because it loads compiled code (longer
        where numba cannot write its cache); requests for weights do not wait for it.

        Parameters
        ----------
        event : dict or Interaction
            With ``occurred_at`` it is a backfill and moves no session.
        now : datetime, or int in microseconds, optional
            When it happened, where the event does not say; the clock's time if None.

        Raises
        ------
        InvalidInputError
            If the event breaks a rule of the record.
        StoreError
            If the store is away: then nothing was learnt, and the same call can be made again.
        """
        return self.learner.observe(event, now=now)

    def merge(self, other: FusionBandit | Evidence) -> MergeReport:
        """Take in what another bandit learnt; doing so again changes nothing.

        Raises
        ------
        StateMismatchError
            If the two differ in a setting that gives the sums their meaning.
        """
        return self.learner.merge(other.evidence if isinstance(other, FusionBandit) else other)

    def compact(self, before: dt.datetime | int) -> int:
        """Close the units first shown before a time; rows before it are refused from then on.

        Returns
        -------
        int
            Number of units that this call closed, in the store where there is one.
        """
        return self.learner.compact(before)

    def refresh(self) -> None:
        """Take in what other processes wrote into the store, and all evidence at the next request.

        Raises
        ------
        StoreError
            If the store is away.
        """
        self.learner.refresh()

    def add_arm(self, *feature_uris: str) -> None:
        """Make channels known; evidence from before does not name them."""
        self.posterior.check_bounds(len({*self.feature_uris, *feature_uris}))
        self.learner.add_arm(*feature_uris)

    def remove_arm(self, feature_uri: str) -> None:
        """Forget a channel and its sums; a merge with a state that knows it brings it back."""
        left = tuple(arm for arm in self.feature_uris if arm != feature_uri)
        if left:
            # Both raise where the channels that are left cannot be weighed.
            self.posterior.check_bounds(len(left))
            self._server.for_arms(left)
        self.learner.remove_arm(feature_uri)

    def reset_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user only what is first shown from now (or `at`) on, in sessions too."""
        moment = moment_of(at)
        self.learner.reset(user_id, UserReset(moment, moment))

    def opt_out(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count nothing for this user or in the user's sessions until `opt_in`.

        The global sums and those of the segments learn nevertheless.
        """
        self.learner.reset(user_id, UserReset(moment_of(at), NEVER))

    def opt_in(self, user_id: str, *, at: dt.datetime | int | None = None) -> None:
        """Count for this user again what is first shown from now (or `at`) on."""
        self.reset_user(user_id, at=at)

    def delete_user(self, user_id: str, *, at: dt.datetime | int | None = None) -> int:
        """Reset a user and take the name off the open units; return how many there were.

        A resend of the rows names the user again, so delete them from the log first.
        """
        return self.learner.delete_user(user_id, at=at)

    def sample(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        execution_id: str | None = None,
        query: Query | None = None,
        now: dt.datetime | int | None = None,
    ) -> Served:
        """Return the weights to serve one request.

        The noise belongs to the session, else to the user, else to the execution: at the next
        request the same one gets weights that differ by what the posterior has learnt alone. A
        request without any id gets new noise. Evidence of other sessions shows as soon as it
        makes up 1 % of all: the request that comes next computes the posterior anew, a matter of
        0.1 s with 100,000 users. Services that cannot wait serve from `FusionWeights.watch`.

        A session's documents of the last hour move its own weights, and are taken out of the sums
        of the user, so that none counts twice for one request. In the sums of all and of the
        segment they stay: a session is one among all there, and counts 0.018 of a weight where all
        have 100 units, 0.003 and less from 1,000 on. Units from before a user's reset count
        neither for the user nor for the session. `FusionWeights.watch` serves by the same rule.

        Parameters
        ----------
        user_id, session_id, execution_id : str, optional
            Whose weights; the first of user, session and execution chooses the policy.
        segment : str, sequence or mapping, optional
            Value, values, or values by field of ``segment_by``. An unknown one is served what
            everybody is.
        query : str or mapping, optional
            What is searched for, as its snapshot is logged in ``query_snapshot``: text, JSON or
            its values. One without evidence of its own gets the weights of its segment exactly.
        now : datetime, or int in microseconds, optional
            The clock's time if None; the session counts for an hour before it.

        Returns
        -------
        Served
            A dict of weights with the policy, its propensity and the snapshot; log its
            `to_metadata` with the interactions. Without any evidence the weights are sampled from
            the prior, and the policy is "prior".

        Raises
        ------
        NoExposuresError
            If learned weights were to be served, there are clicks, and no row says what was shown.
            The policies production, control, explore and shadow need no exposures.
        InvalidInputError
            If the segment has not one value for each field, or `posterior` is "linear" and no
            scores were logged.
        """
        server = self.server
        requester = server.requester(user_id, session_id, execution_id)
        context = segment_context(segment, self.evidence.identity.segment_by)
        assignment, sampled = server.assign(requester), None
        if assignment.needs_sample:
            try:
                snapshot = self.posterior.get(RENEWED_AT)
            except NoExposuresError:
                if assignment.policy == "learned":
                    raise
                return server.serve(requester, assignment)
            personal = snapshot.personal(
                self.evidence.state, requester.user_id, requester.session_id, now, query
            )
            sampled = snapshot.weights(server).sampled(requester, context, personal)
        return server.serve(requester, assignment, sampled)

    def mean(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        query: Query | None = None,
        now: dt.datetime | int | None = None,
    ) -> dict[str, float]:
        """Return the weights at the posterior mean of all evidence up to now.

        They are what is known, without noise, roll-out and experiments; equal without any evidence.
        Parameters, rule and errors as of `sample`.
        """
        user, session = identifier("user_id", user_id), identifier("session_id", session_id)
        context = segment_context(segment, self.evidence.identity.segment_by)
        snapshot = self.posterior.get()
        personal = snapshot.personal(self.evidence.state, user, session, now, query)
        return snapshot.weights(self.server).mean_of(context, personal)

    def explain(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        query: Query | None = None,
        now: dt.datetime | int | None = None,
    ) -> Explanation:
        """Return why `mean` gives these weights: level, evidence, strength; print it.

        Parameters and errors as of `sample`.
        """
        server = self.server
        requester = server.requester(user_id, session_id, None)
        context = segment_context(segment, self.evidence.identity.segment_by)
        snapshot = self.posterior.get()
        return Explanation.of(
            snapshot,
            snapshot.personal(
                self.evidence.state, requester.user_id, requester.session_id, now, query
            ),
            requester.user_id,
            context,
            query,
            assigned=server.assign(requester).policy,
            snapshot_id=snapshot.weights(server).snapshot_id,
        )

    def snapshot(self) -> FusionWeights:
        """Return what services load: global and segment posteriors of all evidence up to now.

        It knows the queries' sums too as long as it is not written into a file.

        Raises
        ------
        NoExposuresError
            If there are clicks and no row says what was shown.
        """
        return self.posterior.get().weights(self.server)

    def plot(self, ax: Axes | None = None) -> WeightsDisplay:
        """Draw everybody's weights with the interval of what is served; as of `FusionWeights`."""
        return self.snapshot().plot(ax)

    def plot_posterior(
        self, ax: Axes | None = None, *, segment: Segment | None = None
    ) -> PosteriorDisplay:
        """Draw the posterior density of each channel; as of `FusionWeights`."""
        return self.snapshot().plot_posterior(ax, segment=segment)

    def publish(self) -> FusionWeights:
        """Put a snapshot and the sums of its queries into the store, and return it.

        Services that watch the store serve from both.

        Raises
        ------
        InvalidInputError
            If there is no store.
        NoExposuresError
            If there are clicks and no row says what was shown.
        StoreError
            If the store is away.
        """
        store = self.learner.store
        if store is None:
            msg = "store: got None; open the bandit over one, or save snapshot() into a file"
            raise InvalidInputError(msg)
        weights = self.snapshot()
        weights.publish(store)
        return weights

    def __reduce__(self) -> NoReturn:
        msg = (
            "a FusionBandit learns under a lock, so it is neither pickled nor copied. Save what it "
            "has learnt with bandit.evidence.save(path) and merge it into another one, save its "
            "weights with bandit.snapshot().save(path), or share it over a store: "
            "FusionBandit.open(url, ...)"
        )
        raise NotPicklableError(msg)

    def __repr__(self) -> str:
        summary = self.evidence.summary
        units = summary.open_units + summary.closed_units
        return (
            f"FusionBandit({self.namespace}/{self.retriever_id}, "
            f"{len(self.feature_uris)} channels, {units} units)"
        )

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def _summary(self) -> Summary:
        sums = self.evidence.sums()
        weights = self.mean() if sums.N.any() else {}
        rows = [
            (uri, weights.get(uri), exposures, successes)
            for uri, exposures, successes in zip(sums.arms, sums.N[0], sums.S[0], strict=True)
        ]
        return Summary(
            repr(self), [Table.of(["feature_uri", "weight", "exposures", "successes"], rows)]
        )
