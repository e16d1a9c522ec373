"""Metrics of the process for Prometheus: by route, never by tenant, retriever or user."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from ...errors import RankloomError

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """A registry of its own, so that several services in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "rankloom_requests",
            "Answers by route, method and status.",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rankloom_request_seconds",
            "Time from the request's head to its answer.",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._rows = Counter(
            "rankloom_interactions",
            "Interactions by what became of them.",
            ["status"],
            registry=self.registry,
        )
        # `labels` takes a lock and builds a key; children never change.
        self._known: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._row_counts: dict[str, Any] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (route, method, status)
        known = self._known.get(key)
        if known is None:
            counter = self._requests.labels(route, method, str(status))
            known = self._known[key] = counter, self._seconds.labels(route, method)
        known[0].inc()
        known[1].observe(seconds)

    def rows(self, status: str, number: int = 1) -> None:
        """Count interactions of one status: created, deduplicated, existing, failed, deleted."""
        counter = self._row_counts.get(status)
        if counter is None:
            counter = self._row_counts[status] = self._rows.labels(status)
        counter.inc(number)

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show what a function returns at the time of asking; NaN where its store is in trouble."""

        def value() -> float:
            try:
                return float(read())
            except RankloomError:
                return math.nan

        Gauge(name, description, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)
