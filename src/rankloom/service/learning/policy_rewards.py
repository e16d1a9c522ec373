"""What the newest lists of each policy brought, folded from the log as far as it is new."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from ..._shared.clustered import ClusteredErrors
from ...bandit.base.rewards import RewardTable, is_document_level

if TYPE_CHECKING:
    import polars as pl

    from ...datasets.log.interaction_log import InteractionLog

POLICIES: Final = ("learned", "prior", "production", "control", "explore", "shadow", "fallback")
OTHER: Final = "other"
"""Stands for every other policy that senders name."""

NEWEST_ROWS: Final = 200_000
"""Rows of the log's end, of all its retrievers, that a process begins with."""

MOST_DOCUMENTS: Final = 50_000
"""Documents of lists that are held, the newest ones: some 3 MB."""

FOLDED_EVERY: Final = 15.0
"""Seconds within which the same is answered again."""

_CHUNK: Final = 20_000
_MIN_CLUSTERS: Final = 10
_Z: Final = 1.96
_POLICY: Final = "$.fusion.policy"


class PolicyReward(NamedTuple):
    """What the lists of a policy brought.

    Attributes
    ----------
    policy : str
    lists : int
    reward : float
        Mean sum of the rewards of a list's documents; the highest reward of a type counts 1.
    low, high : float or None
        95 % interval of that mean, clustered by user, else session, else list; None for less than
        ten of these.
    """

    policy: str
    lists: int
    reward: float
    low: float | None
    high: float | None


class PolicyRewards:
    """Rewards by policy of one retriever's newest lists; safe to use from several threads.

    Each document of a list counts once, with the highest reward of its interactions less the
    highest negative one. A list has the policy that one of its interactions names in
    ``metadata.fusion.policy``; others are left out. Nothing is stored: all processes find the same
    in the log, but for where they began.

    Parameters
    ----------
    log : InteractionLog
        The view of the retriever.
    """

    def __init__(self, log: InteractionLog) -> None:
        self._log, self._lock = log, threading.Lock()
        self._due = 0.0
        self._forget()

    def read(self) -> list[PolicyReward]:
        """Return what the lists of each policy brought, those of the most lists first.

        Raises
        ------
        StoreError
            If the log cannot be read.
        """
        with self._lock:
            if monotonic() >= self._due:
                self._fold()
                self._due = monotonic() + FOLDED_EVERY
            return self._found

    def _forget(self) -> None:
        self._units: pl.DataFrame | None = None
        self._found: list[PolicyReward] = []
        self._row, self._deletion = 0, -1

    def _fold(self) -> None:
        last, deletion = self._log.last_row, self._log.last_deletion
        if deletion != self._deletion or last < self._row:
            self._forget()  # what was deleted must not count, and is not held by name
        self._deletion, self._row = deletion, max(self._row, last - NEWEST_ROWS)
        new = False
        while self._row < last:
            chunk = self._log.rows_after(self._row, limit=_CHUNK)
            self._row = chunk.last
            if chunk.frame.height:
                self._units, new = _folded(self._units, _rows(chunk.frame)), True
        if new and self._units is not None:
            self._found = _by_policy(self._units)


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what counts of rows: list, document, who, policy, highest rewards."""
    import polars as pl

    table = RewardTable()
    kinds = frame.select(types=pl.col("interaction_type")).unique(maintain_order=True)
    levels = [table.levels(types) for types in kinds["types"].to_list()]
    kinds = kinds.with_columns(
        plus=pl.Series([table.positive[plus] for plus, _ in levels], dtype=pl.Float64),
        minus=pl.Series([table.negative[minus] for _, minus in levels], dtype=pl.Float64),
        counts=pl.Series([is_document_level(types) for types in kinds["types"].to_list()]),
    )
    named = pl.col("metadata").str.json_path_match(_POLICY)
    known = pl.when(named.is_in(POLICIES)).then(named).when(named.is_not_null()).then(pl.lit(OTHER))
    who = pl.coalesce("user_id", "session_id", "execution_id")
    rows = frame.join(kinds, left_on="interaction_type", right_on="types")
    rows = rows.filter(pl.col("counts") & pl.col("execution_id").is_not_null())
    return rows.select(
        pl.col("execution_id").hash().alias("list"),
        pl.col("feature_id").hash().alias("document"),
        who.hash().alias("who"),
        known.cast(pl.Enum([*POLICIES, OTHER])).alias("policy"),
        "plus",
        "minus",
        "seq",
    )


def _folded(units: pl.DataFrame | None, rows: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    both = rows if units is None else pl.concat([units, rows])
    folded = both.group_by("list", "document").agg(
        pl.col("who").first(),
        pl.col("policy").drop_nulls().first(),
        pl.col("plus").max(),
        pl.col("minus").max(),
        pl.col("seq").min(),
    )
    return folded.top_k(MOST_DOCUMENTS, by="seq").select(both.columns)


def _by_policy(units: pl.DataFrame) -> list[PolicyReward]:
    import polars as pl

    lists = units.group_by("list", maintain_order=True).agg(
        pl.col("who").first(),
        pl.col("policy").drop_nulls().first(),
        (pl.col("plus") - pl.col("minus")).sum().alias("reward"),
    )
    lists = lists.filter(pl.col("policy").is_not_null())
    found = [_of_lists(str(name), own) for (name,), own in lists.group_by("policy")]
    return sorted(found, key=lambda each: (-each.lists, each.policy))


def _of_lists(policy: str, lists: pl.DataFrame) -> PolicyReward:
    rewards = lists["reward"].to_numpy()
    clusters = ClusteredErrors(lists["who"].rank("dense").to_numpy().astype("int64"))
    mean = float(rewards.mean())
    if clusters.count < _MIN_CLUSTERS:
        return PolicyReward(policy, len(rewards), mean, None, None)
    error = _Z * clusters.standard_error(rewards - mean)
    return PolicyReward(policy, len(rewards), mean, mean - error, mean + error)
