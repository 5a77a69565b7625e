"""The fleet format: what users write in git."""
