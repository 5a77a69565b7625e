"""The render cache: what it keeps, what it survives, what it lets go."""

import os

from services.renderer.cache import RenderCache
from shared.core.canonical import digest
from shared.errors import Finding
from shared.messages.blobs import BlobRef, BundleRef

WARNING = Finding("object.duplicate", "twice", "a.yaml", 3, severity="warning")


def rendered(content: bytes):
    blob, keys = (BlobRef(digest=digest(each), bytes=len(each), key="00") for each in (content, content + b"keys"))
    reference = BundleRef(digest=digest(content * 2), size=1, objects=1, blob=blob, keys=keys)
    return reference, {blob.digest: content, keys.digest: content + b"keys"}


def test_what_was_kept_is_there_after_a_restart(tmp_path):
    reference, blobs = rendered(b"content")
    RenderCache(tmp_path).put("key", reference, blobs, (WARNING,))

    cache = RenderCache(tmp_path)

    assert cache.get("key") == (reference, (WARNING,))
    assert cache.blob(reference.blob) == b"content"
    assert cache.get("other") is None


def test_damage_is_a_miss(tmp_path):
    cache = RenderCache(tmp_path)
    reference, blobs = rendered(b"content")
    cache.put("key", reference, blobs, ())
    (tmp_path / "blobs" / reference.blob.digest).write_bytes(b"conten!")

    assert cache.blob(reference.blob) is None
    assert cache.get("key") is None
    (tmp_path / "records" / "key").write_text("{")
    assert cache.get("key") is None


def test_what_nobody_used_for_longest_goes_first(tmp_path):
    """I11: the folder stays below its bound, and live bundles stay in it."""
    cache = RenderCache(tmp_path, max_bytes=6000)
    for number in range(4):
        reference, blobs = rendered(bytes([number]) * 1000)
        cache.put(f"key{number}", reference, blobs, ())
        for path in tmp_path.glob("*/*"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
        cache.get("key0")

    assert cache.get("key0")
    assert cache.get("key3")
    assert not cache.get("key1")
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= 6000


def test_files_are_for_their_owner_only(tmp_path):
    cache = RenderCache(tmp_path / "cache")
    cache.put("key", *rendered(b"content"), ())

    assert {oct(path.stat().st_mode & 0o77) for path in (tmp_path / "cache").glob("*/*")} == {"0o0"}
