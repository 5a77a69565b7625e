"""Measure the line next to the floor beneath it: `make bench`."""
