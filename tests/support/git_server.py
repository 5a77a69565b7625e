"""A real git server over HTTP for tests."""
