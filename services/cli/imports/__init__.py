"""`towline import`: write a fleet from what was written for another tool, and prove that it gives the same objects."""
