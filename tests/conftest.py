"""The fixtures of all tests, by the part they start."""

import signal

import pytest

# A shell that starts the tests in the background has them ignore SIGINT, and so all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# They import one another: pytest must know them all before it loads the first.
pytest.register_assert_rewrite("tests.support")

pytest_plugins = [
    "tests.support.agents",
    "tests.support.bus",
    "tests.support.certificates",
    "tests.support.chart_repos",
    "tests.support.clusters",
    "tests.support.data",
    "tests.support.git_server",
    "tests.support.helm_tools",
    "tests.support.releaser_fixtures",
    "tests.support.signing",
    "tests.support.ssh_server",
    "tests.support.line",
    # After what it imports: pytest rewrites a plugin only before anybody imports it.
    "tests.support.apart",
    "tests.support.rendering",
    "tests.support.sim",
    "tests.support.sops",
]
