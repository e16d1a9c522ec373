"""Requests as spans: by their route, below their sender's, and nothing of what they hold."""

import sys

import pytest

from rankloom.errors import InvalidInputError
from rankloom.service.http.tracing import Tracer, export_by_otlp

PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_span_names_route_and_status_and_continues_its_senders_trace(monkeypatch):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, written = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(written))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    tracer = Tracer()
    headers = {"traceparent": f"00-{PARENT}-00f067aa0ba902b7-01", "authorization": "Bearer secret"}
    tracer.write("GET", "/v1/x/{user_id}", 503, 0.25, headers)
    (span,) = written.get_finished_spans()
    assert span.name == "GET /v1/x/{user_id}"
    assert f"{span.context.trace_id:032x}" == PARENT
    assert span.end_time - span.start_time == 250_000_000
    assert span.attributes["http.response.status_code"] == 503
    assert not span.status.is_ok
    assert "secret" not in span.to_json()


def test_without_the_extra_it_is_named(monkeypatch):
    for name in ("opentelemetry", "opentelemetry.trace"):
        monkeypatch.setitem(sys.modules, name, None)
    for start in (Tracer, export_by_otlp):
        with pytest.raises(InvalidInputError, match=r"rankloom\[otel\]"):
            start()
