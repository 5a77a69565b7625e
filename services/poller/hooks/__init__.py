"""Webhooks: what a forge says about a push makes the poller look sooner, and nothing else."""
