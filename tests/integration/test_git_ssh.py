"""Repositories behind a real sshd: a host is believed by its key only, and every refusal says which."""

import json

import pytest

from shared.git.remote import Credentials, Remote, SourceError, TransferLimits
from shared.git.transport import Transport
from shared.git.urls import parse_url, prefix_of
from tests.support.poller_line import behind, polling

MAIN = "refs/heads/main"
QUICK = TransferLimits(list_deadline_s=0.5, fetch_deadline_s=0.5)


def remote(server, name, key=None, passphrase=""):
    place = prefix_of(f"ssh://127.0.0.1:{server.port}")
    known = Credentials("", passphrase, place, (key or server.user_key).file.read_text())
    return Remote(parse_url(server.url(name)), known)


@pytest.fixture
def known_hosts(tmp_path, ssh_server):
    """The file of the hub's owner."""
    file = tmp_path / "known_hosts"
    file.write_text(f"# hosts of ours\n{ssh_server.known_hosts}")
    return file


@pytest.fixture
async def way(known_hosts):
    async with Transport(TransferLimits(), known_hosts) as made:
        yield made


async def refusal(way, where):
    """Return why the refs cannot be had."""
    with pytest.raises(SourceError) as listing:
        await way.list_refs(where, [MAIN])
    return listing.value


async def test_refs_and_commits_come_over_ssh(way, ssh_server, tmp_path):
    commit = ssh_server.commit("a", {"x": "1"})
    ssh_server.tag("a", "v1", commit, annotated=True)
    where = remote(ssh_server, "a")
    place, refs = await way.list_refs(where, ["refs/heads/", "refs/tags/", "HEAD"])
    found = await way.fetch(place, tmp_path / "m.git", [MAIN, "refs/heads/gone"])

    assert {ref.name: ref.commit for ref in refs} == {"HEAD": commit, MAIN: commit, "refs/tags/v1": commit}
    assert {ref.name: ref.symref for ref in refs}["HEAD"] == MAIN
    assert found == {MAIN: commit}
    assert [ref.name for ref in (await way.list_refs(where, ["refs/tags/"]))[1]] == ["refs/tags/v1"]


async def test_a_host_that_nobody_knows_gets_no_key(way, ssh_server, known_hosts):
    ssh_server.commit("a", {"x": "1"})
    known_hosts.write_text("")
    refused = await refusal(way, remote(ssh_server, "a"))

    assert refused.code == "source.host-key"
    assert f"[127.0.0.1]:{ssh_server.port} is not known" in refused.message
    assert str(known_hosts) in refused.message
    assert "Accepted" not in (ssh_server.root / "sshd.log").read_text()


async def test_a_host_whose_key_changed_gets_no_key(way, ssh_server, known_hosts, ssh_signer):
    """And a file that is right again counts at once."""
    ssh_server.commit("a", {"x": "1"})
    known_hosts.write_text(f"[127.0.0.1]:{ssh_server.port} {ssh_signer('other').public}\n")
    refused = await refusal(way, remote(ssh_server, "a"))
    known_hosts.write_text(ssh_server.known_hosts)
    _, refs = await way.list_refs(remote(ssh_server, "a"), [MAIN])

    assert refused.code == "source.host-key"
    assert "shows another key" in refused.message
    assert [ref.name for ref in refs] == [MAIN]


async def test_a_file_of_hosts_that_cannot_be_read_or_is_not_there_lets_nobody_in(way, ssh_server, known_hosts):
    ssh_server.commit("a", {"x": "1"})
    known_hosts.write_text("nonsense\n")
    malformed = await refusal(way, remote(ssh_server, "a"))
    known_hosts.unlink()
    absent = await refusal(way, remote(ssh_server, "a"))

    assert (malformed.code, absent.code) == ("source.host-key", "source.host-key")


async def test_a_key_that_is_refused_absent_or_unreadable_is_named_so(way, ssh_server, ssh_signer):
    ssh_server.commit("a", {"x": "1"})
    stranger = await refusal(way, remote(ssh_server, "a", ssh_signer("stranger")))
    without = await refusal(way, Remote(parse_url(ssh_server.url("a"))))
    broken = remote(ssh_server, "a")
    broken = Remote(broken.location, Credentials("", "", broken.credentials.place, "-----BEGIN s3cret"))
    unreadable = await refusal(way, broken)

    assert {stranger.code, without.code, unreadable.code} == {"source.auth"}
    assert "refuses" in stranger.message
    assert "the hub has none" in without.message
    assert "s3cret" not in unreadable.message


async def test_a_repository_that_is_not_there_says_so(way, ssh_server):
    ssh_server.commit("a", {"x": "1"})

    assert (await refusal(way, remote(ssh_server, "gone"))).code == "source.not-found"


async def test_a_host_that_hangs_is_left_at_the_deadline(ssh_server, known_hosts):
    """A21: the process is killed."""
    ssh_server.hang.set()
    async with Transport(QUICK, known_hosts) as way:
        assert (await refusal(way, remote(ssh_server, "a"))).code == "source.timeout"
        assert way._idle == []


async def test_a_poller_follows_a_source_over_ssh_and_takes_a_renewed_key(
    bus_server, ssh_server, ssh_signer, known_hosts, tmp_path
):
    """F16: without a restart."""
    commit = ssh_server.commit("fleet", {"a": "1"})
    key = tmp_path / "deploy-key"
    key.write_text(ssh_signer("stranger").file.read_text())
    entry = {"url": f"ssh://127.0.0.1:{ssh_server.port}", "key_file": "deploy-key"}
    (tmp_path / "credentials.json").write_text(json.dumps([entry]))
    async with behind(bus_server) as line, polling(bus_server, tmp_path, f"fleet={ssh_server.url('fleet')}"):
        failed = await line.fact_of("source-failed")
        key.write_text(ssh_server.user_key.file.read_text())
        request = await line.request_at(commit)

    assert failed.data["code"] == "source.auth"
    assert request.checkout.repository == ssh_server.url("fleet")
