"""A tree written down in a test, with the ids that git would give."""

from functools import cache

from shared.core.trees import Entry, EntryKind
from shared.git.objects import ObjectKind, object_id, tree_bytes
from shared.git.trees import ListedTree

LINK, SUBMODULE = EntryKind.SYMLINK, EntryKind.SUBMODULE


class MappingTree(ListedTree):
    """Path → text or bytes; a pair of a kind and text makes something else of it."""

    def __init__(self, files):
        self._files = {
            path: value if isinstance(value, tuple) else (EntryKind.FILE, value) for path, value in files.items()
        }
        self._listed = cache(self._list)
        self.reads = 0
        """How many files were read."""
        super().__init__(object_id(ObjectKind.TREE, tree_bytes(self._listed("").values())))

    def _listing(self, path):
        return self._listed(path)

    def _list(self, path):
        prefix = f"{path}/" if path else ""
        found = {}
        for name in sorted({each[len(prefix) :].split("/")[0] for each in self._files if each.startswith(prefix)}):
            if prefix + name in self._files:
                kind, _ = self._files[prefix + name]
                found[name] = Entry(name, kind, object_id(ObjectKind.BLOB, self._bytes(prefix + name)))
            else:
                members = self._listed(prefix + name).values()
                found[name] = Entry(name, EntryKind.FOLDER, object_id(ObjectKind.TREE, tree_bytes(members)))
        return found

    def _content(self, path, entry):  # noqa: ARG002  # as its base says
        self.reads += 1
        return self._bytes(path)

    def _bytes(self, path):
        content = self._files[path][1]
        return content.encode() if isinstance(content, str) else content
