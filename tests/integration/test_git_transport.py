"""Refs and commits of a real git server; its faults have names, its tricks get nothing."""

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from shared.git.child import _fetched
from shared.git.mirror import Mirror
from shared.git.remote import Credentials, Remote, SourceError, TransferLimits
from shared.git.transport import Transport
from shared.git.urls import parse_url, prefix_of
from tests.support.git_server import Fault, GitServer

MAIN = "refs/heads/main"
QUICK = TransferLimits(list_deadline_s=0.5, fetch_deadline_s=2.0)


def remote(url: str, password: str = "", place: str = "") -> Remote:
    credentials = Credentials("ci", password, prefix_of(place or url, allow_insecure=True)) if password else None
    return Remote(parse_url(url, allow_insecure=True), credentials)


@asynccontextmanager
async def transport(limits: TransferLimits | None = None):
    async with asyncio.timeout(60), Transport(limits) as made:
        yield made


async def ids(way: Transport, where: Remote) -> dict[str, str]:
    return {ref.name: ref.commit for ref in (await way.list_refs(where, ["refs/heads/", "refs/tags/", "HEAD"]))[1]}


@pytest.fixture(params=["http", "disk"])
def url_of(request, git_server: GitServer):
    """How to name a repository of the server: over HTTP, or by its path."""
    return git_server.url if request.param == "http" else lambda name: str(git_server.path(name))


async def test_refs_are_listed_with_what_tags_mean(git_server, url_of):
    commit = git_server.commit("a", {"x": "1"})
    git_server.tag("a", "v1", commit, annotated=True)

    async with transport() as way:
        assert await ids(way, remote(url_of("a"))) == {"HEAD": commit, MAIN: commit, "refs/tags/v1": commit}


async def test_a_server_of_an_old_version_is_understood(git_server, monkeypatch):
    commit = git_server.commit("a", {"x": "1"})
    monkeypatch.setattr("shared.git.listing._options", lambda _: {"headers": {}, "allow_redirects": False})

    async with transport() as way:
        assert await ids(way, remote(git_server.url("a"))) == {"HEAD": commit, MAIN: commit}


async def test_an_empty_repository_has_no_refs(git_server, url_of):
    git_server.open("a")

    async with transport() as way:
        assert await ids(way, remote(url_of("a"))) == {}


async def test_a_fetch_brings_commits_and_says_what_is_not_there(git_server, url_of, tmp_path):
    first = git_server.commit("a", {"x": "1"})
    second = git_server.commit("a", {"x": "2"})
    mirror = Mirror(tmp_path / "m.git")

    async with transport() as way:
        found = await way.fetch(remote(url_of("a")), mirror.path, [MAIN, "refs/heads/gone"])

    assert found == {MAIN: second}
    assert mirror.is_ancestor(first, second)


async def test_a_commit_that_no_branch_holds_is_fetched_by_its_id(git_server, tmp_path):
    first = git_server.commit("a", {"x": "1"})
    git_server.commit("a", {"x": "2"}, amend=True)
    mirror = Mirror(tmp_path / "m.git")

    async with transport() as way:
        assert await way.fetch(remote(git_server.url("a")), mirror.path, [first]) == {first: first}


async def test_a_commit_of_a_server_that_gives_only_branches_is_found_there(git_server, url_of, tmp_path):
    first = git_server.commit("a", {"x": "1"})
    git_server.commit("a", {"x": "2"})
    git_server.open("a").config["uploadpack.allowAnySHA1InWant"] = False
    mirror = Mirror(tmp_path / "m.git")

    async with transport() as way:
        found = await way.fetch(remote(url_of("a")), mirror.path, [first, "f" * 40])

    assert found == {first: first}


@pytest.fixture
def started(monkeypatch):
    """The processes that were started."""
    found = []
    start = asyncio.create_subprocess_exec

    async def noted(*args, **how):
        found.append(await start(*args, **how))
        return found[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    return found


async def test_fetches_at_the_same_time_leave_no_process_behind(git_server, tmp_path, started):
    commits = {name: git_server.commit(name, {"x": name}) for name in "abc"}
    async with transport() as way, asyncio.TaskGroup() as tasks:
        fetches = {
            name: tasks.create_task(way.fetch(remote(str(git_server.path(name))), tmp_path / name, [MAIN]))
            for name in commits
        }

    assert {name: fetch.result()[MAIN] for name, fetch in fetches.items()} == commits
    assert all(process.returncode is not None for process in started)


async def test_fetches_after_each_other_start_python_once(git_server, tmp_path, started):
    async with transport() as way:
        for number in range(3):
            commit = git_server.commit("a", {"x": str(number)})
            assert await way.fetch(remote(git_server.url("a")), tmp_path / "m.git", [MAIN]) == {MAIN: commit}

    assert len(started) == 1


async def test_a_process_that_was_killed_while_it_waited_costs_no_fetch(git_server, tmp_path, started):
    commit = git_server.commit("a", {"x": "1"})
    async with transport() as way:
        await way.fetch(remote(git_server.url("a")), tmp_path / "m.git", [MAIN])
        started[0].kill()
        await started[0].wait()

        assert await way.fetch(remote(git_server.url("a")), tmp_path / "m.git", [MAIN]) == {MAIN: commit}


async def test_a_second_fetch_brings_only_what_is_new(git_server, tmp_path):
    git_server.commit("a", {"big": os.urandom(300_000), "x": "1"})
    mirror = Mirror(tmp_path / "m.git")
    way_to = remote(git_server.url("a"))

    async with transport() as way:
        mirror.keep_tip("main", (await way.fetch(way_to, mirror.path, [MAIN]))[MAIN])
        git_server.commit("a", {"x": "2"})
        await way.fetch(way_to, mirror.path, [MAIN])

    packs = sorted(path.stat().st_size for path in mirror.path.glob("objects/pack/*.pack"))
    assert len(packs) == 2
    assert packs[0] < 2000


def test_many_fetches_leave_few_packs(local_git, tmp_path):
    mirror = Mirror(tmp_path / "m.git")
    job = {**Transport()._job(remote(str(local_git.path("a"))), 60), "mirror": str(mirror.path), "wanted": [MAIN]}
    commits = []
    for index in range(36):
        commits.append(local_git.commit("a", {"x": str(index)}))
        # As the child does it, without starting 36 of them.
        mirror.keep_tip("main", _fetched(job)[MAIN])

    assert len(list(mirror.path.glob("objects/pack/*.pack"))) < 10
    assert all(mirror.commit(commit).id == commit for commit in commits)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=401), "source.auth"),
        (Fault(status=403), "source.auth"),
        (Fault(status=404), "source.not-found"),
        (Fault(status=503), "source.unreachable"),
        (Fault(hang=True), "source.timeout"),
    ],
)
async def test_a_fault_of_the_server_has_a_name(git_server, fault, code):
    git_server.commit("a", {"x": "1"})
    git_server.faults["a"] = fault

    async with transport(QUICK) as way:
        with pytest.raises(SourceError) as failed:
            await ids(way, remote(git_server.url("a")))

    assert failed.value.code == code


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/x", "source.unreachable"),
        ("https://nowhere.invalid/x", "source.unreachable"),
        ("/nowhere/x.git", "source.not-found"),
    ],
)
async def test_a_place_without_a_server_has_a_name(url, code):
    async with transport() as way:
        with pytest.raises(SourceError) as failed:
            await ids(way, remote(url))

    assert failed.value.code == code


async def test_a_fetch_that_hangs_in_the_middle_is_killed_and_the_next_one_works(git_server, tmp_path):
    commit = git_server.commit("a", {"big": os.urandom(400_000)})
    git_server.faults["a"] = Fault(cut_after=100_000)
    mirror = Mirror(tmp_path / "m.git")

    async with transport(QUICK) as way:
        with pytest.raises(SourceError) as failed:
            await way.fetch(remote(git_server.url("a")), mirror.path, [MAIN])
        git_server.faults.clear()

        assert failed.value.code == "source.timeout"
        assert await way.fetch(remote(git_server.url("a")), mirror.path, [MAIN]) == {MAIN: commit}
    assert {path.suffix for path in mirror.path.glob("objects/pack/*")} <= {".pack", ".idx", ".rev"}


async def test_a_fetch_beyond_the_limit_is_refused(git_server, url_of, tmp_path):
    git_server.commit("a", {"big": os.urandom(400_000)})

    async with transport(TransferLimits(fetch_bytes=100_000)) as way:
        with pytest.raises(SourceError):
            await way.fetch(remote(url_of("a")), Mirror(tmp_path / "m.git").path, [MAIN])


async def test_the_right_credential_opens_a_repository(git_server, tmp_path):
    commit = git_server.commit("a", {"x": "1"})
    git_server.passwords["a"] = ("ci", "right")
    where = remote(git_server.url("a"), "right")

    async with transport() as way:
        assert (await ids(way, where))[MAIN] == commit
        assert await way.fetch(where, Mirror(tmp_path / "m.git").path, [MAIN]) == {MAIN: commit}


async def test_a_wrong_credential_is_named_without_being_repeated(git_server, tmp_path):
    git_server.commit("a", {"x": "1"})
    git_server.passwords["a"] = ("ci", "right")
    where = remote(git_server.url("a"), "wr0ng")

    async with transport() as way:
        with pytest.raises(SourceError) as not_listed:
            await ids(way, where)
        with pytest.raises(SourceError) as not_fetched:
            await way.fetch(where, Mirror(tmp_path / "m.git").path, [MAIN])

    assert not_listed.value.code == not_fetched.value.code == "source.auth"
    assert "wr0ng" not in str(not_listed.value) + str(not_fetched.value)


async def test_a_redirect_to_another_host_is_refused_and_gets_nothing(git_server, tmp_path_factory):
    git_server.commit("a", {"x": "1"})
    other = GitServer(tmp_path_factory.mktemp("other"))
    try:
        git_server.faults["a"] = Fault(status=302, location=f"http://127.0.0.1:{other.port}")
        async with transport() as way:
            with pytest.raises(SourceError, match=str(other.port)) as failed:
                await ids(way, remote(git_server.url("a"), "right"))
    finally:
        other.close()

    assert failed.value.code == "source.redirect"
    assert other.requests == []


async def test_a_fetch_that_is_redirected_gives_the_other_place_no_credential(git_server, tmp_path, tmp_path_factory):
    other = GitServer(tmp_path_factory.mktemp("other"))
    other.commit("a", {"x": "1"})
    other.passwords["a"] = ("ci", "right")
    try:
        git_server.faults["a"] = Fault(status=302, location=f"http://127.0.0.1:{other.port}")
        async with transport() as way:
            with pytest.raises(SourceError) as failed:
                await way.fetch(remote(git_server.url("a"), "right"), Mirror(tmp_path / "m.git").path, [MAIN])
    finally:
        other.close()

    assert failed.value.code == "source.redirect"
    assert {request.authorization for request in other.requests} <= {""}


async def test_a_redirect_within_the_host_is_followed_to_where_the_credential_counts(git_server):
    commit = git_server.commit("new", {"x": "1"})
    git_server.passwords["new"] = ("ci", "right")
    old = f"http://127.0.0.1:{git_server.port}/old.git"
    git_server.faults["old"] = Fault(
        status=301, location=f"http://127.0.0.1:{git_server.port}", path="/new.git/info/refs?service=git-upload-pack"
    )
    async with transport() as way:
        place, refs = await way.list_refs(remote(old, "right", f"http://127.0.0.1:{git_server.port}"), ["refs/heads/"])
        with pytest.raises(SourceError) as failed:
            await way.list_refs(remote(old, "right", old), ["refs/heads/"])

    assert place.location.path == "/new.git"
    assert refs[0].id == commit
    assert failed.value.code == "source.redirect"


async def test_nothing_of_the_users_configuration_counts(git_server, tmp_path, monkeypatch):
    commit = git_server.commit("a", {"x": "1"})
    (tmp_path / ".gitconfig").write_text(f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {git_server.url("a")}\n[broken')
    monkeypatch.setenv("HOME", str(tmp_path))

    async with transport() as way:
        found = await way.fetch(remote(git_server.url("a")), Mirror(tmp_path / "m.git").path, [MAIN])

    assert found == {MAIN: commit}
