"""Lists and users whose clicks the log's own click rates by position do not explain: likely bots.

A unit is a list of at least 5 documents, or all lists of a user with at least 3 lists and 20
documents. It is taken for a bot if `ClickMixture` gives it a probability above 1/2 (a user: 0.99)
of clicking every document with one probability of at least 1/2 rather than as the others do.
Any unit is so only where all of this holds in a random sample of units:

- bots beside honest units are likelier than honest units alone by a factor of e^10;
- bots click alike at all positions: rates that differ by position are no better (likelihood
  ratio test at 0.001), as they are where some people read everything;
- the odds of a bot are 2 standard deviations above those of an honest unit, in the mean over
  positions: else they are the most eager of many;
- at most half of the units are bots, and documents were shown at more than one position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from .click_mixture import Bots, ClickMixture, ClickUnits, HonestUnits, Readers
from .notes import share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MIN_DOCUMENTS: Final = 5
"""Documents that a list must show to be judged by itself."""

MIN_USER_LISTS: Final = 3
MIN_USER_DOCUMENTS: Final = 20

_MIN_EVIDENCE: Final = 10.0
_MIN_DISTANCE: Final = 2.0
_MAX_SHARE: Final = 0.5
_NORMAL_999: Final = 3.090
_SAMPLED_LISTS, _SAMPLED_USERS = 4_000, 2_000
_LIST_LIMIT, _USER_LIMIT = 0.5, 0.99
_CHUNK: Final = 20_000
_EDGES: Final = np.unique(np.r_[np.arange(20), np.round(20 * 1.35 ** np.arange(14))]).astype(int)
"""First position of every bin: the first 20 positions are bins of their own."""


class ClickLists(NamedTuple):
    """Lists and what was clicked in them.

    `group` (e,) is the number of documents of every list, `position` and `clicked` (n,) belong to
    the documents, list by list; `user` (e,) is a code, -1 where none is named.
    """

    group: NDArray[np.int32]
    position: NDArray[np.int32]
    clicked: NDArray[np.bool_]
    user: NDArray[np.int32]


@dataclass(frozen=True)
class BotLists:
    """What looks like bots.

    Attributes
    ----------
    lists : ndarray of bool, shape (e,)
        Lists that do, by themselves or because their user does.
    shown : int
        Lists that show any document.
    users, users_known : int
        Users that do; users that are named at all.
    """

    lists: NDArray[np.bool_]
    shown: int
    users: int
    users_known: int

    def notes(self, *, dropped: bool) -> list[str]:
        """Return what to say of them: nothing where there are none."""
        count = int(self.lists.sum())
        if not count:
            return []
        who = share(count, self.shown, "executions")
        if self.users:
            who += f" and {share(self.users, self.users_known, 'users')}"
        outcome = "bend the examination curve: drop_bots=True leaves them out"
        if dropped:
            outcome = "were left out"
        note = (
            f"{who} click at least about half of what is shown, wherever it stands, which the "
            f"log's own click rates by position do not explain. These likely bots {outcome}"
        )
        return [note]


def find_bots(lists: ClickLists) -> BotLists:
    """Return which lists and users look like bots, by the rule of this module.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rates = np.tile([0.4, 0.2, 0.1, 0.07, 0.05, 0.05, 0.04, 0.04], (2_000, 1))
    >>> rates[:80] = 0.8
    >>> clicked = (rng.random(rates.shape) < rates).ravel()
    >>> group, user = np.full(2_000, 8, np.int32), np.full(2_000, -1, np.int32)
    >>> position = np.tile(np.arange(8, dtype=np.int32), 2_000)
    >>> found = find_bots(ClickLists(group, position, clicked, user)).lists
    >>> bool(found[:80].mean() > 0.9), bool(found[80:].mean() < 0.01)
    (True, True)
    """
    found = np.zeros(len(lists.group), np.bool_)
    long = np.flatnonzero(lists.group >= MIN_DOCUMENTS)
    found[_bots_among(lists, long, np.arange(len(long)), _SAMPLED_LISTS, _LIST_LIMIT)] = True
    named = np.flatnonzero((lists.user >= 0) & (lists.group > 0))
    users = np.bincount(lists.user[named])
    shown = np.bincount(lists.user[named], lists.group[named])
    enough = (users >= MIN_USER_LISTS) & (shown >= MIN_USER_DOCUMENTS)
    chosen = named[enough[lists.user[named]]]
    unit = (np.cumsum(enough) - 1)[lists.user[chosen]]
    of_bots = _bots_among(lists, chosen, unit, _SAMPLED_USERS, _USER_LIMIT)
    found[of_bots] = True
    return BotLists(
        found,
        shown=int(np.count_nonzero(lists.group)),
        users=len(np.unique(lists.user[of_bots])),
        users_known=int(np.count_nonzero(users)),
    )


def _bots_among(
    lists: ClickLists, chosen: NDArray[np.int64], unit: NDArray[np.int64], sample: int, limit: float
) -> NDArray[np.int64]:
    """Return those of the chosen lists whose unit, a number from 0 on, is a bot."""
    if not len(chosen):
        return chosen
    offsets = np.r_[0, np.cumsum(lists.group, dtype=np.int64)]
    drawn = _drawn(int(unit.max()) + 1, sample)
    part = drawn[unit]
    position = lists.position[_rows(offsets, chosen[part])]
    edges = _EDGES[np.unique(np.maximum(np.searchsorted(_EDGES, position, side="right") - 1, 0))]
    number = (np.cumsum(drawn) - 1)[unit[part]]
    mixture = _mixture_with_bots(_merged(_counts(lists, offsets, chosen[part], number, edges)))
    if mixture is None:
        return chosen[:0]
    order = np.argsort(unit, kind="stable")
    chosen, unit = chosen[order], unit[order]
    posterior = [
        mixture.posterior(_counts(lists, offsets, chosen[some], unit[some] - unit[some][0], edges))
        for some in _chunks(unit)
    ]
    return chosen[(np.concatenate(posterior) > limit)[unit]]


def _drawn(units: int, sample: int) -> NDArray[np.bool_]:
    """Draw some units, always the same: a log is judged alike whenever it is read."""
    drawn = np.full(units, units <= sample)
    if units > sample:
        drawn[np.random.default_rng(0).choice(units, sample, replace=False)] = True
    return drawn


def _mixture_with_bots(units: ClickUnits) -> ClickMixture | None:
    """Return the mixture of honest units and bots if the rule of this module holds."""
    positions = units.shown.shape[1]
    if positions < 2:
        return None
    honest = ClickMixture(HonestUnits.start(units))
    alone = honest.fit(units)
    bots = Bots()
    mixture = ClickMixture(HonestUnits(honest.honest.logit, honest.honest.spread), bots)
    together = mixture.fit(units)
    if together - alone < _MIN_EVIDENCE or mixture.share > _MAX_SHARE:
        return None
    appeal, weight = mixture.honest, units.number @ units.shown
    distance = np.average(np.log(bots.rate / (1 - bots.rate)) - appeal.logit, weights=weight)
    if distance < _MIN_DISTANCE * appeal.spread:
        return None
    posterior = mixture.posterior(units)
    readers = ClickMixture(
        HonestUnits(appeal.logit, appeal.spread),
        Readers.start(units, units.number * posterior),
        mixture.share,
    )
    if readers.fit(units) - together > _chi_square_999(positions - 1) / 2:
        return None
    return mixture


def _chi_square_999(freedom: int) -> float:
    """Return the 0.999 quantile of chi square (Wilson and Hilferty, 1931; within 1 % from 2 on)."""
    variance = 2 / (9 * freedom)
    return float(freedom * (1 - variance + _NORMAL_999 * np.sqrt(variance)) ** 3)


def _rows(offsets: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the documents of the chosen lists."""
    group = offsets[chosen + 1] - offsets[chosen]
    ends = np.cumsum(group)
    rows: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(offsets[chosen] - ends + group, group)
    return rows


def _counts(
    lists: ClickLists,
    offsets: NDArray[np.int64],
    chosen: NDArray[np.int64],
    unit: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> ClickUnits:
    """Return what was shown and clicked by unit and bin of positions."""
    rows = _rows(offsets, chosen)
    place = np.maximum(np.searchsorted(edges, lists.position[rows], side="right") - 1, 0)
    key = np.repeat(unit * len(edges), lists.group[chosen]) + place
    shape = int(unit.max()) + 1, len(edges)
    cells = shape[0] * shape[1]
    shown = np.bincount(key, minlength=cells).astype(np.float64)
    clicked = np.bincount(key, lists.clicked[rows], cells).astype(np.float64)
    return ClickUnits(shown.reshape(shape), clicked.reshape(shape), np.ones(shape[0]))


def _merged(units: ClickUnits) -> ClickUnits:
    """Return every distinct unit once with the number of those alike: most lists are."""
    # Sums of random numbers: two distinct units are taken for one with a probability of 2^-64.
    factors = np.random.default_rng(0).integers(1 << 63, size=(2, units.shown.shape[1]))
    key = units.shown.astype(np.int64) @ factors[0] + units.clicked.astype(np.int64) @ factors[1]
    _, first, number = np.unique(key, return_index=True, return_counts=True)
    return ClickUnits(units.shown[first], units.clicked[first], number.astype(np.float64))


def _chunks(unit: NDArray[np.int64]) -> Iterator[slice]:
    """Yield slices of ordered lists that hold whole units, some 20,000 of them each."""
    starts = np.searchsorted(unit, np.arange(0, int(unit[-1]) + 1, _CHUNK))
    for start, end in zip(starts, np.append(starts[1:], len(unit)), strict=True):
        yield slice(start, end)
