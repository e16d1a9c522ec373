"""What concerns a whole log, from its parts: common codes, and the order of the executions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ..pairs.executions import execution_order
from ..pairs.text_codes import index_among, inverse, recode
from ..quality.positions import PositionCounts
from .ids_met import notes_of
from .part import Part, PartCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MergedLog:
    """The executions of all parts in one order; e executions.

    Attributes
    ----------
    parts : list of Part
    part : ndarray of int32, shape (e,)
        Part of each execution, by time and then by id.
    place : ndarray of int64, shape (e,)
        Its number among the executions of its part.
    group : ndarray of int32, shape (e,)
        Pairs of each; 0 where it was dropped.
    first_time : ndarray of int64, shape (e,)
        Microseconds, `NO_TIME` where there is none.
    query : ndarray of int32, shape (e,)
        Index into `queries`, -1 where no row names a query.
    user : ndarray of int32, shape (e,)
        Number of the user in the order of first appearance, -1 where none is named.
    queries, documents, channels : Series of String
        Distinct and sorted.
    features : tuple of str
        Columns of the parts' features that are features of the log.
    document_codes, channel_codes : list of ndarray of int32
        For each part, its documents and channels among the common ones.
    """

    parts: list[Part]
    part: NDArray[np.int32]
    place: NDArray[np.int64]
    group: NDArray[np.int32]
    first_time: NDArray[np.int64]
    query: NDArray[np.int32]
    user: NDArray[np.int32]
    queries: pl.Series
    documents: pl.Series
    channels: pl.Series
    document_codes: list[NDArray[np.int32]]
    channel_codes: list[NDArray[np.int32]]
    features: tuple[str, ...]

    @property
    def counts(self) -> PartCounts:
        """Sums over the parts."""
        return reduce(PartCounts.__add__, (part.counts for part in self.parts))

    @property
    def positions(self) -> PositionCounts:
        """How the positions of all lists look."""
        return reduce(PositionCounts.__add__, (part.positions for part in self.parts))

    @property
    def latest(self) -> int:
        """Time of the last row, in microseconds."""
        return max(part.latest for part in self.parts)

    def notes_of_ids(self) -> list[str]:
        """Return what to say of ids that only one of interactions and impressions has."""
        return notes_of([part.met for part in self.parts if part.met is not None])

    def without(self, dropped: NDArray[np.bool_]) -> MergedLog:
        """Return the log with some executions dropped; shape (e,)."""
        return replace(self, group=np.where(dropped, np.int32(0), self.group))

    def with_features(self, features: Sequence[str]) -> MergedLog:
        """Return the log with some of the features."""
        return replace(self, features=tuple(features))

    @property
    def kept(self) -> NDArray[np.int64]:
        """Executions that make pairs."""
        return np.flatnonzero(self.group)


def merge_parts(parts: Sequence[Part]) -> MergedLog:
    """Return what the parts of a log, at least one, are together."""
    part = np.repeat(np.arange(len(parts), dtype=np.int32), [len(each.ids) for each in parts])
    place = np.concatenate([np.arange(len(each.ids)) for each in parts])
    first_time = np.concatenate([each.first_time for each in parts])
    order = np.arange(len(part))
    if len(parts) > 1:
        order = execution_order(first_time, ExecutionTexts(parts, part, place, "execution_id"))
    # Texts that only refused rows name are not those of the log.
    refused = any(each.counts.refused for each in parts)
    (queries, query_codes), (documents, document_codes), (channels, channel_codes) = (
        _used_of(parts, name) if refused and parts[0].used else _common_of(parts, name)
        for name in ("queries", "documents", "channels")
    )
    _, user_codes = _common([each.users for each in parts])
    return MergedLog(
        parts=list(parts),
        part=part[order],
        place=place[order],
        group=np.concatenate([each.pairs.group for each in parts])[order],
        first_time=first_time[order],
        query=_recoded([each.query for each in parts], query_codes)[order],
        user=_by_appearance(_recoded([each.user for each in parts], user_codes)[order]),
        queries=queries,
        documents=documents,
        channels=channels,
        document_codes=document_codes,
        channel_codes=channel_codes,
        features=parts[0].features,
    )


@dataclass(frozen=True)
class ExecutionTexts:
    """A column of texts of executions, read from their parts when it is asked for."""

    parts: Sequence[Part]
    part: NDArray[np.int32]
    place: NDArray[np.int64]
    name: str

    def gather(self, indices: NDArray[np.int64], /) -> pl.Series:
        """Return the texts of some executions, by their numbers."""
        if len(self.parts) == 1:
            return self.parts[0].texts(self.name, 0, len(self.place)).gather(self.place[indices])
        part, place = self.part[indices], self.place[indices]
        order, texts = [np.empty(0, np.int64)], [pl.Series(self.name, dtype=pl.String)]
        for number in np.unique(part):
            at = np.flatnonzero(part == number)
            start, end = int(place[at].min()), int(place[at].max()) + 1
            values = self.parts[number].texts(self.name, start, end)
            texts.append(values.gather(place[at] - start))
            order.append(at)
        return pl.concat(texts).gather(inverse(np.concatenate(order)))


def _common_of(parts: Sequence[Part], name: str) -> tuple[pl.Series, list[NDArray[np.int32]]]:
    return _common([getattr(part, name) for part in parts])


def _used_of(parts: Sequence[Part], name: str) -> tuple[pl.Series, list[NDArray[np.int32]]]:
    """Return those of the shared texts that any part's rows name, and the shared ones' codes."""
    texts: pl.Series = getattr(parts[0], name)
    packed = np.bitwise_or.reduce([part.used[name] for part in parts])
    used = np.unpackbits(packed, count=len(texts)).astype(np.bool_)
    codes = np.where(used, np.cumsum(used) - 1, -1).astype(np.int32)
    return texts.filter(pl.Series(used)), [codes] * len(parts)


def _common(texts: list[pl.Series]) -> tuple[pl.Series, list[NDArray[np.int32]]]:
    """Return the distinct texts of all parts, sorted, and the codes of each part's among them."""
    if all(each is texts[0] for each in texts):
        return texts[0], [np.arange(len(texts[0]), dtype=np.int32)] * len(texts)
    distinct = pl.concat(texts).unique().sort()
    return distinct, [index_among(each, distinct).astype(np.int32) for each in texts]


def _recoded(codes: list[NDArray[np.int32]], new: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate([recode(*each) for each in zip(codes, new, strict=True)])


def _by_appearance(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return codes numbered in the order in which they first appear; -1 stays."""
    known = np.flatnonzero(codes >= 0)
    distinct, first = np.unique(codes[known], return_index=True)
    number = np.full(int(distinct.max(initial=-1)) + 1, -1, np.int32)
    number[distinct[np.argsort(first)]] = np.arange(len(distinct), dtype=np.int32)
    return recode(codes, number)
