"""What rendering costs, in ratios of figures that were taken in one run."""
