"""What a process counts. Labels come from lists that are known beforehand, never from users.

Each process counts for itself, in memory, and writes its totals into a row of its own
(`metric_report`); /metrics adds the rows up. So one answer of any api is about all processes, on
however many hosts, without a shared folder and without a port in every worker.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry(auto_describe=False)

REQUESTS: Final = Counter(
    "aftercommit_requests",
    "Requests that api answered, by route pattern.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS: Final = Histogram(
    "aftercommit_request_seconds",
    "How long api took to answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
EVENTS: Final = Counter(
    "aftercommit_events_recorded",
    "Events that were committed to a log.",
    ["type"],
    registry=REGISTRY,
)
ATTEMPTS: Final = Counter(
    "aftercommit_attempts",
    "Attempts that were settled, by what became of the delivery: pending is tried again.",
    ["kind", "state"],
    registry=REGISTRY,
)
ATTEMPT_SECONDS: Final = Histogram(
    "aftercommit_attempt_seconds",
    "How long an attempt took, from the name's resolution to the end of the answer.",
    ["kind"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
BELLS_FAILED: Final = Counter(
    "aftercommit_bells_failed",
    "Commits whose bells could not be rung; the sweep makes up for them.",
    registry=REGISTRY,
)
FOLLOWERS: Final = Gauge(
    "aftercommit_stream_followers", "Followers that are connected now.", registry=REGISTRY
)

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(*, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer; ``route`` is a pattern of ours, or empty where none fits."""
    known = method if method in METHODS else "other"
    REQUESTS.labels(known, route or "none", str(status)).inc()
    REQUEST_SECONDS.observe(seconds)


def count_attempt(*, kind: str, state: str, seconds: float) -> None:
    """Count one attempt that was settled."""
    ATTEMPTS.labels(kind, state).inc()
    ATTEMPT_SECONDS.labels(kind).observe(seconds)
