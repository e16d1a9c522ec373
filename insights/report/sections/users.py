"""Users: how many there are, how often they search, and on request what the log holds of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..blocks import Missing, Notes, Picture, Section, Table, View, cut
from ..charts.rows import Bar, BarChart
from ..wording import counted, part, percent

if TYPE_CHECKING:
    from ..blocks import Block, Facts
    from ..log import ReportLog

GROUPS: Final = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 50), (51, None))
"""Fewest and most searches of a user."""


def facts(log: ReportLog) -> Facts | Missing:
    """Return how many searches users make; of one user only where that was asked for."""
    users = log.searches.user
    if not users.known.any():
        return Missing(
            "No row names a user.",
            "Log user_id with every interaction; a pseudonym is enough. It also lets intervals "
            "allow for persons who search several times.",
        )
    searches = np.bincount(users.codes[users.known])
    searches = np.sort(searches[searches > 0])[::-1]
    groups = [
        {
            "from": low,
            "to": high,
            "users": int(((searches >= low) & (searches <= (high or np.inf))).sum()),
        }
        for low, high in GROUPS
    ]
    top = max(len(searches) // 100, 1)
    return {
        "users": len(searches),
        "searches": int(searches.sum()),
        "searches_without_user": int((~users.known).sum()),
        "median": float(np.median(searches)),
        "groups": groups,
        "most_active": top,
        "most_active_share": float(searches[:top].sum() / searches.sum()),
        "user": _of_user(log),
        "max_rows": log.max_rows,
    }


def _of_user(log: ReportLog) -> dict[str, Any] | None:
    from ...users.user_metrics import user_metrics

    if log.user is None:
        return None
    return user_metrics(
        log.source, log.user, impressions=log.impressions, grades=log.grades, **log.reading
    ).to_dict()


def view(found: Facts) -> View:
    """Return the distribution as bars, and the tables of the user that was asked for."""
    bars = [Bar(_name(group), group["users"], f"{group['users']:,}") for group in found["groups"]]
    sentence = (
        "Users by their number of searches; all were counted, so this is exact. Their ids are not "
        "shown."
    )
    if found["user"] is not None:
        sentence = sentence.replace("Their ids are", "Ids but the one asked for are")
    blocks: list[Block] = [Picture(BarChart(bars), sentence)]
    if found["user"] is not None:
        blocks += _user(found["user"], found["max_rows"])
    return View(headline(found), blocks)


def _name(group: Facts) -> str:
    low, high = group["from"], group["to"]
    if high is None:
        return f"{low} or more searches"
    return f"{counted(low, 'search', 'searches')}" if low == high else f"{low} to {high} searches"


def headline(found: Facts) -> str:
    """Say how many users there are, and how uneven their activity is."""
    total = found["searches"]
    top, share = counted(found["most_active"], "user"), percent(found["most_active_share"])
    text = (
        f"{counted(found['users'], 'user')} made {counted(total, 'search', 'searches')}, "
        f"{found['median']:g} in the median."
    )
    if found["users"] > 1:
        text += f" The most active {top} made {share} of them."
    without = found["searches_without_user"]
    if without:
        verb = "names" if without == 1 else "name"
        text += f" Of all searches, {part(without, total + without)} {verb} no user."
    return text


def _user(user: Facts, limit: int) -> list[Block]:
    """Return what the log holds of the user that was asked for."""
    numbers = [
        (name.replace("_", " "), str(user[name]))
        for name in (
            "rows",
            "linked_rows",
            "searches",
            "sessions",
            "shown",
            "engaged",
            "first_seen",
            "last_seen",
        )
        if user[name] is not None
    ]
    blocks: list[Block] = [Table(f"The user {user['user_id']}", ("what", "value"), numbers)]
    for name, columns in (
        ("queries", ("query", "searches", "shown", "engaged")),
        ("documents", ("feature_id", "shown", "engaged", "grade")),
        ("types", ("type", "rows")),
    ):
        rows = [[str(row[column]) for column in columns] for row in user[name]]
        shown, left_out = cut(rows, limit, "row")
        blocks.append(Table(f"Their {name}", columns, shown, left_out=left_out))
    if user["notes"]:
        blocks.append(Notes("What to know of this user's rows", user["notes"]))
    return blocks


SECTION = Section("users", "Users", facts, view)
