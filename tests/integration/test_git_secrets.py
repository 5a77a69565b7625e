"""A credential goes to its own place and nowhere else: to no other server, no other process, no file."""

import asyncio
import os
from pathlib import Path

import pytest

from services.poller.credentials import CredentialsFile
from services.poller.fetch import Looker
from services.poller.permits import permits_of
from services.poller.signers import Signers
from services.poller.state import Followed
from shared.git.mirror import Mirror
from shared.git.remote import Credentials, Remote, SourceError, TransferLimits
from shared.git.transport import Transport
from shared.git.urls import parse_url, prefix_of
from tests.support.git_server import Fault, GitServer
from tests.support.line import until

MAIN = "refs/heads/main"
SECRET = "s3cr3t-of-the-hub"
PLACES = {
    "other port": "http://127.0.0.1:{}",
    "other host": "http://localhost:{}",
    "other scheme": "https://127.0.0.1:{}",
    "metadata": "http://169.254.169.254",
}


def remote(url: str) -> Remote:
    return Remote(parse_url(url, allow_insecure=True), Credentials("ci", SECRET, prefix_of(url, allow_insecure=True)))


@pytest.fixture
def other(tmp_path_factory):
    """A second server, which asks for the same credential."""
    server = GitServer(tmp_path_factory.mktemp("other"))
    server.commit("a", {"x": "1"})
    server.passwords["a"] = ("ci", SECRET)
    yield server
    server.close()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_elsewhere_gets_nothing_at_all(git_server, other, status, place):
    """A20: by any redirect, to another port, host or scheme; the second server sees not even a request."""
    git_server.commit("a", {"x": "1"})
    git_server.faults["a"] = Fault(status=status, location=PLACES[place].format(other.port))
    async with Transport() as way:
        with pytest.raises(SourceError) as refused:
            await way.list_refs(remote(git_server.url("a")), [MAIN])

    assert refused.value.code == "source.redirect"
    assert other.requests == []


@pytest.mark.parametrize("place", PLACES)
async def test_a_fetch_that_is_redirected_elsewhere_gives_nothing_away(git_server, other, tmp_path, place):
    """A20, A21: of libgit2 itself, which would follow; another port of the same host sees a request without credential."""
    git_server.commit("a", {"x": "1"})
    git_server.faults["a"] = Fault(status=302, location=PLACES[place].format(other.port))
    async with Transport() as way:
        with pytest.raises(SourceError) as refused:
            await way.fetch(remote(git_server.url("a")), Mirror(tmp_path / "m.git").path, [MAIN])

    # On another port of its host libgit2 tries TLS before anybody is asked for a credential.
    assert refused.value.code == ("source.tls" if place == "other scheme" else "source.redirect")
    assert {request.authorization for request in other.requests} <= {""}
    assert other.requests == [] or place == "other port"


async def test_a_commit_is_not_fetched_through_a_redirect_either(git_server, other, tmp_path):
    """A20: nobody needs to ask for the refs of a commit, but where it is gets asked first."""
    commit = git_server.commit("a", {"x": "1"})
    git_server.faults["a"] = Fault(status=302, location=PLACES["other port"].format(other.port))
    url = git_server.url("a")
    async with Transport() as way:
        found = Looker(way, tmp_path, permits_of([url], ()), CredentialsFile(tmp_path / "none"), Signers(tmp_path))
        look = await found.look("fleet", [Followed(repository=url, asked_ref=commit)], {})

    assert look.code == "source.redirect"
    assert other.requests == []


async def test_a_secret_is_in_no_argument_environment_or_file(git_server, tmp_path):
    """A20: while it is in use, and of every process of ours."""
    git_server.passwords["a"] = ("ci", SECRET)
    git_server.commit("a", {"x": os.urandom(100_000)})
    git_server.faults["a"] = Fault(cut_after=50_000)
    async with Transport(TransferLimits(fetch_deadline_s=30)) as way, asyncio.TaskGroup() as tasks:
        fetch = tasks.create_task(way.fetch(remote(git_server.url("a")), tmp_path / "m.git", [MAIN]))
        await until(lambda: _used(git_server), what="a fetch with a credential")
        seen, files = _seen(), _files(tmp_path, way._home.name)
        fetch.cancel()

    assert len(seen) >= 4
    assert len(files) > 3
    assert not [data for data in (*seen, *files) if SECRET.encode() in data]


def _used(server):
    return any(request.method == "POST" and request.authorization for request in server.requests)


def _files(*folders):
    return [path.read_bytes() for folder in folders for path in Path(folder).rglob("*") if path.is_file()]


def _seen():
    return [Path(f"/proc/{pid}", what).read_bytes() for pid in _children() for what in ("cmdline", "environ")]


def _children() -> list[int]:
    """Return the processes below this one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found, waiting = [], [os.getpid()]
    while waiting:
        below = [pid for pid, parent in parents.items() if parent in waiting]
        found += below
        waiting = below
    return found
