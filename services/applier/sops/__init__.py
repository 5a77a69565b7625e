"""Open what SOPS encrypted, in the agent and nowhere else: with keys of its cluster, after the file's MAC was checked."""
