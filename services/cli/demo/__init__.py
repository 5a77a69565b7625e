"""The command `towline demo`: the whole line on this machine, with simulated clusters and commits that travel."""
