"""What services load: the posteriors of one moment, as a small file."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..._shared.atomic_files import write_whole
from ..._shared.digests import blake2b_hex, canonical_json, content_of_json, json_with_digest
from ..._shared.summary import Summary, Table, interval
from ..._shared.summary_html import summary_html
from ...errors import IntegrityError, UnreadableSourceError
from ..base.sums import QuerySums
from ..base.timestamps import as_datetime
from ..posterior.fusion_posterior import FusionPosterior
from ..sessions.session_sums import PersonalSums
from ..store.snapshot_history import LEARNER, WeightInterval
from .request import segment_context
from .traffic_split import TrafficSplit
from .weight_server import SampledWeights, WeightServer

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    import pandas as pd
    import polars as pl
    from matplotlib.axes import Axes

    from ..base.contexts import Context
    from ..base.sums import ArmSums
    from ..base.weights_display import WeightsDisplay
    from ..interactions.live_event import Query
    from ..posterior.display import PosteriorDisplay
    from ..store.snapshot_history import SnapshotRecord
    from ..store.store import Store
    from .query_table import QueryTable
    from .request import Requester, Segment
    from .served import Served
    from .traffic_split import PolicyName
    from .watched_weights import Source, WatchedWeights

FORMAT: Final = "rankloom-fusion-weights-1"
_ID_DIGITS: Final = 16
_DRAWS: Final = 100
_ENDS: Final = (0.05, 0.95)
_REMEDY: Final = "take another copy, or write it anew"


class FusionWeights:
    """Global and segment posteriors at one moment, with everything needed to serve from them.

    Made by `FusionBandit.snapshot`. It never changes, so any number of threads may use it. It
    holds no user and no session: users get what their segment gets, with noise of their own, unless
    the caller gives what is known of them. Of queries it holds how they differ; their sums are not
    part of a file. `watch` reads all of that from a store.

    Parameters
    ----------
    posterior : FusionPosterior
    server : WeightServer
        Roll-out and experiments, production weights, and the salt of the fixed noise.
    segment_by : sequence of str
        Fields whose values make a segment.
    time : int
        When the newest unit of evidence was shown, in microseconds of UTC since 1970; 0 without
        any evidence.
    queries : QueryTable, optional
        Sums of the queries that have weights of their own; None where they are not known here.

    Examples
    --------
    >>> from rankloom.bandit import FusionBandit, FusionWeights
    >>> shown = {"execution_id": "e", "interaction_type": ["impression"], "timestamp": "2026-01-31"}
    >>> bandit = FusionBandit(["bm25", "clip"])
    >>> report = bandit.update([{**shown, "feature_id": "a", "position": 0, "feature_uri": "bm25"}])
    >>> weights = FusionWeights.from_json(bandit.snapshot().to_json())
    >>> weights.mean()
    {'bm25': 0.4760242304835033, 'clip': 0.5239757695164967}
    >>> weights.sample(session_id="s1") == bandit.sample(session_id="s1")
    True
    """

    def __init__(
        self,
        posterior: FusionPosterior,
        server: WeightServer,
        *,
        segment_by: Sequence[str] = (),
        time: int = 0,
        queries: QueryTable | None = None,
    ) -> None:
        self.queries = queries
        self.posterior, self.server, self.time = posterior, server, time
        self.segment_by = tuple(segment_by)

    @property
    def namespace(self) -> str:
        """Under which the weights were learnt."""
        return self.server.namespace

    @property
    def retriever_id(self) -> str | None:
        """Whose weights these are."""
        return self.server.retriever_id

    @property
    def feature_uris(self) -> tuple[str, ...]:
        """Channels in the order of their weights."""
        return self.posterior.arms

    @property
    def segments(self) -> tuple[tuple[str, ...], ...]:
        """Values of the segments that have a posterior of their own."""
        return tuple(context[1:] for context in self.posterior.levels if context)

    @property
    def evidence_until(self) -> dt.datetime | None:
        """When the newest unit of evidence was shown; None where these are the prior's weights."""
        return as_datetime(self.time) if self.posterior.has_evidence else None

    @cached_property
    def snapshot_id(self) -> str:
        """Sixteen hexadecimal digits that name the content."""
        return blake2b_hex(self._content)[:_ID_DIGITS]

    def sample(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        execution_id: str | None = None,
        query: Query | QuerySums | None = None,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
    ) -> Served:
        """Return weights to serve, as `FusionBandit.sample` does without users and sessions.

        Parameters
        ----------
        user_id, session_id, execution_id : str, optional
            Choose the policy and the noise.
        segment : str, sequence or mapping, optional
            Value, values, or values by field of ``segment_by``. An unknown one is served what
            everybody is.
        query : str, mapping or QuerySums, optional
            What is searched for, as of `FusionBandit.sample`, which has an effect where `queries`
            are known; else its sums.
        user, session : ArmSums, optional
            What is known of the user, without the session, and of the session's last hour, where
            the caller reads them from a store; see `Store.personal_sums`.

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field.
        """
        requester = self.server.requester(user_id, session_id, execution_id)
        context = segment_context(segment, self.segment_by)
        assignment, sampled = self.server.assign(requester), None
        if assignment.needs_sample:
            personal = PersonalSums(user, session, query=self._query_sums(query))
            sampled = self.sampled(requester, context, personal)
        return self.server.serve(requester, assignment, sampled)

    def mean(
        self,
        *,
        segment: Segment | None = None,
        query: Query | QuerySums | None = None,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
    ) -> dict[str, float]:
        """Return the weights at the posterior mean, whatever the roll-out says.

        Parameters as of `sample`.
        """
        context = segment_context(segment, self.segment_by)
        return self.mean_of(context, PersonalSums(user, session, query=self._query_sums(query)))

    def sampled(
        self, requester: Requester, context: Context, personal: PersonalSums
    ) -> SampledWeights:
        """Return weights sampled for a requester of whom some sums are known."""
        noise = self.server.noise(requester.noise_key)
        drawn = self.posterior.draw(noise, context, personal.user, personal.session, personal.query)
        policy: PolicyName = "learned" if self.posterior.has_evidence else "prior"
        return SampledWeights(self.server.named(drawn), self.snapshot_id, policy)

    def mean_of(self, context: Context, personal: PersonalSums) -> dict[str, float]:
        """Return the weights at the posterior mean for a requester of whom some sums are known."""
        weights = self.posterior.mean(context, personal.user, personal.session, personal.query)
        return self.server.named(weights)

    def intervals(self) -> dict[str, WeightInterval]:
        """Return each channel's weight at the posterior mean, and the interval of what is served.

        Without a segment, a user and a session 90 % of the sampled weights lie within it: the
        quantiles 0.05 and 0.95 of 100 draws, always the same ones.

        Returns
        -------
        dict of str to WeightInterval
        """
        noise = (self.server.noise(f"interval:{number}") for number in range(_DRAWS))
        drawn = np.array([self.posterior.draw(each) for each in noise])
        rows = self.posterior.mean(), *np.quantile(drawn, _ENDS, axis=0)
        columns = np.array(rows).T.tolist()
        return {
            uri: WeightInterval(*values)
            for uri, values in zip(self.feature_uris, columns, strict=True)
        }

    def plot(self, ax: Axes | None = None) -> WeightsDisplay:
        """Draw everybody's weights with the interval of what is served."""
        from ..base.weights_display import WeightsDisplay

        rows = np.array(list(self.intervals().values())).T
        return WeightsDisplay(self.feature_uris, *rows).plot(ax)

    def plot_posterior(
        self, ax: Axes | None = None, *, segment: Segment | None = None
    ) -> PosteriorDisplay:
        """Draw the posterior density of each channel's success rate, or of its scores' slope.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; new axes of pyplot by default.
        segment : str, sequence or mapping, optional
            As of `sample`.
        """
        from ..posterior.display import PosteriorDisplay

        context = segment_context(segment, self.segment_by)
        return PosteriorDisplay.from_posterior(self.posterior, context).plot(ax)

    def publish(self, store: Store, *, author: str = LEARNER) -> SnapshotRecord:
        """Put it and the sums of its queries into a store, and return what is noted of it.

        Parameters
        ----------
        store : Store
        author : str
            Who made it, for `Store.history`.

        Raises
        ------
        StoreError
            If the store is away.
        """
        if self.queries is not None:
            store.put_queries(self.queries.sums, self.feature_uris)
        weights = self.intervals()
        return store.put_snapshot(self.snapshot_id, self.to_json(), author=author, weights=weights)

    def to_json(self) -> str:
        """Return everything as JSON text with a digest."""
        return json_with_digest(FORMAT, self._content)

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "snapshot") -> FusionWeights:
        """Return what `to_json` wrote.

        Parameters
        ----------
        text : str or bytes
        name : str
            What the messages call it.

        Raises
        ------
        IntegrityError
            If it is damaged, cut off, edited, or of another format or version.
        """
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        content = content_of_json(FORMAT, data, name, _REMEDY)
        try:
            return cls._of(json.loads(content))
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{name}: the digest holds, but the content is not that of a snapshot: {error!r}"
            raise IntegrityError(msg) from error

    def save(self, path: str | Path) -> None:
        """Write the snapshot into a file, which is there whole or not at all."""
        text = self.to_json()
        write_whole(path, lambda name: Path(name).write_text(text, encoding="ascii"))

    @classmethod
    def load(cls, path: str | Path) -> FusionWeights:
        """Read the snapshot that `save` wrote.

        Raises
        ------
        UnreadableSourceError
            If the file cannot be read.
        IntegrityError
            If it is damaged, cut off, edited, or of another format or version.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            msg = f"{path}: cannot be read: {error}"
            raise UnreadableSourceError(msg) from error
        return cls.from_json(data, str(path))

    @staticmethod
    def watch(
        source: Source,
        feature_uris: Sequence[str],
        *,
        every: float = 30.0,
        personal: bool = True,
        on_swap: Callable[[FusionWeights], object] | None = None,
    ) -> WatchedWeights:
        """Serve from a file or store that another process renews; see `WatchedWeights`."""
        from .watched_weights import WatchedWeights

        return WatchedWeights(
            source,
            feature_uris,
            read=FusionWeights.from_json,
            every=every,
            personal=personal,
            on_swap=on_swap,
        )

    def __repr__(self) -> str:
        until = self.evidence_until
        return (
            f"FusionWeights({self.snapshot_id}, {self.namespace}/{self.retriever_id}, "
            f"{len(self.feature_uris)} channels, {len(self.segments)} segments, "
            + (f"evidence until {until:%Y-%m-%d %H:%M})" if until else "no evidence)")
        )

    def _query_sums(self, query: Query | QuerySums | None) -> QuerySums | None:
        if isinstance(query, QuerySums):
            return query
        return None if self.queries is None else self.queries.find(query)

    @cached_property
    def _content(self) -> bytes:
        server = self.server
        return canonical_json(
            {
                "namespace": self.namespace,
                "retriever_id": self.retriever_id,
                "segment_by": list(self.segment_by),
                "time": self.time,
                "salt": server.salt,
                "production": server.production,
                "policy": asdict(server.split),
                "posterior": self.posterior.to_dict(),
            }
        )

    @classmethod
    def _of(cls, content: dict[str, Any]) -> FusionWeights:
        posterior = FusionPosterior.from_dict(content["posterior"])
        server = WeightServer(
            posterior.arms,
            TrafficSplit(**content["policy"]),
            production=content["production"],
            salt=content["salt"],
            namespace=content["namespace"],
            retriever_id=content["retriever_id"],
        )
        return cls(posterior, server, segment_by=content["segment_by"], time=content["time"])

    def _repr_html_(self) -> str:
        return summary_html(self._summary())

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each channel: ``feature_uri`` and its `intervals`."""
        import polars as pl

        rows = [(uri, *found) for uri, found in self.intervals().items()]
        return pl.DataFrame(rows, ["feature_uri", "mean", "lower", "upper"], orient="row")

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_frame` for pandas."""
        return self.to_frame().to_pandas()

    def _summary(self) -> Summary:
        found = self.intervals() if self.posterior.has_evidence else {}
        rows = [(uri, w.mean, interval((w.low, w.high))) for uri, w in found.items()]
        return Summary(repr(self), [Table.of(["feature_uri", "weight", "90% of requests"], rows)])
