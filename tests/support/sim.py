"""Simulated clusters for tests."""
