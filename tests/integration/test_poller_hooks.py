"""Webhooks at the real poller: what is proven has git asked once, whatever else arrives has it asked never (A26)."""

import asyncio
import contextlib
import gzip
import io
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from services.poller.hooks import receiver, serving
from shared import subjects
from shared.messages.sources import Needs, Wanted
from shared.runtime.metrics import REGISTRY
from tests.support.forges import FORGES, WRONG, Posted, pushed, signed, without
from tests.support.git_server import Fault
from tests.support.poller_line import behind, polling

SECRET = "a-secret-of-a-hook"
HOUR_S = 3600.0
"""Between two looks, so that every look in a test has another reason."""


PROVIDERS = {"forgejo": "gitea", "gitlab-signed": "gitlab", "bitbucket-server": "bitbucket"}
"""Forges that the hub takes for others, which they are like."""


@pytest.fixture
async def line(bus_server):
    async with behind(bus_server) as found:
        yield found


class Hooked:
    """A poller with webhooks, and who posts to it."""

    def __init__(self, line, git, client, url):
        self.line, self.git, self.client, self.url = line, git, client, url

    def asked(self, name="fleet"):
        """Return how often git was asked for the refs of a repository."""
        return sum("/info/refs" in each.path and each.path.startswith(f"/{name}.git") for each in self.git.requests)

    @staticmethod
    def looks(source="fleet"):
        """Return how often a source was looked at."""
        samples = (each for metric in REGISTRY.collect() for each in metric.samples)
        return sum(
            each.value
            for each in samples
            if each.name == "towline_git_checks_total" and each.labels["source"] == source
        )

    async def post(self, posted, source="fleet"):
        """Post a delivery, and return status and answer."""
        data = io.BytesIO(posted.body)
        async with self.client.post(f"{self.url}/hooks/{source}", data=data, headers=posted.headers) as response:
            return response.status, json.loads(await response.read())

    async def raw(self, head, *chunks):
        """Write a request as it is, and return status and answer."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(head)
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
        except ConnectionError:
            pass
        status = int((await reader.readline()).split()[1])
        writer.close()
        return status, {}

    def push(self, forge, name="fleet", ref="refs/heads/main", **more):
        return pushed(forge, SECRET, self.git.url(name), ref, **more)


@pytest.fixture
def hooked(bus_server, line, git_server, tmp_path):
    """A function that runs a poller whose sources were looked at once."""

    @asynccontextmanager
    async def run(*sources, secrets=None, **changes):
        sources = sources or (f"fleet={git_server.url('fleet')}#main",)
        file = tmp_path / "webhooks.json"
        file.write_text(json.dumps({"fleet": SECRET} if secrets is None else secrets))
        place = asyncio.get_running_loop().create_future()
        told = {"interval_s": HOUR_S, "hooks_listen": "127.0.0.1:0", "announce_hooks": place.set_result, **changes}
        async with polling(bus_server, tmp_path, *sources, **told), aiohttp.ClientSession() as client:
            found = Hooked(line, git_server, client, await place)
            for _ in sources:
                await line.next("requests")
            yield found

    return run


def head_of(posted):
    """Return the headers of a delivery as they are written."""
    return "".join(f"{name}: {value}\r\n" for name, value in posted.headers.items())


async def settled(found):
    """Return after everything that was hinted was looked at: the command looks once itself."""
    await found.line.command("sync")


async def test_a_push_is_looked_at_once_and_no_commit_is_taken_from_the_delivery(hooked, git_server):
    """A26, S12: of every forge, and not again when it is replayed."""
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        await found.line.next("revisions")
        for forge in FORGES:
            before = found.looks()
            commit = git_server.commit("fleet", {"a": forge})
            posted = found.push(forge)
            first = await found.post(posted)
            revision = await found.line.next("revisions")
            again = await found.post(posted)

            assert (first[0], first[1]["result"]) == (202, "looking"), forge
            assert (again[0], again[1]["result"]) == (200, "duplicate"), forge
            assert (revision.commit.id, revision.hinted_by) == (commit, PROVIDERS.get(forge, forge))
            assert found.looks() - before == 1, forge
        await settled(found)

        assert found.line.revisions.empty()


async def refused(found, forge):
    """Post what the hub must not act upon, and return what it answers."""
    genuine = found.push(forge)
    post = f"POST /hooks/fleet HTTP/1.1\r\nHost: h\r\n{head_of(genuine)}"
    megabyte = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    answers = {
        "forged": await found.post(pushed(forge, "wrong", found.git.url("fleet"))),
        "unsigned": await found.post(without(genuine, *FORGES[forge].unsigned)),
        "malformed": await found.post(signed(forge, SECRET, b"{")),
        "another shape": await found.post(signed(forge, SECRET, {"ref": ["x"], "eventType": "git.push"})),
        "oversized": await found.post(signed(forge, SECRET, b" " * (serving.BODY_BYTES + 1))),
        "said to be oversized": await found.raw(f"{post}Content-Length: 1000000000\r\n\r\n".encode()),
        "endless": await found.raw(f"{post}Transfer-Encoding: chunked\r\n\r\n".encode(), *[megabyte] * 20),
    }
    if FORGES[forge].signs_body:
        answers["changed"] = await found.post(Posted(genuine.headers, genuine.body.replace(b"main", b"evil")))
    return {name: status for name, (status, _) in answers.items()}


async def test_what_is_not_proven_or_not_readable_has_nobody_look(hooked, git_server):
    """A26, S12: forged, unsigned, changed, oversized, endless and malformed, as of every forge."""
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        before, asked = found.looks(), found.asked()
        git_server.commit("fleet", {"a": "2"})
        for forge in FORGES:
            statuses = await refused(found, forge)

            assert statuses.pop("malformed") == statuses.pop("another shape") == 400, forge
            assert {statuses.pop(name) for name in ("oversized", "said to be oversized", "endless")} == {413}, forge
            assert set(statuses.values()) == {401}, forge
        assert found.asked() == asked
        await settled(found)

        assert found.looks() == before + 1


async def test_a_body_that_drips_is_given_up(hooked, git_server, monkeypatch):
    """A26: and whoever sends it holds up nobody else."""
    monkeypatch.setattr(serving, "READ_S", 1.0)
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        before = found.looks()
        async with asyncio.TaskGroup() as tasks:
            dripping = []
            for forge in FORGES:
                posted = found.push(forge)
                head = f"POST /hooks/fleet HTTP/1.1\r\nHost: h\r\n{head_of(posted)}Content-Length: {len(posted.body)}"
                dripping.append(tasks.create_task(found.raw(f"{head}\r\n\r\n".encode(), posted.body[:5])))
            status, _ = await found.post(found.push("github"))

        assert status == 202
        assert {each.result()[0] for each in dripping} == {408}
        await settled(found)
        assert found.looks() <= before + 2


async def test_bodies_that_are_read_at_once_are_bounded(hooked, git_server):
    """I11: they are what memory goes to."""
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        host, port = found.url.removeprefix("http://").split(":")
        head = head_of(found.push("github"))
        writers = []
        for _ in range(serving.READERS):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"POST /hooks/fleet HTTP/1.1\r\nHost: h\r\n{head}Content-Length: 10\r\n\r\n".encode())
            await writer.drain()
            writers.append(writer)
        async with asyncio.timeout(serving.READ_S):
            while (status := (await found.post(found.push("github")))[0]) == 202:
                pass
        for writer in writers:
            writer.close()

        assert status == 503


async def test_the_same_delivery_under_another_id_is_the_same_where_the_id_is_not_signed(hooked, git_server):
    """S12: replayed."""
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        posted = found.push("github")
        first = await found.post(posted)
        again = await found.post(Posted(posted.headers | {"X-GitHub-Delivery": "another"}, posted.body))

        assert (first[1]["result"], again[1]["result"]) == ("looking", "duplicate")


async def test_a_refused_delivery_is_not_remembered(hooked, git_server):
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        posted = found.push("github", delivery="7")
        forged = pushed("github", "wrong", git_server.url("fleet"), delivery="7")

        assert (await found.post(forged))[0] == 401
        assert (await found.post(posted))[0] == 202


async def test_a_flood_of_proven_deliveries_is_bounded(hooked, git_server, monkeypatch):
    """S12, I11: rate limited, and told so."""
    monkeypatch.setattr(receiver, "PROVEN", (5.0, 0.0))
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        statuses = [(await found.post(found.push("github")))[0] for _ in range(8)]

        assert statuses == [202] * 5 + [429] * 3


@pytest.mark.parametrize(
    ("name", "ref", "result"),
    [("other", "refs/heads/main", "ignored"), ("fleet", "refs/heads/feature", "ignored")],
    ids=["another-repository", "another-branch"],
)
async def test_what_the_source_does_not_follow_is_answered_and_not_looked_at(hooked, git_server, name, ref, result):
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        before = found.asked()
        status, answer = await found.post(found.push("gitea", name, ref))
        await settled(found)

        assert (status, answer["result"]) == (200, result)
        assert name in answer["message"] or "nobody follows" in answer["message"]
        assert found.asked() == before + 1


async def test_a_tag_in_its_range_wakes_a_source_that_follows_a_range(hooked, git_server, line):
    first = git_server.commit("fleet", {"a": "1"})
    git_server.tag("fleet", "v1.0.0", first)
    async with hooked(f"fleet={git_server.url('fleet')}#v1.x") as found:
        second = git_server.commit("fleet", {"a": "2"})
        git_server.tag("fleet", "v1.1.0", second)
        outside = await found.post(found.push("gitlab", ref="refs/tags/v2.0.0"))
        inside = await found.post(found.push("gitlab", ref="refs/tags/v1.1.0"))
        request = await line.request_at(second)

        assert (outside[1]["result"], inside[1]["result"]) == ("ignored", "looking")
        assert request.checkout.ref == "refs/tags/v1.1.0"


async def test_one_hook_wakes_every_source_that_shares_the_repository(hooked, git_server, line):
    git_server.commit("fleet", {"a": "1"})
    git_server.commit("fleet", {"a": "1"}, branch="next")
    url = git_server.url("fleet")
    async with hooked(f"fleet={url}#main", f"copy={url}#main", f"next={url}#next") as found:
        commit = git_server.commit("fleet", {"a": "2"})
        status, _ = await found.post(found.push("github"))
        requests = [await line.next("requests") for _ in range(2)]
        await settled(found)

        assert status == 202
        assert {(each.source, each.checkout.commit.id) for each in requests} == {("fleet", commit), ("copy", commit)}
        assert line.requests.empty()


async def test_a_source_with_a_hook_of_its_own_is_woken_by_that_alone(hooked, git_server, line):
    """A26: a push that two hooks tell of is looked at once for each."""
    git_server.commit("fleet", {"a": "1"})
    url = git_server.url("fleet")
    async with hooked(f"fleet={url}", f"copy={url}", secrets=dict.fromkeys(("fleet", "copy"), SECRET)) as found:
        before = [found.looks("fleet"), found.looks("copy")]
        await found.post(found.push("github"))
        await found.post(found.push("github"), "copy")
        await line.command("sync", source="fleet")
        await line.command("sync", source="copy")

        assert [found.looks("fleet") - before[0], found.looks("copy") - before[1]] == [2, 2]


async def test_a_repository_that_apps_name_is_looked_at_too(hooked, git_server, line):
    git_server.commit("fleet", {"a": "1"})
    first = git_server.commit("platform", {"b": "1"})
    async with hooked() as found:
        needs = Needs(
            source="fleet", number=2, repositories=(Wanted(repository=git_server.url("platform"), ref="main"),)
        )
        await line.bus.publish(subjects.need("fleet"), needs.to_bytes())
        while not (request := await line.next("requests")).others:
            pass
        second = git_server.commit("platform", {"b": "2"})
        status, _ = await found.post(found.push("github", "platform"))
        newer = await line.next("requests")

        assert status == 202
        assert [each.commit.id for each in (*request.others, *newer.others)] == [first, second]


async def test_a_hook_needs_a_secret_and_a_source(hooked, git_server):
    """S12: without a secret there is no hook; and nobody learns which sources there are."""
    git_server.commit("fleet", {"a": "1"})
    sources = [f"{name}={git_server.url('fleet')}#main" for name in ("fleet", "open")]
    async with hooked(*sources, secrets={"fleet": SECRET, "gone": SECRET}) as found:
        answers = [await found.post(found.push("github"), source) for source in ("open", "gone", "never")]

        assert [status for status, _ in answers] == [404, 404, 404]
        assert answers[0] == answers[1] == answers[2]


async def test_a_secret_is_exchanged_without_a_restart(hooked, git_server, tmp_path):
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        new = pushed("github", "the-new-secret", git_server.url("fleet"))
        before = await found.post(new)
        (tmp_path / "webhooks.json").write_text(json.dumps({"fleet": ["the-new-secret", SECRET]}))
        both = [await found.post(new), await found.post(found.push("github"))]
        (tmp_path / "webhooks.json").write_text(json.dumps({"fleet": "the-new-secret"}))
        old = await found.post(found.push("github"))
        (tmp_path / "webhooks.json").write_text("{")
        broken = await found.post(found.push("github"))

        assert before[0] == 401
        assert [status for status, _ in both] == [202, 202]
        assert (old[0], broken[0]) == (401, 503)


async def test_a_repository_may_be_called_otherwise_by_its_forge(hooked, git_server):
    git_server.commit("fleet", {"a": "1"})
    secrets = {"fleet": {"secrets": [SECRET], "called": ["https://git.example.org/team/fleet"]}}
    async with hooked(secrets=secrets) as found:
        status, _ = await found.post(pushed("gitea", SECRET, "https://git.example.org/team/fleet.git"))

        assert status == 202


async def test_pings_are_answered(hooked, git_server):
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        before = found.asked()
        ping = signed("github", SECRET, {"zen": "Design for failure."})
        test = Posted({"X-Event-Key": "diagnostics:ping"}, b'{"test": true}')
        answers = [
            await found.post(Posted(ping.headers | {"X-GitHub-Event": "ping"}, ping.body)),
            await found.post(test),
            await found.post(Posted({"X-GitHub-Event": "ping"}, ping.body)),
        ]

        assert [status for status, _ in answers] == [200, 200, 401]
        assert "the secret fits" in answers[0][1]["message"]
        assert "nothing is known about its secret" in answers[1][1]["message"]
        assert found.asked() == before


async def test_what_is_no_delivery_is_answered_too(hooked, git_server, caplog):
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        cut = b"POST /hooks/fleet HTTP/1.1\r\nHost: h\r\nX-Signature: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
        async with found.client.get(f"{found.url}/hooks/fleet") as response:
            assert response.status == 405
        async with found.client.post(f"{found.url}/hooks/fleet/more") as response:
            assert response.status == 404
        assert (await found.raw(cut))[0] == 400
        assert (await found.raw(b"GET / HTTP/9.9\r\n\r\n"))[0] == 400
        assert (await found.post(found.push("github")))[0] == 202
        assert "Traceback" not in caplog.text


async def test_connections_are_bounded_in_number_and_time(hooked, git_server, monkeypatch):
    """I11: whoever reaches the port cannot take the descriptors that the hub needs."""
    monkeypatch.setattr(serving, "CONNECTIONS", 3)
    monkeypatch.setattr(serving, "CONNECTION_S", 0.5)
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        place = found.url.removeprefix("http://").split(":")
        opened = [await asyncio.open_connection(*place) for _ in range(4)]
        ended = set()
        async with asyncio.timeout(10):
            for reader, writer in reversed(opened):
                with contextlib.suppress(ConnectionError):
                    ended.add(await reader.read())
                writer.close()
        monkeypatch.setattr(serving, "CONNECTION_S", 20.0)

        assert ended <= {b""}
        assert (await found.post(found.push("github")))[0] == 202


async def test_open_connections_do_not_hold_up_the_end(hooked, git_server, monkeypatch):
    monkeypatch.setattr(serving, "CONNECTION_S", 1000.0)
    monkeypatch.setattr(serving, "READ_S", 1000.0)
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        place = found.url.removeprefix("http://").split(":")
        _, silent = await asyncio.open_connection(*place)
        _, dripping = await asyncio.open_connection(*place)
        head = head_of(found.push("github"))
        dripping.write(f"POST /hooks/fleet HTTP/1.1\r\nHost: h\r\n{head}Content-Length: 10\r\n\r\n".encode())
        await dripping.drain()
        await settled(found)
    silent.close()
    dripping.close()


async def test_a_small_body_does_not_become_a_big_one(hooked, git_server):
    """I11: what says that it is compressed is taken as it came, and is no JSON."""
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        posted = signed("github", SECRET, gzip.compress(b" " * (64 << 20)))
        status, _ = await found.post(Posted(posted.headers | {"Content-Encoding": "gzip"}, posted.body))

        assert status == 400


async def test_a_hint_wakes_no_repository_whose_credential_is_refused(hooked, git_server, line):
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        git_server.faults["fleet"] = Fault(status=401)
        await found.post(found.push("github"))
        await line.fact_of("source-failed")
        before = found.looks()
        status, _ = await found.post(found.push("github"))
        await settled(found)

        assert status == 202
        assert found.looks() - before <= 1


async def test_a_flood_of_forgeries_does_not_fill_the_log(hooked, git_server, monkeypatch, capsys):
    """I11."""
    monkeypatch.setattr(serving, "LOGGED", (5.0, 0.0))
    git_server.commit("fleet", {"a": "1"})
    async with hooked() as found:
        statuses = {(await found.post(pushed("gitea", "wrong", git_server.url("fleet"))))[0] for _ in range(20)}

    assert statuses == {401}
    assert "".join(capsys.readouterr()).count("hook_refused") == 5


async def test_deliveries_are_counted_and_logged_without_secrets(hooked, git_server, capsys):
    git_server.commit("fleet", {"a": "1"})

    def count(source, result):
        return (
            REGISTRY.get_sample_value("towline_webhook_deliveries_total", {"source": source, "result": result}) or 0.0
        )

    kinds = (("fleet", "looking"), ("fleet", "unauthentic"), ("", "unknown"))
    before = [count(*kind) for kind in kinds]
    async with hooked() as found:
        await found.post(found.push("gitlab"))
        await found.post(pushed("gitlab", "a-guess", git_server.url("fleet")))
        await found.post(found.push("gitlab"), "never")

    told = "".join(capsys.readouterr())
    assert [count(*kind) for kind in kinds] == [each + 1 for each in before]
    assert "no secret of this source fits what gitlab sent" in told
    assert SECRET not in told
    assert "a-guess" not in told
    assert WRONG not in told
