"""Know by their names the files that engines read.

A module of its own that imports nothing: the engines' children need it at their start, and not the fleet format.
"""

from __future__ import annotations

YAML = (".yaml", ".yml")
ARCHIVES = (".tgz", ".tar.gz")
"""Of charts."""
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
CHART = "Chart.yaml"
