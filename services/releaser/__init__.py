"""Decide which cluster may run what and when, and sign it."""
