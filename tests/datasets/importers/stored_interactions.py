"""Records as a service stores them, and what a log that copied them must hold."""

import polars as pl

from rankloom.datasets import MixpeekSource

FIELDS = (
    *("feature_id", "interaction_type", "position", "metadata", "user_id", "session_id"),
    *("execution_id", "retriever_id", "query_snapshot", "document_score", "result_set_size"),
    *("feature_uri", "interaction_id"),
)


def stored(number, second=None, **more):
    """Return one record as a service stores it; several may share a second."""
    moment = number if second is None else second
    return {
        "feature_id": f"d{number % 7}",
        "interaction_type": ["click"],
        "position": number % 10,
        "metadata": {"device": "mobile", "n": number},
        "user_id": f"u{number % 3}",
        "session_id": f"s{number}",
        "execution_id": f"e{number}",
        "retriever_id": "r1" if number % 2 else "r2",
        "query_snapshot": {"text": f"query {number}"},
        "document_score": number / 10,
        "result_set_size": 10,
        "feature_uri": "mixpeek://text",
        "occurred_at": None,
        "interaction_id": f"id-{number:05}",
        "deduplicated": False,
        "timestamp": f"2026-01-{1 + moment // 86400:02}T{moment // 3600 % 24:02}:"
        f"{moment // 60 % 60:02}:{moment % 60:02}Z",
        "warning": None,
        **more,
    }


def source_of(service, **settings):
    return MixpeekSource(service.url, requests_per_second=10_000, **settings)


def records(log):
    """Return what a log holds, by id."""
    frames = list(log.scan())
    frame = pl.concat(frames) if frames else pl.DataFrame(schema={"interaction_id": pl.String})
    return {row["interaction_id"]: row for row in frame.iter_rows(named=True)}


def assert_holds(log, rows):
    """The log holds just these records, field by field, at their true age."""
    held = records(log)
    assert sorted(held) == sorted(row["interaction_id"] for row in rows)
    for row in rows:
        found = log.get(row["interaction_id"])
        assert {name: getattr(found, name) for name in FIELDS} == {n: row[n] for n in FIELDS}
        when = found.occurred_at.isoformat().replace("+00:00", "Z")
        assert when == (row["occurred_at"] or row["timestamp"])
