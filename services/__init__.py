"""The programs of Towline, one package each."""
