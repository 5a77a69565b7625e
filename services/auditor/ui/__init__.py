"""The page: plain, server-rendered, readable without scripts."""
