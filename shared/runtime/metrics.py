"""The names of all measurements, so that dashboards and programs agree on them.

`towline_<thing>_<unit>[_total]`. Labels are names with few values; never a digest, a message or a secret, because whoever
reaches the port reads them.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

build = Gauge("towline_build_info", "Always 1; the labels say what runs.", ["program", "version"], registry=REGISTRY)
bus_connected = Gauge(
    "towline_bus_connected", "1 while the program is connected to the bus.", ["program"], registry=REGISTRY
)
git_checks = Counter(
    "towline_git_checks_total",
    "Checks of git repositories, by the source that follows them and how they ended: ok, or the code of the failure.",
    ["source", "result"],
    registry=REGISTRY,
)
hook_deliveries = Counter(
    "towline_webhook_deliveries_total",
    "Deliveries of webhooks, by source and what became of them: looking, ignored, duplicate, ping, or why refused.",
    ["source", "result"],
    registry=REGISTRY,
)
render_seconds = Histogram(
    "towline_render_duration_seconds", "Time of one engine's run.", ["kind"], buckets=_SECONDS, registry=REGISTRY
)
renders = Counter(
    "towline_render_total",
    "Inputs of targets, equal ones once, by what became of them: rendered, unchanged or failed.",
    ["result"],
    registry=REGISTRY,
)
kustomizations = Counter(
    "towline_render_kustomize_total",
    "Kustomizations by what built them: kubectl, in_process, both (equally), or both with different results.",
    ["builder"],
    registry=REGISTRY,
)
releases = Counter("towline_release_total", "Releases given to targets, by state.", ["state"], registry=REGISTRY)
applies = Counter("towline_apply_total", "Reports of agents, by result.", ["result"], registry=REGISTRY)
commit_to_apply_seconds = Histogram(
    "towline_commit_to_apply_seconds",
    "From the observation of a tip until all its targets ran it.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
agent_last_seen = Gauge(
    "towline_agent_last_seen_timestamp_seconds", "When an agent was last heard of.", ["cluster"], registry=REGISTRY
)
cluster_info = Gauge(
    "towline_cluster_info", "Always 1; a cluster and where it stands.", ["cluster", "membership"], registry=REGISTRY
)


def own_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("towline")
    except PackageNotFoundError:
        return "unknown"


def started(program: str) -> None:
    """Note that a program runs in this process."""
    build.labels(program, own_version()).set(1)


def exposition() -> bytes:
    """Return all measurements in Prometheus' text form."""
    return generate_latest(REGISTRY)
