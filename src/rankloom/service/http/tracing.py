"""Requests as OpenTelemetry spans: one each, by its route's template, never by its path."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from ...errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Tracer:
    """Writes a span for every request to the tracer provider of the process.

    Raises
    ------
    InvalidInputError
        If OpenTelemetry is not installed.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import propagate, trace
        except ImportError as error:
            raise _missing(error) from error
        self._extract, self._trace = propagate.extract, trace
        self._tracer = trace.get_tracer("rankloom")

    def write(
        self, method: str, route: str, status: int, seconds: float, headers: Mapping[str, str]
    ) -> None:
        """Write the span of a request that has just been answered, below its sender's."""
        end = time.time_ns()
        span = self._tracer.start_span(
            f"{method} {route}",
            context=self._extract(headers),
            kind=self._trace.SpanKind.SERVER,
            start_time=end - int(seconds * 1e9),
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            },
        )
        if status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(end)


def export_by_otlp() -> None:
    """Send the spans of this process as the variables OTEL_... say, in the background.

    Raises
    ------
    InvalidInputError
        If OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise _missing(error) from error
    os.environ.setdefault("OTEL_SERVICE_NAME", "rankloom")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _missing(error: ImportError) -> InvalidInputError:
    return InvalidInputError(f"otel: {error.name} is not installed: pip install 'rankloom[otel]'")
