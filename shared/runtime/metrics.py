"""The names of all measurements, so that dashboards and programs agree on them.

`towline_<thing>_<unit>[_total]`. Labels are names with few values; never a digest, a message or a secret.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

build = Gauge("towline_build_info", "Always 1; the labels say what runs.", ["program", "version"], registry=REGISTRY)
bus_connected = Gauge(
    "towline_bus_connected", "1 while the program is connected to the bus.", ["program"], registry=REGISTRY
)
git_checks = Counter(
    "towline_git_checks_total", "Checks of git sources, by how they ended.", ["source", "result"], registry=REGISTRY
)
render_seconds = Histogram(
    "towline_render_duration_seconds", "Time of one engine's run.", ["kind"], buckets=_SECONDS, registry=REGISTRY
)
renders = Counter("towline_render_total", "Rendered targets, by how they ended.", ["result"], registry=REGISTRY)
releases = Counter("towline_release_total", "Releases given to targets.", ["state"], registry=REGISTRY)
applies = Counter("towline_apply_total", "Reports of agents, by result.", ["result"], registry=REGISTRY)
commit_to_apply_seconds = Histogram(
    "towline_commit_to_apply_seconds",
    "From a tip's observation to the settled report of a target.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
agent_last_seen = Gauge(
    "towline_agent_last_seen_timestamp_seconds", "When an agent was last heard of.", ["cluster"], registry=REGISTRY
)
cluster_info = Gauge(
    "towline_cluster_info", "Always 1; a cluster and where it stands.", ["cluster", "membership"], registry=REGISTRY
)


def exposition() -> bytes:
    """Return all measurements in Prometheus' text form."""
    return generate_latest(REGISTRY)
