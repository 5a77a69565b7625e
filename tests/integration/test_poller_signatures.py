"""A source whose commits must be signed stays at the last one that was, and says which is not and why."""

from dataclasses import replace
from functools import partial

import pytest

from shared import subjects
from shared.messages.sources import Needs, Verify, Wanted
from tests.support.poller_line import behind, polling


@pytest.fixture
async def line(bus_server):
    async with behind(bus_server) as found:
        yield found


@pytest.fixture
def polls(bus_server, tmp_path):
    """Run a poller of these sources."""
    return partial(polling, bus_server, tmp_path)


@pytest.fixture
def ops(tmp_path, ssh_signer):
    """A signer whose key the hub has."""
    signer = ssh_signer("ops")
    keys = tmp_path / "signers" / "ops.allowed_signers"
    keys.parent.mkdir()
    keys.write_text(f"ops@example.org {signer.public}\n")
    return replace(signer, keys=keys)


def fleet(git, ref="main"):
    return f"fleet={git.path('fleet')}#{ref}"


async def refused(line):
    """Return why the source cannot be had, of which nothing was deleted and nothing rendered."""
    fact = await line.fact_of("source-failed")
    assert line.requests.empty()
    return fact


async def test_an_unsigned_commit_is_not_taken_until_a_signed_one_follows(line, local_git, polls, ops):
    first = local_git.commit("fleet", {"a": "1"}, sign=ops)
    async with polls(fleet(local_git), verify=("fleet=head:ops",)):
        await line.request_at(first)
        unsigned = local_git.commit("fleet", {"a": "2"})
        failed = await refused(line)
        second = local_git.commit("fleet", {"a": "3"})
        again = await refused(line)
        answer = await line.command("sync")
        signed = local_git.commit("fleet", {"a": "4"}, sign=ops)
        await line.fact_of("source-recovered")
        request = await line.request_at(signed)

    assert (failed.data["code"], failed.severity) == ("source.unverified", "error")
    assert failed.message == f"the commit {unsigned[:12]} of refs/heads/main is not verified: nobody signed it"
    assert "let a signer sign it (ops)" in failed.data["hint"]
    assert second[:12] in again.message
    assert answer.data["result"]["tips"] == {"fleet": first}
    assert request.checkout.commit.id == signed


async def test_strict_asks_for_every_commit_since_the_last_one_taken(line, local_git, polls, ops):
    """And merges are commits: what comes with them must be signed, too."""
    local_git.commit("fleet", {"a": "0"})
    first = local_git.commit("fleet", {"a": "1"}, sign=ops)
    local_git.point("fleet", "refs/heads/topic", first)
    topic = local_git.commit("fleet", {"b": "1"}, branch="topic")
    async with polls(fleet(local_git), verify=("fleet=strict:ops",)):
        await line.request_at(first)
        merge = local_git.commit("fleet", {"b": "1"}, sign=ops, merge=topic)
        failed = await refused(line)
        local_git.point("fleet", "refs/heads/main", first)
        local_git.commit("fleet", {"a": "2"}, sign=ops)
        good = local_git.commit("fleet", {"a": "3"}, sign=ops)
        await line.request_at(good)

    assert failed.message.startswith(f"the commit {topic[:12]} of refs/heads/main, which {merge[:12]} builds on,")


@pytest.mark.parametrize(
    "case",
    [
        ("v1.0.0", "v1.0.0", ""),
        ("v2.0.0", "v1.0.0", "the tag that leads to it was signed as 'v1.0.0'"),
        ("v1.0.0", "", "nobody signed it"),
    ],
)
async def test_a_signed_tag_vouches_for_its_commit_under_its_own_name(line, local_git, polls, ops, case):
    name, signed_as, says = case
    commit = local_git.commit("fleet", {"a": "1"})
    local_git.tag("fleet", signed_as or name, commit, annotated=True, sign=ops if signed_as else None)
    if signed_as not in {name, ""}:
        repository = local_git.open("fleet")
        local_git.point("fleet", f"refs/tags/{name}", str(repository.references[f"refs/tags/{signed_as}"].target))
        local_git.delete("fleet", f"refs/tags/{signed_as}")
    async with polls(fleet(local_git, "*"), verify=("fleet=head:ops",)):
        if says:
            assert says in (await refused(line)).message
        else:
            assert (await line.request_at(commit)).checkout.ref == f"refs/tags/{name}"


async def test_rules_that_come_later_judge_what_runs_and_take_nothing_away(line, local_git, polls, ops):
    first = local_git.commit("fleet", {"a": "1"})
    async with polls(fleet(local_git)):
        await line.request_at(first)
    async with polls(fleet(local_git), verify=("fleet=strict:ops",)):
        failed = await refused(line)
        answer = await line.command("sync")
        signed = local_git.commit("fleet", {"a": "2"}, sign=ops)
        await line.request_at(signed)

    assert first[:12] in failed.message
    assert answer.data["result"]["tips"] == {"fleet": first}


async def test_a_key_that_goes_stops_what_is_new_and_alarms_nobody_about_what_runs(
    line, local_git, polls, ops, ssh_signer
):
    """Keys are read at each use: no restart."""
    first = local_git.commit("fleet", {"a": "1"}, sign=ops)
    async with polls(fleet(local_git), verify=("fleet=head:ops",)):
        await line.request_at(first)
        file = ops.keys
        file.write_text(f"* {ssh_signer('other').public}\n")
        await line.command("sync")
        calm = line.facts.empty()
        second = local_git.commit("fleet", {"a": "2"}, sign=ops)
        failed = await refused(line)
        file.write_text(f"* {ops.public}\n")
        await line.request_at(second)

    assert calm
    assert "is no signer's" in failed.message


async def test_other_repositories_are_held_to_what_the_fleet_asks_for(line, local_git, polls, ops):
    """And a repository that never was verified fails for its apps alone."""
    commit = local_git.commit("fleet", {"a": "1"})
    local_git.commit("library", {"b": "1"})
    allow = (str(local_git.root),)
    async with polls(fleet(local_git), allow=allow):
        request = await line.request_at(commit)
        wanted = Wanted(
            repository=str(local_git.path("library")), ref="main", verify=(Verify(mode="head", signers=("ops",)),)
        )
        needs = Needs(source="fleet", number=request.number, repositories=(wanted,))
        await line.bus.publish(subjects.need("fleet"), needs.to_bytes())
        failed = await line.next("requests")
        signed = local_git.commit("library", {"b": "2"}, sign=ops)
        good = await line.next("requests")

    assert [(each.code, each.asked_ref) for each in failed.failures] == [("source.unverified", "main")]
    assert failed.others == ()
    assert [each.commit.id for each in good.others] == [signed]


async def test_a_signer_of_whom_the_hub_has_no_key_stops_the_source(line, local_git, polls, tmp_path):
    local_git.commit("fleet", {"a": "1"})
    async with polls(fleet(local_git), verify=("fleet=head:nobody",)):
        failed = await refused(line)

    assert failed.data["code"] == "source.signers"
    assert str(tmp_path / "signers" / "nobody.asc") in failed.data["hint"]
