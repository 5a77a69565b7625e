"""The fleet format: what users write, as values; every finding has file, line and column."""
