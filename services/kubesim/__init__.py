"""An in-memory Kubernetes API for the demo, tests and benchmarks."""
