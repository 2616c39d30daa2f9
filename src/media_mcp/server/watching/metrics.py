"""Figures for Prometheus at /metrics: what waits and runs, how long it takes, what it costs.

Counters and histograms tell of the jobs that this server heard of since it started, also of those
that another server on the same data folder ran; gauges are read from the store as they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from media_mcp.backends.base import Backend
from media_mcp.job import Job, JobState
from media_mcp.queue import Queue, Tally
from media_mcp.server.watching.stalls import Stalls

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
# Seconds: from a cached answer to an hour of video.
BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
# Seconds: from what nobody feels to a server that hangs.
STALLS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
MOST_PAIRS = 500  # of model and route
_LABELS = ("model", "route")


class Metrics:
    """Listens to the queue and writes what it heard. `follow` returns how to stop that."""

    def __init__(self, queue: Queue, backends: Mapping[str, Backend]) -> None:
        self._queue = queue
        self._pairs: set[tuple[str, str]] = set()
        self._gauges = _Gauges(backends)
        self._registry = CollectorRegistry()
        self._registry.register(self._gauges)
        ProcessCollector(registry=self._registry)
        self._jobs = Counter(
            "media_mcp_jobs", "Jobs that ended.", (*_LABELS, "state"), registry=self._registry
        )
        self._wait = self._histogram("media_mcp_job_wait_seconds", "From submit to first start.")
        self._run = self._histogram("media_mcp_job_run_seconds", "From first start to end.")
        self._evictions = Counter(
            "media_mcp_evictions",
            "Pipelines that left a device to make room for another.",
            ("route",),
            registry=self._registry,
        )
        self._stalls = Stalls(
            Histogram(
                "media_mcp_loop_stall_seconds",
                "How late the event loop comes to what is due.",
                buckets=STALLS,
                registry=self._registry,
            ).observe
        )

    def _histogram(self, name: str, words: str) -> Histogram:
        return Histogram(name, words, _LABELS, buckets=BUCKETS, registry=self._registry)

    def follow(self) -> Callable[[], None]:
        """Begin to listen, and to time the event loop."""
        self._stalls.start()
        return self._queue.subscribe(self.heard)

    def heard(self, job: Job) -> None:
        """Count a change of state."""
        labels = self._labels(job)
        if job.state is JobState.RUNNING and job.attempt == 1 and job.started_at is not None:
            self._wait.labels(*labels).observe(max(0.0, job.started_at - job.created_at))
        if not job.state.terminal:
            return
        self._jobs.labels(*labels, job.state.value).inc()
        if job.seconds is not None:
            self._run.labels(*labels).observe(max(0.0, job.seconds))
        gone = job.facts.get("evicted")
        if isinstance(gone, int) and gone > 0:
            self._evictions.labels(job.route.backend).inc(gone)

    def _labels(self, job: Job) -> tuple[str, str]:
        """Return a job's model and route: of so many pairs, for each is kept as long as we live."""
        pair = (job.model, job.route.backend)
        if pair not in self._pairs and len(self._pairs) >= MOST_PAIRS:
            return "other", job.route.backend
        self._pairs.add(pair)
        return pair

    async def render(self) -> bytes:
        """Return the figures in Prometheus's text format. Raises `StorageFailed`."""
        self._gauges.tally = await self._queue.books.tally()
        return generate_latest(self._registry)


@dataclass(eq=False)
class _Gauges(Collector):
    """What is so at the moment."""

    backends: Mapping[str, Backend]
    tally: Tally | None = None

    def collect(self) -> Iterator[Metric]:
        if self.tally is None:  # as the registry asks for names, at the beginning
            return
        depth = GaugeMetricFamily(
            "media_mcp_queue_depth", "Jobs that are not over.", labels=("route", "state")
        )
        for (route, state), count in self.tally.unfinished.items():
            depth.add_metric((route, state), count)
        yield depth
        yield from self._spent(self.tally)
        warm = GaugeMetricFamily(
            "media_mcp_warm_models", "Models that are loaded and free.", labels=("route",)
        )
        for name, backend in self.backends.items():
            warm.add_metric((name,), len(backend.warm()))
        yield warm

    def _spent(self, tally: Tally) -> Iterator[Metric]:
        usd = GaugeMetricFamily(
            "media_mcp_spent_usd", "What jobs have cost, in US dollars.", labels=("route",)
        )
        seconds = GaugeMetricFamily(
            "media_mcp_gpu_seconds", "How long jobs held devices.", labels=("route",)
        )
        for route, (cost, held) in tally.spent.items():
            usd.add_metric((route,), cost)
            seconds.add_metric((route,), held)
        yield usd
        yield seconds
        reserved = "Set aside for jobs that are not over, in US dollars."
        yield GaugeMetricFamily("media_mcp_reserved_usd", reserved, value=tally.reserved)
