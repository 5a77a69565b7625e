"""The models of every message on the bus."""
