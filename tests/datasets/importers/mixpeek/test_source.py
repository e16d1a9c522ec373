"""Interactions over HTTP: each once, whole, from faulty services; the token goes nowhere."""

import functools
import gzip
import json
import shutil
import ssl
import subprocess
import time
import zlib

import polars as pl
import pytest

from rankloom.datasets import (
    InteractionLog,
    MixpeekSource,
    load_pairs,
    simulate_interactions,
)
from rankloom.datasets.importers.mixpeek.client import MAX_ANSWER_BYTES
from rankloom.datasets.simulation.simulate import simulate_catalogue
from rankloom.errors import InvalidInputError, RankloomError, StoreError
from tests.datasets.importers.interaction_service import (
    TOKEN,
    Service,
    cut,
    hang_up,
    raw,
    running,
    status,
)
from tests.datasets.importers.stored_interactions import (
    FIELDS,
    assert_holds,
    source_of,
    stored,
)


@pytest.fixture
def log(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _token(monkeypatch):
    monkeypatch.setenv("MIXPEEK_API_KEY", TOKEN)


ROWS = [stored(i) for i in range(25)]


def test_many_interactions_of_the_moment_where_a_copy_stopped_are_no_endless_pages(tmp_path, log):
    rows = [stored(i, second=0) for i in range(12)]
    resume = tmp_path / "copy.json"
    with running(Service(rows)) as service:
        source = source_of(service, page_size=2)
        source.copy_to_log(log, resume=resume)
        service.rows = [*rows, stored(90)]
        report = source.copy_to_log(log, resume=resume)
    assert (report.rows_read, report.created) == (1, 1)
    assert_holds(log, service.rows)


@pytest.mark.parametrize("page_size", [2, 3])
@pytest.mark.parametrize("number", range(1, 5))
def test_a_later_run_ends_where_a_last_page_is_full(tmp_path, log, page_size, number):
    """A service with cursors may ignore page numbers and give its first page again."""
    resume = tmp_path / "copy.json"
    with running(Service(ROWS, bare=True)) as service:
        source = source_of(service, page_size=page_size)
        source.copy_to_log(log, resume=resume)
        service.rows = [*ROWS, *(stored(90 + i) for i in range(number))]
        report = source.copy_to_log(log, resume=resume)
    assert (report.rows_read, report.created) == (number, number)


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("cursors", [True, False])
@pytest.mark.parametrize("page_size", [2, 7, 25, 1000])
def test_every_interaction_is_copied_once_field_by_field(log, cursors, bare, page_size):
    with running(Service(ROWS, cursors=cursors, bare=bare)) as service:
        report = source_of(service, page_size=page_size).copy_to_log(log)
    assert (report.rows_read, report.created, report.quarantine.rows) == (25, 25, 0)
    assert_holds(log, ROWS)


def test_requests_carry_the_filters_and_the_namespace(log):
    with running(Service(ROWS)) as service:
        source = source_of(
            service, namespace="shop", retriever_id="r1", since="2026-01-01T00:00:05Z", page_size=4
        )
        source.copy_to_log(log)
        path, query, body, headers = service.requests[0]
    assert (path, query) == ("/v1/retrievers/interactions/list", {"page_size": "4"})
    assert body["sort"] == {"field": "timestamp", "direction": "asc"}
    assert headers["X-Namespace"] == "shop"
    assert_holds(log, [row for row in ROWS[5:] if row["retriever_id"] == "r1"])


def test_an_event_time_in_the_record_stays(log):
    rows = [stored(1, occurred_at="2025-06-01T00:00:00Z")]
    with running(Service(rows)) as service:
        source_of(service).copy_to_log(log)
    assert_holds(log, rows)


def test_pages_that_overlap_give_every_interaction_once(log):
    with running(Service(ROWS, overlap=2)) as service:
        report = source_of(service, page_size=6).copy_to_log(log)
    assert report.duplicates == 10
    assert report.rows_read == report.created + report.duplicates == 35
    assert_holds(log, ROWS)


@pytest.fixture
def shallow(monkeypatch):
    """Numbered pages reach 200 interactions deep: few rows are enough to test that."""
    monkeypatch.setattr("rankloom.datasets.importers.mixpeek.pagination.MAX_OFFSET", 200)
    return 200


def test_numbered_pages_go_on_beyond_the_depth_that_services_allow(shallow):
    rows = [stored(i, second=i // 4) for i in range(2 * shallow + 70)]
    with running(Service(rows, cursors=False)) as service:
        found = [row for page in source_of(service, page_size=20).pages() for row in page]
        deepest = max(int(query.get("page", 1)) for _, query, _, _ in service.requests)
    assert [row["interaction_id"] for row in found] == [row["interaction_id"] for row in rows]
    assert deepest * 20 == shallow


def test_numbered_pages_of_one_moment_beyond_that_depth_are_refused(shallow):
    rows = [stored(i, second=0) for i in range(shallow + 1)]
    with (
        running(Service(rows, cursors=False)) as service,
        pytest.raises(StoreError, match="share one time"),
    ):
        list(source_of(service, page_size=20).pages())


TROUBLE = {
    "busy": [status(429, Retry_After="0"), status(503), status(502, Retry_After="0")],
    "gateway": [status(504, Retry_After="not a time")],
    "cut": [cut],
    "hang up": [hang_up],
    "all": [hang_up, status(503, Retry_After="0"), cut],
}


@pytest.mark.parametrize("name", TROUBLE)
def test_passing_trouble_loses_nothing(log, name):
    with running(Service(ROWS)) as service:
        service.script = [lambda _: False, *TROUBLE[name]]
        report = source_of(service, page_size=10).copy_to_log(log)
        assert service.script == []
    assert report.created == 25
    assert_holds(log, ROWS)


def test_the_wait_that_a_service_requests_is_kept():
    times = []

    def busy(handler):
        times.append(time.monotonic())
        return status(429, Retry_After="1")(handler)

    def later(_handler):
        times.append(time.monotonic())
        return False

    with running(Service(ROWS)) as service:
        service.script = [busy, later]
        list(source_of(service).pages())
    assert times[1] - times[0] >= 1


def test_requests_and_retries_keep_the_pace():
    times = []

    def note(_handler):
        times.append(time.monotonic())
        return False

    def busy(handler):
        times.append(time.monotonic())
        return status(503, Retry_After="0")(handler)

    with running(Service(ROWS)) as service:
        service.script = [note, busy, *[note] * 4]
        source = MixpeekSource(service.url, requests_per_second=20, page_size=5)
        # From here on: the service may be slow to see the first request and quick for the last.
        began = time.monotonic()
        list(source.pages())
    assert len(times) == 6
    assert times[-1] - began >= 5 * 0.05


def test_lasting_trouble_is_reported_after_the_last_attempt():
    with running(Service(ROWS)) as service:
        service.script = [status(503, Retry_After="0")] * 9
        with pytest.raises(StoreError, match=r"gave up after 3 attempts: .*503"):
            list(source_of(service, retries=2).pages())
        assert len(service.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422, 500])
def test_a_refusal_is_reported_at_once_with_its_reason(code):
    with running(Service(ROWS)) as service:
        service.script = [status(code)]
        with pytest.raises(StoreError, match=rf"answered {code}: no: {code}"):
            list(source_of(service).pages())
        assert len(service.requests) == 1


def test_a_redirect_is_refused_and_the_token_not_sent_on():
    with running(Service(ROWS)) as other, running(Service(ROWS)) as service:
        service.script = [status(307, Location=f"{other.url}/v1/retrievers/interactions/list")]
        with pytest.raises(StoreError, match="redirects to .* not followed"):
            list(source_of(service).pages())
        assert other.requests == []


def endless(handler):
    """A new cursor with every page, and never a row."""
    handler.server.script.append(endless)
    count = len(handler.server.requests)
    return handler.answer(200, {"results": [], "pagination": {"next_cursor": f"x{count}"}})


def circling(handler):
    """The same rows again and again behind new cursors."""
    handler.server.script.append(circling)
    count = len(handler.server.requests)
    return handler.answer(200, {"results": ROWS[:5], "pagination": {"next_cursor": f"x{count}"}})


@functools.cache
def compressed_zeros():
    """A few bytes that unpack to ten times the limit; packing them takes long."""
    packer = zlib.compressobj(wbits=31)
    block = bytes(1_000_000)
    parts = [packer.compress(block) for _ in range(10 * MAX_ANSWER_BYTES // len(block))]
    return b"".join([*parts, packer.flush()])


def bomb(handler):
    """A small answer that unpacks to ten times the limit."""
    return handler.answer(200, compressed_zeros(), Content_Encoding="gzip")


def packed(handler):
    """The first page, compressed as the client says that it may be."""
    assert "gzip" in handler.headers["Accept-Encoding"]
    data = gzip.compress(json.dumps(handler.listed(handler.server)).encode())
    return handler.answer(200, data, Content_Encoding="gzip")


def test_compressed_answers_are_read(log):
    with running(Service(ROWS)) as service:
        service.script = [packed, packed]
        source_of(service, page_size=20).copy_to_log(log)
    assert_holds(log, ROWS)


WRONG = {
    "bomb": (bomb, "more than 64,000,000 bytes"),
    "no JSON": (raw(b"<html>"), "no JSON"),
    "no object": (raw(b"[]"), "no list of results"),
    "no results": (raw(b'{"data": []}'), "no list of results"),
    "results no list": (raw(b'{"results": {}}'), "no list of results"),
    "deep": (raw(b'{"results": ' + b"[" * 5_000 + b"]" * 5_000 + b"}"), "nested too deep"),
    "huge": (raw(b" " * (MAX_ANSWER_BYTES + 1)), "more than 64,000,000 bytes"),
    "same cursor": (
        lambda handler: (
            handler.server.script.append(WRONG["same cursor"][0])
            or handler.answer(
                200,
                {
                    "results": [stored(len(handler.server.requests))],
                    "pagination": {"next_cursor": "again"},
                },
            )
        ),
        "same cursor twice",
    ),
    "endless": (endless, "nothing new"),
    "circling": (circling, "nothing new"),
    "unsorted": (
        raw(json.dumps({"results": [stored(5), stored(4)], "pagination": {}}).encode()),
        "does not sort",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_answers_that_break_the_interface_end_the_reading(name):
    act, words = WRONG[name]
    compressed_zeros()  # computed once, outside the time limit of an answer
    with running(Service(ROWS)) as service:
        service.script = [act]
        with pytest.raises(StoreError, match=words):
            list(source_of(service, page_size=5).pages())


DIRTY = [
    stored(0),
    stored(1, position=-1),
    "no object",
    stored(3, interaction_type=["unheard_of"]),
    stored(4, timestamp=None),
    stored(5, interaction_id=None),
    stored(6, document_score="high"),
]
FIELDS_AT_FAULT = [
    *((1, "position"), (2, ""), (3, "interaction_type")),
    *((4, "occurred_at"), (6, "document_score")),
]


def test_rows_that_break_a_rule_go_to_the_quarantine_of_every_target(tmp_path, log):
    with running(Service(DIRTY)) as service:
        source = source_of(service, page_size=2)
        into_log = source.copy_to_log(log)
        into_file = source.copy_to_parquet(tmp_path / "out.parquet")
        frame = pl.concat(source.scan())
    for quarantine in (into_log.quarantine, into_file.quarantine, source.quarantine):
        faults = quarantine.to_frame()
        assert faults.select("row", "field").rows() == FIELDS_AT_FAULT
        assert faults["source"].unique().to_list() == [service.url]
    for report in (into_log, into_file):
        assert (report.rows_read, report.created, report.quarantine.rows) == (7, 2, 5)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(frame)
    assert source.rows_read == 7


def test_a_source_gives_the_same_pairs_as_the_log_it_was_recorded_from(tmp_path):
    catalogue = simulate_catalogue(n_queries=10, random_state=0)
    frame = simulate_interactions(catalogue, n_executions=60, random_state=1).sort("timestamp")
    rows = []
    for row in frame.iter_rows(named=True):
        fields = {name: row[name] for name in FIELDS}
        times = {name: row[name].isoformat() + "Z" for name in ("occurred_at", "timestamp")}
        metadata, query = (json.loads(row[n] or "null") for n in ("metadata", "query_snapshot"))
        rows.append({**fields, **times, "metadata": metadata, "query_snapshot": query})
    with running(Service(rows)) as service:
        source = source_of(service, page_size=97)
        read = load_pairs(source)
        source.copy_to_parquet(tmp_path / "log.parquet")
    for pairs in (read, load_pairs(tmp_path / "log.parquet")):
        expected = load_pairs(frame)
        assert pairs.y.tolist() == expected.y.tolist()
        assert pairs.X.tobytes() == expected.X.tobytes()
        assert pairs.document_id.to_list() == expected.document_id.to_list()


def test_the_token_is_in_no_error_no_representation_and_no_file(tmp_path, log, monkeypatch):
    monkeypatch.setenv("MIXPEEK_API_KEY", "another-secret-8")
    resume = tmp_path / "copy.json"
    with running(Service(ROWS)) as service:
        source = source_of(service)
        with pytest.raises(StoreError, match=r"answered 401: bad Bearer \*\*\*") as caught:
            source.copy_to_log(log, resume=resume)
        monkeypatch.setenv("MIXPEEK_API_KEY", TOKEN)
        good = source_of(service)
        good.copy_to_log(log, resume=resume)
    shown = f"{caught.value} {caught.value.__cause__} {source!r} {good!r} {resume.read_text()}"
    assert "another-secret-8" not in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("value", ["", "   ", "two words", "line\nbreak", "ключ"])
def test_a_token_that_is_none_is_refused_without_being_shown(monkeypatch, value):
    monkeypatch.setenv("MIXPEEK_API_KEY", value)
    with pytest.raises(InvalidInputError, match="token_env") as caught:
        MixpeekSource("https://api.example.com")
    assert not value.strip() or value not in str(caught.value)


ADDRESSES = {
    "http://api.example.com": "in the clear",
    "http://127.0.0.1.example.com": "in the clear",
    "http://192.168.0.9": "in the clear",
    "https://user:word@example.com": "user or a password",
    "ftp://example.com": "expected https",
    "example.com": "expected https",
    "https://": "expected https",
    "https://example.com?x=1": "expected https",
    "https://example.com/\r\nX: y": "expected https",
    "https://[": "expected https",
    "https://example.com:99999": "expected https",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_the_token_must_not_go_to_is_refused(address):
    with pytest.raises(InvalidInputError, match=ADDRESSES[address]) as caught:
        MixpeekSource(address)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_certificate_without_an_authority_is_refused(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    subprocess.run([*make, *named, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    service = Service(ROWS)
    service.socket = context.wrap_socket(service.socket, server_side=True)
    service.handle_error = lambda *_: None
    with running(service):
        source = MixpeekSource(service.url.replace("http:", "https:"))
        with pytest.raises(StoreError, match="no secure connection"):
            list(source.pages())
    assert service.requests == []


BAD = {
    "page_size": [0, 1001, 2.5, "5", True],
    "requests_per_second": [0, -1, float("nan"), "5"],
    "timeout": [0, float("inf")],
    "retries": [-1, 1.5],
    "since": ["yesterday", "2026-13-01"],
    "namespace": ["", "a\r\nb", "ключ"],
    "types": ["click"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_wrong_parameter_is_refused_by_its_name(name, value):
    with pytest.raises(RankloomError, match=name):
        MixpeekSource("https://api.example.com", **{name: value})
