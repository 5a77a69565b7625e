"""Git objects, packs and transport; the only importer of pygit2."""
