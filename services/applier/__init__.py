"""Bring one cluster to its desired state and keep it there."""
