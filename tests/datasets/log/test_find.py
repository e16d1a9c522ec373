"""Searching the log gives what a plain reading of the rows gives, page by page."""

import base64
import datetime as dt
import sqlite3

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom import InteractionLog
from rankloom.datasets.log.filter_fields import SORTABLE
from rankloom.errors import InvalidInputError, StoreError

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
TEXTS = ("feature_id", "user_id", "session_id", "execution_id", "feature_uri", "retriever_id")
WORDS = ["a", "A", "ab", "b", "é", "É", "%", "_", 'quo"te', "10", "9", "x\0y"]
KEYS = ("k", "m.n", "absent")
VALUES = [0, 1, 1.0, 2, -1.5, "1", "a", "Ab", "ba", True, False, None, [1], {"n": 3}, 2**60]


def row_of(number):
    """Return the row of a number; every field varies with a period of its own."""

    def pick(options, period):
        return options[number * 7 // period % len(options)]

    row = {
        "feature_id": pick(WORDS, 3),
        "interaction_type": pick([["click"], ["view", "click"], ["dwell"]], 2),
        "position": number % 5,
        "user_id": pick([None, *WORDS], 5),
        "session_id": pick([*WORDS, None], 4),
        "execution_id": pick([None, "e1", "e2"], 6) and f"e{number // 40}",
        "feature_uri": pick([None, "text", "image"], 2),
        "retriever_id": pick([None, "r1", "r2"], 3),
        "document_score": pick([None, 0.5, 1, -2.5], 3),
        "result_set_size": pick([None, 1, 2], 2),
        "metadata": pick(
            [None, {}, {"k": VALUES[number % len(VALUES)], "m": {"n": number % 3}}], 2
        ),
        "query_snapshot": pick([None, "a", {"a": 1}], 2),
    }
    if number % 3:
        row["occurred_at"] = (NOON + dt.timedelta(hours=number % 11)).isoformat()
    return row


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def log(request):
    return request.getfixturevalue(f"{request.param}_log")


@pytest.fixture(scope="module")
def sqlite_log(tmp_path_factory):
    yield from filled(f"sqlite:///{tmp_path_factory.mktemp('log')}/log.db")


@pytest.fixture(scope="module")
def postgres_log(module_postgres_schema):
    yield from filled(module_postgres_schema())


def filled(url):
    with InteractionLog(url) as opened:
        for start in range(0, 200, 40):
            report = opened.record_batch([row_of(i) for i in range(start, start + 40)])
            assert report.failed == 0
        opened.within("other").record_batch([row_of(i) for i in range(50)])
        yield opened


@pytest.fixture(scope="module")
def rows(log):
    """All rows, oldest first."""
    return log.find(sort=("timestamp", "asc"), limit=1_000).items


def value_of(item, field):
    """Return what a field holds; JSON values as (kind, value)."""
    if field.startswith("metadata."):
        value = item.metadata
        for key in field.split(".")[1:]:
            value = value.get(key) if isinstance(value, dict) else None
        return value
    if field == "query_snapshot":
        value = item.query_snapshot
        return value if value is None or isinstance(value, str) else '{"a":1}'
    return getattr(item, {"created_at": "timestamp", "document_id": "feature_id"}.get(field, field))


def kind(value):
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else type(value).__name__


def lower(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


def holds(item, field, operator, value, *, case_sensitive):  # noqa: PLR0911 - one line an operator
    found = value_of(item, field)
    if operator in {"exists", "is_null"}:
        return ((found is not None) == (operator == "exists")) == value
    if operator in {"ne", "nin"}:
        opposite = {"ne": "eq", "nin": "in"}[operator]
        return not holds(item, field, opposite, value, case_sensitive=True)
    if field == "interaction_type":
        return any(name in found for name in (value if operator == "in" else [value]))
    if operator == "in":
        return any(holds(item, field, "eq", each, case_sensitive=True) for each in value)
    if operator == "eq" and value is None:
        return found is None
    if field in {"occurred_at", "timestamp", "created_at"}:
        value = dt.datetime.fromisoformat(value)
    if found is None or kind(found) != kind(value):
        return False
    if operator in {"contains", "starts_with"}:
        if not case_sensitive:
            found, value = lower(found), lower(value)
        return value in found if operator == "contains" else found.startswith(value)
    return {
        "eq": lambda: found == value,
        "gt": lambda: found > value,
        "gte": lambda: found >= value,
        "lt": lambda: found < value,
        "lte": lambda: found <= value,
    }[operator]()


def matches(item, node, *, case_sensitive=False):
    """The plain reading of a tree."""
    if "field" in node:
        arguments = node["field"], node.get("operator", "eq"), node.get("value")
        return holds(item, *arguments, case_sensitive=case_sensitive)
    case_sensitive = node.get("case_sensitive", case_sensitive)
    parts = []
    for name, value in node.items():
        if name in {"AND", "OR", "NOT"}:
            inner = [matches(item, each, case_sensitive=case_sensitive) for each in value]
            parts.append({"AND": all(inner), "OR": any(inner), "NOT": not any(inner)}[name])
        elif name != "case_sensitive":
            pairs = value.items() if isinstance(value, dict) else [("eq", value)]
            parts += [holds(item, name, o, v, case_sensitive=case_sensitive) for o, v in pairs]
    return all(parts)


words = st.sampled_from([w for w in WORDS if "\0" not in w] + ["e1", "e2", "text", "r1"])
numbers = st.integers(-3, 6) | st.sampled_from([0.5, -2.5, 1e300, 2**62])
moments = st.integers(-1, 12).map(lambda h: (NOON + dt.timedelta(hours=h)).isoformat())
flags = st.booleans()
ORDER = ["gt", "gte", "lt", "lte"]


def conditions(field, values, operators):
    """Return leaves (field, operator, value) of one field."""
    one = st.tuples(st.just(field), st.sampled_from(operators), values)
    some = st.tuples(
        st.just(field), st.sampled_from(["in", "nin"]), st.lists(values, min_size=1, max_size=3)
    )
    null = st.tuples(st.just(field), st.sampled_from(["exists", "is_null"]), flags)
    none = st.tuples(st.just(field), st.sampled_from(["eq", "ne"]), st.none())
    return one | some | null | none


leaves = st.one_of(
    *[
        conditions(name, words, ["eq", "ne", *ORDER, "contains", "starts_with"])
        for name in (*TEXTS, "query_snapshot", "document_id")
    ],
    conditions(
        "interaction_type", st.sampled_from(["click", "view", "cl", "x"]), ["eq", "ne", "contains"]
    ),
    *[
        conditions(name, numbers, ["eq", "ne", *ORDER])
        for name in ("position", "document_score", "result_set_size")
    ],
    *[
        conditions(name, moments, ["eq", "ne", *ORDER])
        for name in ("occurred_at", "timestamp", "created_at")
    ],
    *[
        conditions(f"metadata.{key}", numbers | words, ["eq", "ne", *ORDER])
        | conditions(f"metadata.{key}", flags, ["eq", "ne"])
        | conditions(f"metadata.{key}", words, ["contains", "starts_with"])
        for key in KEYS
    ],
)
nodes = st.recursive(
    leaves.map(lambda leaf: dict(zip(("field", "operator", "value"), leaf, strict=True)))
    | leaves.map(lambda leaf: {leaf[0]: {leaf[1]: leaf[2]}})
    | leaves.filter(lambda leaf: leaf[1] == "eq").map(lambda leaf: {leaf[0]: leaf[2]}),
    lambda inner: st.builds(
        lambda name, parts, case: (
            {name: parts} | ({} if case is None else {"case_sensitive": case})
        ),
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, min_size=1, max_size=3),
        st.none() | flags,
    ),
    max_leaves=6,
).filter(lambda node: "field" not in node)


@settings(max_examples=150, deadline=None)
@given(tree=nodes)
def test_a_search_finds_what_a_plain_reading_finds(log, rows, tree):
    page = log.find(tree, sort=("timestamp", "asc"), limit=1_000, include_total=True)
    assert page.items == [item for item in rows if matches(item, tree)]
    assert page.total == len(page.items)
    assert page.next_cursor is None


@settings(max_examples=60, deadline=None)
@given(
    tree=st.just({}) | nodes,
    field=st.sampled_from(sorted(SORTABLE)),
    way=st.sampled_from(["asc", "desc"]),
    limit=st.integers(1, 90),
)
def test_pages_join_to_the_sorted_whole(log, rows, tree, field, way, limit):
    """Absent values come last, ties go by the order of storing, in the same direction."""
    found = [item for item in rows if matches(item, tree)]
    if way == "desc":
        found.reverse()
    given = [item for item in found if value_of(item, field) is not None]
    given.sort(key=lambda item: value_of(item, field), reverse=way == "desc")
    if way == "desc":  # a reversed sort keeps the order of ties
        assert given == sorted(given, key=lambda item: value_of(item, field), reverse=True)
    whole = given + [item for item in found if value_of(item, field) is None]
    pages, cursor = [], None
    while True:
        page = log.find(tree, sort=(field, way), limit=limit, cursor=cursor)
        pages += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.items) == limit
    assert pages == whole
    assert log.find(tree, sort=(field, way), offset=3, limit=5).items == whole[3:8]


def test_every_view_sees_its_own_rows_only(log, rows):
    view = log.within("default", "r1")
    assert view.find(limit=1_000, sort=("timestamp", "asc")).items == [
        item for item in rows if item.retriever_id == "r1"
    ]
    assert log.within("other").find(include_total=True).total == 50
    for sneaky in (
        {"OR": [{"retriever_id": "r2"}, {"position": {"gte": 0}}]},
        {"NOT": [{"user_id": "a"}]},
    ):
        assert {item.retriever_id for item in view.find(sneaky, limit=1_000).items} == {"r1"}


def test_new_rows_do_not_shift_the_pages_of_a_cursor(tmp_path):
    def row(document):
        return {"feature_id": document, "interaction_type": ["click"], "position": 0}

    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as log:
        log.record_batch([row(str(i)) for i in range(4)])
        first = log.find(limit=2)
        log.record(row("new"))
        second = log.find(limit=2, cursor=first.next_cursor)
        assert [i.feature_id for i in first.items + second.items] == ["3", "2", "1", "0"]


def test_large_rows_end_a_page_early_and_the_cursor_goes_on_behind_them(tmp_path):
    """A page is held in memory as a whole: its rows may be two million characters each."""
    row = {"interaction_type": ["click"], "position": 0, "query_snapshot": "x" * 900_000}
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as opened:
        opened.record_batch([{**row, "feature_id": str(n)} for n in range(20)])
        first = opened.find(sort=("timestamp", "asc"), limit=20)
        second = opened.find(sort=("timestamp", "asc"), limit=20, cursor=first.next_cursor)
        third = opened.find(sort=("timestamp", "asc"), limit=20, cursor=second.next_cursor)
    pages = [[int(each.feature_id) for each in page.items] for page in (first, second, third)]
    assert [len(page) for page in pages] == [9, 9, 2]
    assert [number for page in pages for number in page] == list(range(20))
    assert third.next_cursor is None


def test_a_cursor_fits_its_own_search_only(log):
    search = {"filters": {"position": {"gte": 1}}, "sort": ("position", "asc")}
    cursor = log.find(**search, limit=2).next_cursor
    assert log.find(**search, limit=3, cursor=cursor).items
    others = [
        (log.within("other"), search),
        (log.within("default", "r1"), search),
        (log, search | {"sort": ("position", "desc")}),
        (log, search | {"sort": ("timestamp", "asc")}),
        (log, search | {"filters": {"position": {"gte": 2}}}),
        (log, search | {"filters": None}),
    ]
    for view, other in others:
        with pytest.raises(InvalidInputError, match="cursor"):
            view.find(**other, cursor=cursor)


def forged(*parts):
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode()


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=40)
    | st.binary(max_size=40).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_a_made_up_cursor_is_refused(log, cursor):
    with pytest.raises(InvalidInputError, match="cursor"):
        log.find(cursor=cursor)


def test_a_forged_cursor_shows_no_row_of_others(log):
    """Even who knows the digest only moves within the same search."""
    cursor = log.within("other").find(limit=1).next_cursor
    digest = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=="))[0]
    view = log.within("other")
    assert len(view.find(cursor=forged(digest, None, 10**6), limit=1_000).items) == 50
    for seq in (2**63, -(2**63) - 1, 10**30, "1", None):
        with pytest.raises(InvalidInputError, match="cursor"):
            view.find(cursor=forged(digest, None, seq))


def nested(depth):
    return {"position": 1} if depth == 0 else {"AND": [nested(depth - 1)]}


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"positon": 1}, "Did you mean 'position'"),
        ({"position": {"lt ": 1}}, "Did you mean 'lt'"),
        ({"field": "position", "operator": "regex", "value": "x"}, "unknown operator"),
        ({"field": "position", "extra": 1}, "extra"),
        ({"field": ["position"], "value": 1}, "name of a field"),
        ({"position": "1"}, "finite number"),
        ({"position": float("nan")}, "finite number"),
        ({"position": 2**63}, "64 bits"),
        ({"position": True}, "finite number"),
        ({"position": {}}, "empty condition"),
        ({"position": {"contains": "1"}}, "position contains"),
        ({"user_id": 1.5}, "expected text"),
        ({"user_id": "a\0"}, "expected text"),
        ({"user_id": "\ud800"}, "expected text"),
        ({"user_id": {"in": []}}, "1 to 1,000"),
        ({"user_id": {"in": ["a"] * 1_001}}, "1 to 1,000"),
        ({"user_id": {"in": "a"}}, "a list"),
        ({"user_id": {"exists": 1}}, "true or false"),
        ({"user_id": {"contains": ""}}, "not empty"),
        ({"timestamp": {"gt": "soon"}}, "ISO 8601"),
        ({"timestamp": {"gt": 5}}, "ISO 8601"),
        ({"interaction_type": {"gt": "click"}}, "interaction_type gt"),
        ({"metadata.a b": 1}, "unknown field"),
        ({'metadata."x': 1}, "unknown field"),
        ({"metadata": 1}, "unknown field"),
        ({"metadata.k": {"gt": True}}, "a number or text"),
        ({"metadata.k": [1]}, "finite number"),
        ({"seq": 1}, "unknown field"),
        ({"1=1; DROP TABLE interactions": 1}, "unknown field"),
        ({"AND": {"position": 1}}, "a list of conditions"),
        ({"OR": [5]}, "an object"),
        ({"NOT": [{}]}, "empty condition"),
        ({"case_sensitive": "yes"}, "case_sensitive"),
        ({"AND": [{"position": 1}] * 65}, "more than 64"),
        (nested(8), "deep"),
        ([], "an object"),
    ],
)
def test_a_wrong_filter_is_refused_with_the_reason(log, filters, said):
    if filters == []:
        filters = [1]
    with pytest.raises(InvalidInputError, match=said):
        log.find(filters)


@pytest.mark.parametrize(
    "page",
    [
        {"limit": 0},
        {"limit": 1_001},
        {"limit": True},
        {"offset": -1},
        {"offset": 10_001},
        {"offset": 1, "cursor": "x"},
        {"sort": "timestamp"},
        {"sort": ("metadata", "asc")},
        {"sort": ("timestamp", "up")},
        {"sort": ("timestamp", ["asc"])},
        {"cursor": 5},
    ],
)
def test_a_wrong_page_is_refused(log, page):
    with pytest.raises(InvalidInputError, match=next(iter(page))):
        log.find(**page)


def test_the_deepest_and_the_largest_search_work(log, rows):
    assert log.find(nested(7), include_total=True).total == sum(i.position == 1 for i in rows)


@pytest.mark.parametrize("field", ["feature_id", "metadata.k", "interaction_type", "position"])
def test_the_widest_search_works_on_every_kind_of_field(log, field):
    """Lists are compared as lists: SQLite refuses or plans for minutes a chain of comparisons."""
    words = range(1_000) if field == "position" else [f"w{n}" for n in range(1_000)]
    widest = {"OR": [{field: {"in": [*words]}} for _ in range(10)]}
    wanted = [i for i in log.find(limit=1_000).items if field == "position"]
    assert len(log.find(widest, limit=1_000).items) == len(wanted)
    with pytest.raises(InvalidInputError, match="more than 10,000 values"):
        log.find({"OR": [widest, {field: {"in": [*words]}}]})


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (None, "by_namespace"),
        ({"execution_id": "e1"}, "by_execution"),
        ({"session_id": "a", "position": 1}, "by_session"),
        ({"user_id": "a", "metadata.k": 1}, "by_user"),
        ({"interaction_id": "a"}, "by_id"),
        ({"AND": [{"field": "user_id", "operator": "eq", "value": "a"}]}, "by_user"),
        ({"AND": [{"AND": [{"session_id": {"eq": "a"}}]}]}, "by_session"),
        ({"OR": [{"user_id": "a"}]}, "by_namespace"),
    ],
)
def test_a_search_by_a_key_reads_that_key_only(sqlite_log, filters, index):
    log = sqlite_log
    log.find()
    said = []
    connection = log._file._readers[-1]
    connection.set_trace_callback(said.append)
    log.find(filters)
    connection.set_trace_callback(None)
    (query,) = [text for text in said if "ORDER BY" in text]
    plan = " ".join(str(line[-1]) for line in connection.execute("EXPLAIN QUERY PLAN " + query))
    assert index in plan


def test_a_search_that_takes_too_long_is_given_up(sqlite_log, monkeypatch):
    log = sqlite_log
    monkeypatch.setattr("rankloom.datasets.log.view._SEARCH_SECONDS", 0.0)
    monkeypatch.setattr("rankloom.datasets.log.connections._PROGRESS_STEPS", 100)
    with pytest.raises(InvalidInputError, match="narrow"):
        log.find({"metadata.k": {"contains": "a"}})
    monkeypatch.undo()
    assert log.find({"metadata.k": {"contains": "a"}}).items


def test_a_search_that_the_server_takes_too_long_for_is_given_up(postgres_log, monkeypatch):
    log = postgres_log
    monkeypatch.setattr("rankloom.datasets.log.view._SEARCH_SECONDS", 0.2)
    with log._file.server.connect() as other, other.transaction():
        other.execute("LOCK TABLE interactions IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(InvalidInputError, match="narrow"):
            log.find({"metadata.k": {"contains": "a"}})
    assert log.find({"metadata.k": {"contains": "a"}}).items


def test_reading_never_writes_to_a_server(postgres_log):
    with (
        pytest.raises(StoreError, match="read-only"),
        postgres_log._file.reading("default") as cursor,
    ):
        cursor.execute("DELETE FROM interactions")


def test_reading_never_writes(sqlite_log):
    log = sqlite_log
    connection = log._file._borrow()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM interactions")
    log._file._give_back(connection)
