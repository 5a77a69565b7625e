"""Whatever a repository or its server is made of, nothing of it runs, and nothing of this machine's user counts."""

import os
import shutil
import subprocess
import sys
import zlib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.poller.credentials import CredentialsFile
from services.poller.fetch import Looker
from services.poller.permits import permits_of
from services.poller.signers import Signers
from services.poller.state import Followed
from shared.git.mirror import Mirror
from shared.git.remote import Remote, SourceError, TransferLimits
from shared.git.transport import Transport
from shared.git.urls import parse_url
from tests.support.git_server import GitServer
from tests.support.raw_server import RawServer

MAIN = "refs/heads/main"
ID = "1" * 40


def remote(url) -> Remote:
    return Remote(parse_url(str(url), allow_insecure=True))


@asynccontextmanager
async def looking(url, folder):
    """Give a function that looks at a ref and returns its commit, or the code of what is wrong."""
    async with Transport() as way:
        looker = Looker(way, folder, permits_of([url], ()), CredentialsFile(folder / "none"), Signers(folder))

        async def look(asked):
            found = await looker.look("fleet", [Followed(repository=url, asked_ref=asked)], {})
            error = found.answers.get((url, asked))
            return error.code if error else found.sightings[0].chosen.commit

        yield look


async def test_nothing_of_a_repository_runs(git_server, tmp_path, tmp_path_factory):
    """A21: no hook of mirror or user, no filter, no submodule, no LFS."""
    canary, listener = tmp_path / "ran", GitServer(tmp_path_factory.mktemp("listener"))
    url = git_server.url("a")
    elsewhere = f"http://127.0.0.1:{listener.port}"
    files = {
        ".gitattributes": "* filter=evil\n*.bin filter=lfs diff=lfs\n",
        ".gitmodules": f'[submodule "s"]\n\tpath = s\n\turl = {elsewhere}/s.git\n\tupdate = !touch {canary}\n',
        ".lfsconfig": f"[lfs]\n\turl = {elsewhere}/lfs\n",
        "x.bin": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n",
    }
    git_server.commit("a", files)
    config = f'[filter "evil"]\n\tsmudge = touch {canary}\n\tclean = touch {canary}\n[core]\n\thooksPath = {tmp_path}\n'
    for name in ("post-checkout", "reference-transaction", "post-merge", "update", "pre-auto-gc"):
        _script(tmp_path / name, canary)
    try:
        async with looking(url, tmp_path) as look:
            await look("main")
            for mirror in tmp_path.glob("*.git"):
                (mirror / "hooks").mkdir(exist_ok=True)
                for name in ("post-update", "reference-transaction", "update"):
                    _script(mirror / "hooks" / name, canary)
                (mirror / "config").write_text((mirror / "config").read_text() + config)
            second = git_server.commit("a", {"y": "2"})
            found = await look("main")
    finally:
        listener.close()

    assert found == second
    assert not canary.exists()
    assert listener.requests == []


def _script(path: Path, canary: Path) -> None:
    path.write_text(f"#!/bin/sh\ntouch {canary}\n")
    path.chmod(0o755)


FETCH = """
import asyncio, sys
from pathlib import Path
from shared.git.remote import Credentials, Remote
from shared.git.transport import Transport
from shared.git.urls import parse_url, prefix_of

async def main():
    folder = Path(sys.argv[1])
    async with Transport(known_hosts=folder / "known_hosts") as way:
        for number, url in enumerate(sys.argv[2:]):
            place = parse_url(url, allow_insecure=True)
            key = (folder / "key").read_text() if place.scheme == "ssh" else ""
            known = Credentials("ci", "", prefix_of(url, allow_insecure=True), key) if key else None
            where, _ = await way.list_refs(Remote(place, known), ["refs/heads/"])
            assert await way.fetch(where, folder / f"{number}.git", ["refs/heads/main"])

asyncio.run(main())
"""


@pytest.mark.slow
def test_no_file_of_the_users_git_or_ssh_is_opened(git_server, ssh_server, tmp_path):
    """A21: seen by the kernel, for all three ways to a repository."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed (Debian: strace)")
    home = tmp_path / "home"
    config = f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {git_server.url("a")}\n[core]\n\tsshCommand = false\n'
    for name in (".gitconfig", ".config/git/config", ".ssh/config", ".ssh/known_hosts", ".ssh/id_ed25519"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(config)
    for server in (git_server, ssh_server):
        server.commit("a", {"x": "1"})
    (tmp_path / "known_hosts").write_text(ssh_server.known_hosts)
    (tmp_path / "key").write_text(ssh_server.user_key.file.read_text())
    log = tmp_path / "log"
    traced = ["strace", "-f", "-qq", "-e", "trace=%file", "-o", str(log)]
    urls = [git_server.url("a"), ssh_server.url("a"), str(git_server.path("a"))]
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    command = [*traced, sys.executable, "-c", FETCH, str(tmp_path), *urls]
    ran = subprocess.run(command, env=environment, cwd=Path.cwd(), capture_output=True, check=False, text=True)
    if "ptrace" in ran.stderr:
        pytest.skip("this machine lets nobody trace system calls")
    touched = log.read_text()

    assert ran.returncode == 0, ran.stderr
    assert str(tmp_path / "0.git") in touched
    for place in (".gitconfig", ".config/git", ".ssh"):
        assert f'"{home / place}' not in touched, place
    assert '"/etc/gitconfig' not in touched
    assert '"/etc/ssh' not in [line for line in touched.splitlines() if "sshd" not in line]


def advertisement(lines: bytes = b"") -> bytes:
    first = f"{ID} {MAIN}\0side-band-64k ofs-delta agent=x\n".encode()
    return b"001e# service=git-upload-pack\n0000" + b"%04x" % (len(first) + 4) + first + lines


def endless_refs():
    yield advertisement()
    number = 0
    while True:
        number += 1
        line = f"{ID} refs/heads/b{number:08}\n".encode()
        yield (b"%04x" % (len(line) + 4) + line) * 200


def endless_pack():
    """A pack with one blob of stored zlib blocks, that goes on and on."""
    yield b"0008NAK\n"
    size, header = 1 << 40, bytearray()
    byte = (3 << 4) | (size & 15)
    size >>= 4
    while size:
        header.append(byte | 128)
        byte, size = size & 127, size >> 7
    header.append(byte)
    pack = zlib.compressobj(0)
    data = b"PACK" + (2).to_bytes(4) + (1).to_bytes(4) + bytes(header) + pack.compress(os.urandom(1000))
    while True:
        data += pack.compress(os.urandom(60_000))
        for start in range(0, len(data), 60_000):
            part = data[start : start + 60_000]
            yield b"%04x\1" % (len(part) + 5) + part
        data = b""


async def test_endless_refs_end_at_the_limit():
    """A21, S10."""
    with RawServer({"GET": endless_refs}) as server:
        async with Transport(TransferLimits(listing_bytes=1 << 20)) as way:
            with pytest.raises(SourceError) as refused:
                await way.list_refs(remote(server.url), [MAIN])

    assert refused.value.code == "source.too-large"


async def test_an_endless_pack_ends_at_the_limit_and_leaves_nothing(tmp_path):
    """A21, S10."""
    with RawServer({"GET": lambda: [advertisement(b"0000")], "POST": endless_pack}) as server:
        async with Transport(TransferLimits(fetch_bytes=3 << 20)) as way:
            with pytest.raises(SourceError) as refused:
                await way.fetch(remote(server.url), Mirror(tmp_path / "m.git").path, [MAIN])

    assert refused.value.code == "source.too-large"
    assert list(tmp_path.glob("m.git/objects/pack/*")) == []


async def test_a_pack_of_too_many_objects_is_refused(git_server, tmp_path):
    """S10: small ones add up, too."""
    git_server.commit("a", {f"f{number}": str(number) for number in range(50)})
    async with Transport(TransferLimits(fetch_objects=20)) as way:
        with pytest.raises(SourceError) as refused:
            await way.fetch(remote(git_server.url("a")), Mirror(tmp_path / "m.git").path, [MAIN])

    assert refused.value.code == "source.too-large"


async def test_a_pack_that_drips_is_left_at_the_deadline(tmp_path):
    """A21, S10: a byte now and then keeps no fetch alive."""
    with RawServer({"GET": lambda: [advertisement(b"0000")], "POST": endless_pack}, bytes_per_s=1) as server:
        async with Transport(TransferLimits(fetch_deadline_s=1.0)) as way:
            with pytest.raises(SourceError) as refused:
                await way.fetch(remote(server.url), Mirror(tmp_path / "m.git").path, [MAIN])
            idle = way._idle

    assert refused.value.code == "source.timeout"
    assert idle == []


@pytest.mark.parametrize(("by", "count"), [("http", 100_000), ("disk", 2_000)])
async def test_many_refs_are_refused_by_number_and_hinder_nobody_who_wants_one(git_server, by, count):
    """S10."""
    commit = git_server.commit("a", {"x": "1"})
    lines = "".join(f"{commit} refs/tags/t{number:06}\n" for number in range(count))
    (git_server.path("a") / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted \n{lines}")
    url = git_server.url("a") if by == "http" else git_server.path("a")
    async with Transport(TransferLimits(refs=count // 2)) as way:
        _, refs = await way.list_refs(remote(git_server.url("a")), [MAIN])
        with pytest.raises(SourceError) as refused:
            await way.list_refs(remote(url), ["refs/tags/"])

    assert [ref.name for ref in refs] == [MAIN]
    assert refused.value.code == "source.too-large"


@pytest.mark.parametrize("by", ["http", "disk"])
async def test_confusing_refs_are_what_they_are_called_or_nothing(git_server, tmp_path, by):
    """A22, S8: made by git itself."""
    commits = [git_server.commit("a", {"x": str(number)}) for number in range(6)]
    hexadecimal, lookalike = "deadbeef" * 5, "m\u0430in"
    refs = {
        "refs/heads/both": commits[0],
        "refs/tags/both": commits[1],
        f"refs/heads/{hexadecimal}": commits[2],
        "refs/heads/HEAD": commits[3],
        f"refs/heads/{lookalike}": commits[4],
        "refs/tags/main-1": commits[1],
        "refs/tags/heads/main": commits[2],
    }
    for name, commit in refs.items():
        _git(git_server.path("a"), "update-ref", name, commit)
    url = git_server.url("a") if by == "http" else str(git_server.path("a"))
    expected = {
        "main": commits[5],
        "both": "source.ref-ambiguous",
        "refs/heads/both": commits[0],
        "refs/tags/both": commits[1],
        hexadecimal: "source.ref-missing",
        f"refs/heads/{hexadecimal}": commits[2],
        "refs/heads/HEAD": commits[3],
        lookalike: commits[4],
        "heads/main": commits[2],
        "": commits[5],
        commits[2]: commits[2],
        **dict.fromkeys(
            ["-x", "refs/heads/-x", "main@{1}", "@", "main~1", "main^", "main:x", "../main", "main\n", "@{-1}"],
            "source.ref-invalid",
        ),
        **dict.fromkeys(["MAIN", "mai", "refs/heads", "m\u0430in\u200b", commits[2][:12]], "source.ref-missing"),
    }
    found = {}
    async with looking(url, tmp_path) as look:
        for asked in expected:
            found[asked] = await look(asked)

    assert found == expected


@pytest.mark.parametrize("by", ["http", "disk"])
async def test_a_repository_of_the_other_object_format_says_so(git_server, tmp_path, by):
    """A22: SHA-256."""
    path = git_server.path("a")
    if not _sha256(path):
        pytest.skip("this git knows no SHA-256")
    async with Transport() as way:
        with pytest.raises(SourceError) as refused:
            await way.list_refs(remote(git_server.url("a") if by == "http" else path), [MAIN])

    assert refused.value.code == "source.protocol"
    assert "SHA-256" in str(refused.value)


def _git(path: Path, *command: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", "-C", str(path), *who, *command], input="", capture_output=True, check=True, text=True
    ).stdout.strip()


def _sha256(path: Path) -> bool:
    """Make a repository with one commit whose ids are SHA-256; tell whether git can."""
    made = subprocess.run(["git", "init", "-q", "--bare", "--object-format=sha256", str(path)], check=False)
    if not made.returncode:
        _git(path, "update-ref", MAIN, _git(path, "commit-tree", "-m", "x", _git(path, "mktree")))
    return not made.returncode
