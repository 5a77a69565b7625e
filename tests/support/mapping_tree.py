"""A tree of files that is a mapping."""

from shared.core.trees import Entry, EntryKind
from shared.git.objects import ObjectKind, object_id, tree_bytes


class MappingTree:
    """Files by path, with the ids that git would give."""

    def __init__(self, files):
        self._files = {path: text.encode() for path, text in files.items()}
        self.reads = 0

    def entry(self, path):
        if path in self._files:
            return Entry(path.rpartition("/")[2], EntryKind.FILE, object_id(ObjectKind.BLOB, self._files[path]))
        members = self.folder(path)
        if not members and path:
            return None
        return Entry(path.rpartition("/")[2], EntryKind.FOLDER, object_id(ObjectKind.TREE, tree_bytes(members)))

    def folder(self, path):
        prefix = f"{path}/" if path else ""
        names = {each[len(prefix) :].partition("/")[0] for each in self._files if each.startswith(prefix)}
        return sorted(self.entry(prefix + name) for name in names)

    def read(self, path):
        self.reads += 1
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]
