"""The poller with a real bus and real git: what it sees is said, whatever fails elsewhere stays there."""

import json
import os

import pytest

from shared import subjects
from shared.git.store import ObjectStore
from shared.messages.sources import History, Needs, Wanted
from tests.support.git_server import Fault
from tests.support.line import until
from tests.support.poller_line import behind, polling

APP = "kind: ConfigMap\n"


@pytest.fixture
async def line(bus_server):
    async with behind(bus_server) as found:
        yield found


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path / "renderer")


def source(git, name, ref=""):
    return f"{name}={git.path(name)}" + (f"#{ref}" if ref else "")


async def need(line, name, number, *repositories, lost=()):
    wanted = tuple(Wanted(repository=str(url), ref=ref) for url, ref in repositories)
    needs = Needs(source=name, number=number, repositories=wanted, lost_packs=tuple(lost))
    await line.bus.publish(subjects.need(name), needs.to_bytes())


async def test_a_commit_becomes_a_revision_and_a_request_whose_packs_hold_its_tree(
    bus_server, line, store, local_git, tmp_path
):
    commit = local_git.commit("fleet", {"apps/web.yaml": APP}, subject="Add web")
    async with polling(bus_server, tmp_path, source(local_git, "fleet")):
        revision = await line.next("revisions")
        request = await line.next("requests")
        tree = await line.tree(request, request.checkout, store)

    assert (revision.commit.id, revision.commit.subject, revision.history) == (commit, "Add web", History.FIRST)
    assert revision.ref == "refs/heads/main"
    assert (request.number, request.checkout.commit.id) == (revision.number, commit)
    assert tree.read("apps/web.yaml") == APP.encode()


async def test_every_commit_between_two_looks_is_observed_or_superseded(bus_server, line, store, local_git, tmp_path):
    """I1."""
    first = local_git.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet")):
        await line.request_at(first)
        seen = {first}
        commits = [local_git.commit("fleet", {"a": str(number)}) for number in range(2, 12)]
        request = await line.request_at(commits[-1])
        await line.tree(request, request.checkout, store)
        while not line.revisions.empty():
            revision = line.revisions.get_nowait()
            seen |= {revision.commit.id, *revision.superseded}

    assert seen >= {first, *commits}


async def test_a_one_line_commit_moves_little(bus_server, line, store, git_server, tmp_path):
    """In proportion to the change: neither git nor the bus carries again what is there."""
    files = {f"big/{number}.bin": os.urandom(200_000) for number in range(20)}
    first = git_server.commit("fleet", {**files, "apps/web.yaml": APP})
    async with polling(bus_server, tmp_path, f"fleet={git_server.url('fleet')}"):
        request = await line.request_at(first)
        await line.tree(request, request.checkout, store)
        full = request.checkout.packs
        before = git_server.sent_bytes
        second = git_server.commit("fleet", {"apps/web.yaml": APP + "# changed\n"})
        request = await line.request_at(second)
        tree = await line.tree(request, request.checkout, store)
        looks = sum(each.path.endswith("/git-upload-pack") for each in git_server.requests)

    assert full[0].bytes > 4_000_000
    assert request.checkout.packs[:-1] == full
    assert request.checkout.packs[-1].bytes < 2000
    assert git_server.sent_bytes - before < 4000 + 1000 * looks
    assert tree.read("apps/web.yaml").endswith(b"# changed\n")


async def test_a_source_without_news_is_only_asked_for_its_refs(bus_server, line, git_server, tmp_path):
    first = git_server.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, f"fleet={git_server.url('fleet')}"):
        await line.request_at(first)
        await line.command("sync")
        before = len(git_server.requests)
        for _ in range(3):
            await line.command("sync")
        asked = git_server.requests[before:]

    assert asked
    assert {each.method + each.path.partition(".git")[2].partition("?")[0] for each in asked} == {
        "GET/info/refs",
        "POST/git-upload-pack",
    }
    assert line.requests.empty()


async def test_a_commit_in_one_source_is_no_work_for_another(bus_server, line, local_git, tmp_path):
    one, two = local_git.commit("one", {"a": "1"}), local_git.commit("two", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "one"), source(local_git, "two")):
        found = {(await line.next("requests")).checkout.commit.id for _ in range(2)}
        newer = local_git.commit("one", {"a": "2"})
        request = await line.next("requests")
        await line.command("sync")

    assert found == {one, two}
    assert (request.source, request.checkout.commit.id) == ("one", newer)
    assert line.requests.empty()


async def test_a_repository_that_hangs_delays_no_other(bus_server, line, git_server, tmp_path):
    git_server.commit("slow", {"a": "1"})
    git_server.faults["slow"] = Fault(hang=True)
    git_server.commit("fleet", {"a": "1"})
    sources = (f"slow={git_server.url('slow')}", f"fleet={git_server.url('fleet')}")
    async with polling(bus_server, tmp_path, *sources, list_deadline_s=30):
        for number in range(3):
            await line.request_at(git_server.commit("fleet", {"a": f"new {number}"}))
        git_server.faults.clear()
        git_server.stopping.set()


async def test_what_cannot_be_had_is_stated_once_and_what_was_seen_stays(bus_server, line, git_server, tmp_path):
    """A33: a deleted branch makes nothing smaller."""
    commit = git_server.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, f"fleet={git_server.url('fleet')}#main"):
        await line.request_at(commit)
        git_server.delete("fleet", "refs/heads/main")
        failed = await line.fact_of("source-failed")
        for _ in range(2):
            answer = await line.command("sync")
        git_server.point("fleet", "refs/heads/main", commit)
        recovered = await line.fact_of("source-recovered")

    assert (failed.data["code"], failed.source, failed.severity) == ("source.ref-missing", "fleet", "error")
    assert answer.data["result"]["tips"] == {"fleet": commit}
    assert "no branch or tag 'main'" in answer.message
    assert recovered.data["code"] == "source.ref-missing"
    assert line.requests.empty()
    assert line.facts.empty()


async def test_a_renewed_credential_counts_without_a_restart(bus_server, line, git_server, tmp_path):
    """A34, F16: and without waiting for the next try, which is a minute away."""
    commit = git_server.commit("fleet", {"a": "1"})
    git_server.passwords["fleet"] = ("ci", "right")
    file = tmp_path / "credentials.json"
    url = git_server.url("fleet")
    file.write_text(json.dumps([{"url": url, "username": "ci", "password": "wr0ng"}]))
    async with polling(bus_server, tmp_path, f"fleet={url}"):
        failed = await line.fact_of("source-failed")
        file.write_text(json.dumps([{"url": url, "username": "ci", "password": "right"}]))
        request = await line.request_at(commit)

    assert failed.data["code"] == "source.auth"
    assert "wr0ng" not in failed.to_bytes().decode()
    assert request.checkout.repository == url


async def test_a_rewritten_history_is_a_new_tip_and_a_fact(bus_server, line, local_git, tmp_path):
    """A33."""
    first = local_git.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet")):
        await line.request_at(first)
        amended = local_git.commit("fleet", {"a": "2"}, amend=True)
        await line.request_at(amended)
        fact = await line.fact_of("history-rewritten")

    assert (fact.commit, fact.data["previous"]) == (amended, first)


async def test_a_tip_that_goes_back_is_believed_when_it_stays(bus_server, line, local_git, tmp_path):
    """F17: a stale replica shows the tip before for a while."""
    first = local_git.commit("fleet", {"a": "1"})
    second = local_git.commit("fleet", {"a": "2"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), interval_s=60):
        await line.request_at(second)
        local_git.point("fleet", "refs/heads/main", first)
        await line.command("sync")
        await line.command("sync")
        unbelieved = line.requests.empty()
        await line.command("sync")
        request = await line.request_at(first)

    assert unbelieved
    assert request.checkout.commit.id == first


async def test_a_range_goes_back_to_an_older_version_only_when_the_newer_tag_stays_away(
    bus_server, line, local_git, tmp_path
):
    """A33, F17: a replica that does not have the tag yet takes no release back."""
    first = local_git.commit("fleet", {"a": "1"})
    local_git.tag("fleet", "v1.0.0", first)
    second = local_git.commit("fleet", {"a": "2"}, amend=True)
    local_git.tag("fleet", "v1.1.0", second)
    async with polling(bus_server, tmp_path, source(local_git, "fleet", "1.x"), interval_s=60):
        await line.request_at(second)
        local_git.delete("fleet", "refs/tags/v1.1.0")
        await line.command("sync")
        failed = await line.command("sync")
        unbelieved = line.requests.empty()
        await line.command("sync")
        request = await line.request_at(first)

    assert unbelieved
    assert "which is before" in failed.message
    assert (request.checkout.ref, request.checkout.commit.id) == ("refs/tags/v1.0.0", first)


async def test_a_fleet_gets_the_repositories_that_it_needs(bus_server, line, store, local_git, tmp_path):
    fleet = local_git.commit("fleet", {"a": "1"})
    library = local_git.commit("library", {"chart/Chart.yaml": "name: web\n"})
    local_git.tag("library", "v1.0.0", library)
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), allow=(str(local_git.root),)):
        request = await line.request_at(fleet)
        await need(line, "fleet", request.number, (local_git.path("library"), "v1.x"))
        while not (request := await line.next("requests")).others:
            pass
        other = request.others[0]
        tree = await line.tree(request, other, store)
        newer = local_git.commit("library", {"chart/Chart.yaml": "name: web2\n"})
        local_git.tag("library", "v1.1.0", newer, annotated=True)
        request = await line.next("requests")

    assert (other.asked_ref, other.ref, other.commit.id) == ("v1.x", "refs/tags/v1.0.0", library)
    assert tree.read("chart/Chart.yaml") == b"name: web\n"
    assert (request.checkout.commit.id, request.others[0].commit.id) == (fleet, newer)


@pytest.mark.parametrize(
    "case",
    [
        ("https://169.254.169.254/latest", "source.not-allowed"),
        ("/etc", "source.not-allowed"),
        ("https://user:pw@git.example.org/x", "source.credentials-in-url"),
        ("ext::sh -c id", "source.not-allowed"),
    ],
)
async def test_a_fleet_cannot_send_the_hub_anywhere(bus_server, line, git_server, tmp_path, case):
    url, code = case
    commit = git_server.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, f"fleet={git_server.url('fleet')}"):
        request = await line.request_at(commit)
        await need(line, "fleet", request.number, (url, ""))
        while not (request := await line.next("requests")).failures:
            pass

    assert [failure.code for failure in request.failures] == [code]
    assert request.others == ()


async def test_lost_packs_come_again_as_one_full_pack(bus_server, line, store, local_git, tmp_path):
    first = local_git.commit("fleet", {"a": "1", "b": "2"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet")):
        await line.request_at(first)
        second = local_git.commit("fleet", {"a": "2"})
        request = await line.request_at(second)
        lost = [pack.digest for pack in request.checkout.packs]
        await need(line, "fleet", request.number, lost=lost[:1])
        again = await line.next("requests")
        tree = await line.tree(again, again.checkout, store)

    assert len(lost) == 2
    assert len(again.checkout.packs) == 1
    assert again.number > request.number
    assert (tree.read("a"), tree.read("b")) == (b"2", b"2")


async def test_packs_that_nothing_names_leave_the_bus(bus_server, line, local_git, tmp_path):
    """I11: they would fill the stream in the end."""
    first = local_git.commit("fleet", {"a": os.urandom(2000)})
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), interval_s=60):
        old = await line.request_at(first)
        for _ in range(2):
            await line.command("rebuild")
            # Another tree: the full pack is another one.
            commit = local_git.commit("fleet", {"a": os.urandom(2000)})
            await line.command("sync")
            await line.request_at(commit)
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), interval_s=60) as (_, bus):
        for _ in range(4):
            await line.command("render")
            request = await line.next("requests")
        stored = await line_packs(bus, gone=old.checkout.packs[0].digest)

    assert {pack.digest for pack in request.checkout.packs} <= stored


async def line_packs(bus, *, gone):
    """Return the packs on the bus as soon as one is gone."""
    while True:
        stored = await bus.stored_subjects(subjects.SOURCES, subjects.packs_of("fleet"))
        digests = {subjects.token(subject, 2) for subject in stored}
        if gone not in digests:
            return digests
        await bus.pause(0.02)


async def test_commands_are_answered(bus_server, line, local_git, tmp_path):
    commit = local_git.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), interval_s=60):
        request = await line.request_at(commit)
        answers = {
            "render": await line.command("render", source="fleet"),
            "unknown": await line.command("sync", source="nope"),
            "wrong": await line.command("dance"),
        }
        again = await line.next("requests")
        rebuilt = await line.command("rebuild")
        last = await line.next("requests")

    assert {name: (fact.data["ok"], fact.data["code"]) for name, fact in answers.items()} == {
        "render": (True, ""),
        "unknown": (False, "source.unknown"),
        "wrong": (False, "command.invalid"),
    }
    assert "fleet" in answers["unknown"].message
    assert rebuilt.data["ok"]
    assert request.number < again.number < last.number


async def test_a_sync_sees_what_was_pushed_before_it(bus_server, line, local_git, tmp_path):
    local_git.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), interval_s=60):
        await line.next("requests")
        for number in range(5):
            commit = local_git.commit("fleet", {"a": f"new {number}"})
            answer = await line.command("sync", source="fleet")

            assert answer.data["result"]["tips"] == {"fleet": commit}


async def test_a_restarted_poller_says_nothing_twice_and_numbers_on(bus_server, line, local_git, tmp_path):
    first = local_git.commit("fleet", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet")):
        before = await line.request_at(first)
    async with polling(bus_server, tmp_path, source(local_git, "fleet")):
        await line.command("sync")
        silent = line.requests.empty()
        second = local_git.commit("fleet", {"a": "2"})
        after = await line.request_at(second)

    assert silent
    assert after.number > before.number
    assert after.checkout.packs[0] == before.checkout.packs[0]


async def test_a_tree_that_is_too_large_fails_alone_and_heals(bus_server, line, local_git, tmp_path, monkeypatch):
    from shared.git import packs

    monkeypatch.setattr(packs, "DEPTH", 4)
    local_git.commit("fleet", {"/".join("abcdefgh"): "deep"})
    good = local_git.commit("other", {"a": "1"})
    async with polling(bus_server, tmp_path, source(local_git, "fleet"), source(local_git, "other")):
        failed = await line.fact_of("source-failed")
        await line.request_at(good)
        healed = local_git.commit("fleet", {"/".join("abcdefgh"): None, "flat": "1"})
        await line.request_at(healed)

    assert (failed.source, failed.data["code"]) == ("fleet", "source.too-large")


async def test_a_fetch_that_never_ends_delays_no_other_repository(bus_server, line, git_server, tmp_path):
    """S10: even of the same host; it has begun, and has not failed yet, when commits of another are rendered."""
    git_server.commit("slow", {"big": os.urandom(400_000)})
    git_server.faults["slow"] = Fault(cut_after=100_000)
    git_server.commit("fleet", {"a": "1"})
    sources = (f"slow={git_server.url('slow')}", f"fleet={git_server.url('fleet')}")
    async with polling(bus_server, tmp_path, *sources, fetch_deadline_s=30):
        await until(
            lambda: sum(each.method == "POST" and each.path.startswith("/slow") for each in git_server.requests) == 2,
            what="a fetch of the slow one",
        )
        for number in range(3):
            await line.request_at(git_server.commit("fleet", {"a": f"new {number}"}))
        unfinished = line.facts.empty()
        git_server.stopping.set()

    assert unfinished


@pytest.mark.parametrize(
    "case",
    [
        (lambda git: git.delete("fleet", "refs/heads/main"), "source.ref-missing"),
        (lambda git: git.remove("fleet"), "source.not-found"),
        (lambda git: (git.remove("fleet"), git.open("fleet")), "source.ref-missing"),
    ],
    ids=["branch deleted", "repository gone", "repository emptied"],
)
@pytest.mark.parametrize("ref", ["", "main"])
async def test_what_goes_away_is_told_and_leaves_what_was_seen(bus_server, local_git, tmp_path, case, ref):
    """A33, F15: by its own code, and no request makes anything smaller."""
    becomes, code = case
    commit = local_git.commit("fleet", {"a": "1"})
    async with behind(bus_server) as line, polling(bus_server, tmp_path, source(local_git, "fleet", ref)):
        await line.request_at(commit)
        becomes(local_git)
        failed = await line.fact_of("source-failed")
        answer = await line.command("sync")
        nothing = line.requests.empty()

    assert failed.data["code"] == code
    assert answer.data["result"]["tips"] == {"fleet": commit}
    assert nothing
