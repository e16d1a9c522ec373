"""Small random logs as dicts, and what behaviour features they imply, in plain Python."""

from __future__ import annotations

import datetime as dt
import json
import math

from hypothesis import strategies as st

from rankloom.datasets import canonical_query

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CURVE = (1.0, 0.5, 0.25)
STRENGTH = 4.0
WINDOWS = {"1d": 24, "2d": 48, "all": math.inf}
LEVELS = {
    "document": ((1,), None),
    "query_document": ((2, 1), "document"),
    "user_document": ((3, 1), "document"),
    "category": ((4,), None),
    "user_category": ((3, 4), "category"),
}


def at(hour):
    return START + dt.timedelta(hours=hour)


def hour_of(row):
    return (row["occurred_at"] - START) / dt.timedelta(hours=1)


def query_id(text):
    return canonical_query(json.dumps({"query": text}))


def row_of(execution, document, position, hour, kind, query, user, category):
    given = {
        "execution_id": execution,
        "feature_id": document,
        "position": position,
        "interaction_type": [kind],
        "occurred_at": at(hour),
        "query_snapshot": query and {"query": query},
        "user_id": user,
        "metadata": category and {"kind": category},
    }
    return {name: value for name, value in given.items() if value is not None}


@st.composite
def logs(draw):
    """Rows of some executions; query, user, category and position come with some rows only."""
    maybe = st.sampled_from
    rows = []
    for e in range(draw(st.integers(2, 6))):
        start = draw(st.integers(0, 72))
        query, user = draw(maybe(["p", "q"])), draw(maybe(["u", "v", None]))
        for d in draw(st.lists(maybe("abc"), min_size=1, max_size=3, unique=True)):
            position = draw(st.integers(0, 2))
            for n in range(draw(st.integers(1, 3))):
                kind = draw(maybe(["impression", "click"])) if n else "impression"
                rows.append(
                    row_of(
                        f"e{e}",
                        d,
                        position if n == 0 else draw(maybe([position, 0, None])),
                        start + draw(maybe([0, 0, 1, 30])),
                        kind,
                        draw(maybe([query, query, None])),
                        draw(maybe([user, None])),
                        draw(maybe(["x", "y", None])),
                    )
                )
    # One user and one unclicked document at all events: every column exists.
    rows.append(row_of("first", "a", 0, -200, "impression", "p", "u", "x"))
    return rows


def expected(rows, execution):
    """The features of every document of one execution, from rows before it alone."""
    own = [row for row in rows if row["execution_id"] == execution]
    now = min(map(hour_of, own))
    past = [row for row in rows if hour_of(row) < now]
    displays = [seen for seen in _displays(past, past) if seen]
    found = {}
    for document in {row["feature_id"] for row in own}:
        (mine,) = _displays(own, [row for row in own if row["feature_id"] == document])
        found[document] = _features(mine[0], displays, now)
    return found


def _displays(all_rows, rows):
    """Yield (ids, known_at of ids, position, shown, clicked) of displays; None: no position."""
    for e, d in sorted({(row["execution_id"], row["feature_id"]) for row in rows}):
        group = [row for row in all_rows if row["execution_id"] == e]
        mine = [row for row in group if row["feature_id"] == d]
        placed = [(hour_of(row), row["position"]) for row in mine if "position" in row]
        if not placed:
            yield None
            continue
        shown, position = min(placed)
        clicks = [hour_of(row) for row in mine if row["interaction_type"] == ["click"]]
        query = _earliest(_accepted(group), _query_of)
        user = _earliest(_accepted(group), lambda row: row.get("user_id"))
        category = _earliest(
            [(hour_of(row), row) for row in mine], lambda row: row.get("metadata", {}).get("kind")
        )
        named = {1: (-math.inf, d), 2: query, 3: user, 4: category}
        ids = {key: value[1] for key, value in named.items() if value}
        if 2 not in ids:
            ids[2], named[2] = f"own {e}", (-math.inf, None)
        known = {key: value[0] for key, value in named.items() if value}
        clicked = max(min(clicks), shown) if clicks else None
        yield ids, known, position, shown, clicked


def _query_of(row):
    return query_id(row["query_snapshot"]["query"]) if "query_snapshot" in row else None


def _accepted(rows):
    """Return (since, row): a row without a position is refused until its document was shown."""
    shown = {}
    for row in rows:
        if "position" in row:
            document = row["feature_id"]
            shown[document] = min(hour_of(row), shown.get(document, math.inf))
    return [
        (hour_of(row) if "position" in row else max(hour_of(row), shown[row["feature_id"]]), row)
        for row in rows
        if row["feature_id"] in shown
    ]


def _earliest(rows, value):
    named = [(since, value(row)) for since, row in rows if value(row) is not None]
    return min(named) if named else None


def _features(ids, displays, now):
    found, rates = {}, {}
    every = [(seen[2:], -math.inf) for seen in displays]
    overall = _rate(every, now, math.inf, None)
    for window, hours in WINDOWS.items():
        rates[None, window] = _rate(every, now, hours, overall)
    for level, (keys, parent) in LEVELS.items():
        name = f"behaviour_{level}"
        unknown = any(key not in ids for key in keys)
        same = [
            (seen[2:], max(seen[1][key] for key in keys))
            for seen in displays
            if not unknown and all(seen[0].get(key) == ids[key] for key in keys)
        ]
        times = [max(shown, since) for (_, shown, _), since in same]
        found[f"{name}_days_since_shown"] = (now - max(times)) / 24 if times else math.nan
        if level == "document":
            found[f"{name}_age_days"] = (now - min(times)) / 24 if times else math.nan
        for window, hours in WINDOWS.items():
            rate = math.nan if unknown else _rate(same, now, hours, rates[parent, window])
            clicks, shown, _ = _counts(same, now, hours)
            rates[level, window] = rate
            found[f"{name}_rate_{window}"] = rate
            found[f"{name}_clicks_{window}"] = math.nan if unknown else clicks
            found[f"{name}_shown_{window}"] = math.nan if unknown else shown
    return found


def _counts(displays, now, hours):
    clicks = shown = examined = 0
    for (position, shown_at, clicked_at), since in displays:
        if max(shown_at, since) >= now - hours:
            shown += 1
            examined += CURVE[position]
        clicks += clicked_at is not None and max(clicked_at, since) >= now - hours
    return clicks, shown, examined


def _rate(displays, now, hours, parent):
    clicks, _, examined = _counts(displays, now, hours)
    if parent is None:
        return clicks / examined if examined else math.nan
    return (clicks + STRENGTH * parent) / (examined + STRENGTH)
