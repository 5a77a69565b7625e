"""The command `towline`: its commands by name, each loaded only when it is asked for."""

from __future__ import annotations

import sys

import cyclopts

app = cyclopts.App(name="towline", help="Deliver Kubernetes manifests from git to many clusters, by pull.")


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(app())
