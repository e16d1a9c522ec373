"""The sums of a user, a session and a query, from their rows of a store and without any kernel."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..base.code_table import CodeTable
from ..base.sums import ArmSums, QuerySums
from ..evidence.credit import BLOCKS
from ..evidence.query_sums import read_queries
from ..sessions.session_sums import CountingRules, PersonalSums, UnitContributions, aligned, counted
from ..sessions.session_units import SESSION_LENGTH
from ..units.record import LIVE
from ..units.stored_rows import unit_batch
from ..units.user_resets import UserResets
from .serialization import checked_units, read_users, served_row

if TYPE_CHECKING:
    from ..base.identity import Identity
    from ..base.rewards import RewardTable
    from .serialization import StoredSettings
    from .transaction import StoredPerson, Transaction

_SEGMENTS = CodeTable[tuple[str, ...]]()
"""None: personal sums are of no segment."""


def read_person(
    t: Transaction, user: int, session: int, query: int
) -> tuple[StoredSettings, StoredPerson] | None:
    """Return the settings and what is stored of user, session and query, `NO_ID` for none."""
    settings = t.settings()
    return None if settings is None else (settings, t.person(user, session, query))


def personal_sums(
    settings: StoredSettings,
    person: StoredPerson,
    *,
    user: int,
    session: int,
    arms: tuple[str, ...] | None,
    now: int,
    time: int,
) -> PersonalSums:
    """Return the sums of a user, a session and a query; see `Store.personal_sums`."""
    arms = settings.arms if arms is None else arms
    sums = _sums_of_person(
        settings, person, user=user, session=session, arms=arms, now=now, time=time
    )
    if person.query is None:
        return sums
    table = served_row(person.query, arms)
    if table is None:
        return sums
    half_life = settings.identity.half_life_us
    return sums._replace(query=QuerySums.of(read_queries(table, arms, time, half_life)))


def _sums_of_person(
    settings: StoredSettings,
    person: StoredPerson,
    *,
    user: int,
    session: int,
    arms: tuple[str, ...],
    now: int,
    time: int,
) -> PersonalSums:
    """Return the sums of a user and a session, each unit once."""
    if not (user or session):
        return PersonalSums()
    identity, resets = settings.identity, UserResets(person.resets)
    rules = CountingRules(identity, _reward_table(identity), resets)
    values = checked_units([*person.user.units, *person.other_units])
    records, _, contributions = unit_batch(values, _codes(arms), _SEGMENTS)
    counts = counted(records, resets)
    in_session = (records["session"] == session) & ((records["flags"] & LIVE) != 0)
    newest = records["time"][in_session].max(initial=now) if session else now
    in_session &= (records["time"] > now - SESSION_LENGTH) & bool(session)
    units = UnitContributions.of(records, contributions, rules)
    chosen, sums = in_session & counts, PersonalSums()
    if chosen.any():
        sums = PersonalSums(None, units.sums(chosen, int(newest)), int(chosen.sum()))
    if not user:
        return sums
    of_user = units.sums(counts & ~in_session & (records["user"] == user), time)
    if person.user.closed is not None:
        closed = _closed_sums(settings, user, person.user.closed, time)
        closed = aligned(closed, settings.arms, arms)
        of_user = ArmSums(*(a + b for a, b in zip(of_user, closed, strict=True)))
    return sums._replace(user=of_user)


def _closed_sums(settings: StoredSettings, user: int, row: bytes, time: int) -> ArmSums:
    table = read_users({user: row}, len(settings.arms))
    values = table.decayed_to(np.maximum(table.times, time), settings.identity.half_life_us)
    N, S, F, _ = values.reshape(BLOCKS, len(settings.arms))
    return ArmSums(N, S, F)


@lru_cache(maxsize=64)
def _reward_table(identity: Identity) -> RewardTable:
    return identity.reward_table()


@lru_cache(maxsize=64)
def _codes(arms: tuple[str, ...]) -> CodeTable[str]:
    """Return the codes of some arms, which are the same at every request."""
    return CodeTable(arms)
