"""The fixtures of all tests, by the part they start."""

pytest_plugins = [
    "tests.support.agents",
    "tests.support.apart",
    "tests.support.bus",
    "tests.support.data",
    "tests.support.git_server",
    "tests.support.releaser_fixtures",
    "tests.support.line",
    "tests.support.rendering",
    "tests.support.sim",
]
