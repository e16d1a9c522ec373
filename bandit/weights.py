"""What services load: the posteriors of one moment, as a small file."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .._files import write_whole
from ..errors import IntegrityError, UnreadableSourceError
from ._decay import as_datetime
from ._framing import content_of, digest_of, framed, unframed
from ._policy import Policy
from ._serving import Asker, Drawn, Serving, identifier, segment_context, single_draws
from .posterior import FusionPosterior

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from ._served import Served
    from ._serving import Segment
    from .posterior import ArmSums
    from .watched_weights import Source, WatchedWeights

FORMAT: Final = "rankloom-fusion-weights-1"
_ID_DIGITS: Final = 16


class FusionWeights:
    """Global and segment posteriors at one moment, with everything needed to serve from them.

    Made by `FusionBandit.snapshot`. It never changes, so any number of threads may ask it. It
    holds no user and no session: users see what their segment sees, with dice of their own, unless
    the caller gives what is known of them. `watch` reads that from a store.

    Parameters
    ----------
    posterior : FusionPosterior
    policy : Policy
        Roll-out and experiments.
    production : mapping of str to float
        Weights outside the roll-out.
    salt : str
        Of the fixed noise.
    segment_by : tuple of str
        Fields whose values make a segment.
    time : int
        When the newest unit of evidence was shown, in microseconds of UTC since 1970.
    namespace, retriever_id : str
        Whose weights these are.
    random_state : int, optional
        Of the draws for requests that name neither session nor user nor execution.

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
        *,
        policy: Policy,
        production: Mapping[str, float],
        salt: str,
        segment_by: Sequence[str] = (),
        time: int = 0,
        namespace: str = "default",
        retriever_id: str | None = "default",
        random_state: int | None = None,
    ) -> None:
        self.posterior, self.time = posterior, time
        self.segment_by = tuple(segment_by)
        self.namespace, self.retriever_id = namespace, retriever_id
        self.serving = Serving(posterior.arms, policy, production, salt)
        self._draws = single_draws(random_state)

    @property
    def feature_uris(self) -> tuple[str, ...]:
        """Channels in the order of their weights."""
        return self.posterior.arms

    @property
    def segments(self) -> tuple[tuple[str, ...], ...]:
        """Values of the segments that have a posterior of their own."""
        return tuple(context[1:] for context in self.posterior.levels if context)

    @property
    def evidence_until(self) -> dt.datetime:
        """When the newest unit of evidence was shown."""
        return as_datetime(self.time)

    @cached_property
    def snapshot_id(self) -> str:
        """Sixteen hexadecimal digits that name the content."""
        return digest_of(self._content)[:_ID_DIGITS]

    def sample(
        self,
        *,
        user_id: str | None = None,
        segment: Segment | None = None,
        session_id: str | None = None,
        execution_id: str | None = None,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
    ) -> Served:
        """Return weights to serve, as `FusionBandit.sample` does without users and sessions.

        Parameters
        ----------
        user_id, session_id, execution_id : str, optional
            Choose the policy and the dice.
        segment : str, sequence or mapping, optional
            Value, values, or values by field of ``segment_by``. One that is not known is served
            what everybody is.
        user, session : ArmSums, optional
            What is known of the user, without the session, and of the session's last hour, where
            the caller reads them from a store; see `WatchedWeights`.

        Raises
        ------
        InvalidInputError
            If the segment has not one value for each field.
        """
        asker = Asker.of(
            identifier("user_id", user_id),
            identifier("session_id", session_id),
            identifier("execution_id", execution_id),
            self._draws,
        )
        context = segment_context(segment, self.segment_by)

        def draw(key: str) -> Drawn:
            drawn = self.posterior.draw(self.serving.noise(key), context, user, session)
            return Drawn(self.serving.named(drawn), self.snapshot_id)

        return self.serving.serve(asker, draw)

    def mean(
        self,
        *,
        segment: Segment | None = None,
        user: ArmSums | None = None,
        session: ArmSums | None = None,
    ) -> dict[str, float]:
        """Return the weights at the posterior mean, whatever the roll-out says.

        Parameters as of `sample`.
        """
        context = segment_context(segment, self.segment_by)
        return self.serving.named(self.posterior.mean(context, user, session))

    def to_json(self) -> str:
        """Return everything as JSON text with a digest."""
        return framed(FORMAT, self._content)

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
        content = unframed(FORMAT, data, name)
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
        """Serve from a file or store that somebody else renews; see `WatchedWeights`."""
        from .watched_weights import WatchedWeights

        return WatchedWeights(source, feature_uris, every=every, personal=personal, on_swap=on_swap)

    def __repr__(self) -> str:
        return (
            f"FusionWeights({self.snapshot_id}, {self.namespace}/{self.retriever_id}, "
            f"{len(self.feature_uris)} channels, {len(self.segments)} segments, "
            f"evidence until {self.evidence_until:%Y-%m-%d %H:%M})"
        )

    @cached_property
    def _content(self) -> bytes:
        policy = self.serving.policy
        return content_of(
            {
                "namespace": self.namespace,
                "retriever_id": self.retriever_id,
                "segment_by": list(self.segment_by),
                "time": self.time,
                "salt": self.serving.salt,
                "production": self.serving.production,
                "policy": {
                    "scope": policy.scope,
                    "rollout_pct": policy.rollout_pct,
                    "control_pct": policy.control_pct,
                    "explore_pct": policy.explore_pct,
                    "shadow_mode": policy.shadow_mode,
                },
                "posterior": self.posterior.to_dict(),
            }
        )

    @classmethod
    def _of(cls, content: dict[str, Any]) -> FusionWeights:
        return cls(
            FusionPosterior.from_dict(content["posterior"]),
            policy=Policy(**content["policy"]),
            production=content["production"],
            salt=content["salt"],
            segment_by=content["segment_by"],
            time=content["time"],
            namespace=content["namespace"],
            retriever_id=content["retriever_id"],
        )
