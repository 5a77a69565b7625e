"""Git: objects, trees, packs, mirrors and the transport; the only importer of pygit2."""
