"""Measure the agent on a real control plane, next to what others do there: `python -m tests.bench.applier`."""
