"""The command towline."""
