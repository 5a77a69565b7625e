import asyncio
import json
import re
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from nacl.encoding import HexEncoder
from nacl.public import PublicKey, SealedBox

from services.auditor import facts, fold
from services.auditor.api.app import HEADERS
from shared.core.status import Health, Result, Sync
from shared.messages.facts import Fact
from shared.messages.reports import Answer
from tests.support import line_messages as line
from tests.support.auditor_app import TOKEN, bearer, serving

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/enrol/v1"),
    ("POST", "/enrol/v1/renew"),
    ("GET", "/enrol/v1/hub"),
    ("GET", "/.well-known/towline"),
    ("GET", "/login"),
    ("POST", "/session"),
    ("GET", "/static/towline.css"),
    ("GET", "/static/live.js"),
    ("GET", "/static/login.js"),
}
PLACES = {("c1", "web"): "a", ("c2", "web"): "a"}
ENROLMENT = {
    "cluster": "c1",
    "secret": "canary-join-secret",
    "public_key": "UABC",
    "nonce": "n",
    "proof": "00",
    "uid": "u1",
}


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path) as found:
        yield found


@pytest.fixture
def client(served):
    return served[0]


@pytest.fixture
def store(served):
    return served[1].store


async def a_small_fleet(store):
    rendered = line.rendered(1, {**PLACES, ("c1", "api"): line.problem()})
    await store.write(
        [
            fold.of_cluster(line.cluster("c1", labels={"env": "prod"})),
            fold.of_cluster(line.cluster("c2")),
            fold.of_revision(line.revision(1)),
            fold.of_rendered(rendered, rendered.listing),
            facts.of_fact(line.released(1, PLACES)),
            fold.of_report(line.report("c1", "web", 1), line.at(2)),
            fold.of_report(line.report("c2", "web", 1, result=Result.HELD, sync=Sync.HELD), line.at(2)),
        ]
    )


async def items(client, path):
    answer = await client.get(path, headers=bearer())
    assert answer.status == 200, await answer.text()
    return (await answer.json())["items"]


def every_route(client):
    for route in client.server.app.router.routes():
        if route.method != "HEAD":
            yield route.method, route.resource.canonical


def concrete(path):
    return re.sub(r"\{\w+\}", "1", path)


async def ask(client, method, path, **how):
    """Return the status; a stream is not read to its end, which it has not."""
    async with client.request(method, concrete(path), allow_redirects=False, **how) as answer:
        return answer.status, dict(answer.headers)


async def test_every_route_is_closed_to_strangers_but_the_listed_ones(client):
    open_routes = set()
    for method, path in every_route(client):
        statuses = {
            (await ask(client, method, path))[0],
            (await ask(client, method, path, headers=bearer("wrong")))[0],
            (await ask(client, method, path, headers={"Authorization": f"Basic {TOKEN}"}))[0],
            (await ask(client, method, path, headers={"Cookie": "towline-session=1.2.3"}))[0],
        }
        if statuses != {401}:
            open_routes.add((method, path))

    assert open_routes == PUBLIC


async def test_every_route_lets_the_token_in(client):
    for method, path in set(every_route(client)) - {("POST", "/session")}:
        status, _ = await ask(client, method, path, headers=bearer())

        assert status not in {401, 403}, (method, path)


async def test_every_answer_has_the_protecting_headers(client):
    for method, path in [*every_route(client), ("GET", "/nothing-here")]:
        for headers in ({}, bearer()):
            _, found = await ask(client, method, path, headers=headers)

            assert {name: found.get(name) for name in HEADERS} == HEADERS, (method, path)


async def test_a_token_in_the_address_is_no_token(client):
    status, _ = await ask(client, "GET", f"/api/v1/clusters?token={TOKEN}&access_token={TOKEN}")

    assert status == 401


async def test_a_new_token_counts_at_once_and_ends_all_sessions(client, tmp_path):
    login = await client.post("/session", data={"token": TOKEN}, allow_redirects=False)
    before = await client.get("/", allow_redirects=False)
    (tmp_path / "admin.token").write_text("another")

    assert (login.status, before.status) == (303, 200)
    assert (await ask(client, "GET", "/"))[0] == 401
    assert (await ask(client, "GET", "/api/v1/apps", headers=bearer()))[0] == 401
    assert (await ask(client, "GET", "/api/v1/apps", headers=bearer("another")))[0] == 200


async def test_an_empty_or_lost_token_file_lets_nobody_in(client, tmp_path):
    (tmp_path / "admin.token").write_text("")
    empty = (await ask(client, "GET", "/api/v1/apps", headers={"Authorization": "Bearer  "}))[0]
    (tmp_path / "admin.token").unlink()
    lost = (await ask(client, "GET", "/api/v1/apps", headers=bearer()))[0]

    assert (empty, lost) == (401, 401)


async def test_the_session_cookie_is_out_of_reach_for_scripts_and_other_sites(client):
    answer = await client.post("/session", data={"token": TOKEN}, allow_redirects=False)

    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie


async def test_a_code_opens_one_session(client):
    made = await client.post("/api/v1/login-codes", json={}, headers=bearer())
    code = (await made.json())["code"]
    first = await client.post("/session", data={"code": code}, allow_redirects=False)
    second = await client.post("/session", data={"code": code}, allow_redirects=False)

    assert (first.status, second.status) == (303, 403)


async def test_another_sites_page_cannot_use_a_session(client):
    await client.post("/session", data={"token": TOKEN})
    body = {"program": "poller", "verb": "sync"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        status, _ = await ask(client, "POST", "/api/v1/commands", json=body, headers=headers)

        assert status == 403


async def test_a_form_is_no_command(client):
    await client.post("/session", data={"token": TOKEN})

    status, _ = await ask(client, "POST", "/api/v1/commands", data='{"program": "poller", "verb": "sync"}')

    assert status == 415


async def test_after_ten_failures_an_address_has_to_wait(client):
    statuses = [(await client.post("/session", data={"token": "no"})).status for _ in range(11)]

    assert statuses == [403] * 10 + [429]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/clusters?limit=0",
        "/api/v1/clusters?limit=x",
        "/api/v1/clusters?cursor=%00",
        "/api/v1/clusters?cursor=e30",
        "/api/v1/clusters?colour=red",
        "/api/v1/targets?sync=Maybe",
        "/api/v1/targets?app=a&app=b",
        "/api/v1/events?since=yesterday",
        "/api/v1/events/99999999999999999999",
        "/api/v1/progress",
        "/api/v1/progress?commits=abc",
        "/api/v1/stream?after=-1",
    ],
)
async def test_a_wrong_request_is_a_problem_with_a_code(client, path):
    answer = await client.get(path, headers=bearer())

    problem = await answer.json()
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert problem["status"] == 400
    assert problem["code"].startswith("api.")


@pytest.mark.parametrize("path", ["clusters/c9", "apps/c9", "targets/c9/web", "revisions/c9", "events/9", "commands/x"])
async def test_what_is_not_there_is_404(client, path):
    answer = await client.get(f"/api/v1/{path}", headers=bearer())

    assert answer.status == 404
    assert (await answer.json())["code"] == "api.not-found"


async def test_a_target_says_what_was_released_and_how_it_does(client, store):
    await a_small_fleet(store)

    answer = await client.get("/api/v1/targets/c1/web", headers=bearer())

    target = await answer.json()
    assert target["revision"] == {"source": "fleet", "ref": "refs/heads/main", "commit": line.commit_id(1)}
    assert (target["bundle"], target["generation"]) == (line.bundle_id("a"), 1)
    assert (target["sync"], target["health"]) == (Sync.SYNCED, Health.CURRENT)
    assert target["counts"] == {"objects": 3, "created": 1, "patched": 0, "pruned": 0, "failed": 0}
    assert [(each["type"], each["status"]) for each in target["conditions"]] == [("Ready", "True"), ("Healthy", "True")]
    assert target["applied_at"] == "2026-11-24T12:00:02.000Z"


async def test_filters_choose(client, store):
    await a_small_fleet(store)

    assert [each["name"] for each in await items(client, "/api/v1/clusters?selector=env%3Dprod")] == ["c1"]
    assert [each["name"] for each in await items(client, "/api/v1/clusters?state=offline")] == ["c1", "c2"]
    assert [each["cluster"] for each in await items(client, "/api/v1/targets?sync=Held")] == ["c2"]
    assert [each["app"] for each in await items(client, "/api/v1/targets?cluster=c1")] == ["api", "web"]
    assert [each["cluster"] for each in await items(client, "/api/v1/targets?ready=true")] == ["c1"]
    assert len(await items(client, "/api/v1/targets?ready=false")) == 2
    assert len(await items(client, f"/api/v1/targets?commit={line.commit_id(1)[:8]}")) == 2
    assert len(await items(client, "/api/v1/releases?cluster=c1")) == 1
    assert [each["subject"] for each in await items(client, "/api/v1/events?types=apply.held")] == ["c2/web"]
    assert [each["subject"] for each in await items(client, "/api/v1/events?types=target&cluster=c1")] == ["c1/api"]
    assert [each["name"] for each in await items(client, "/api/v1/apps?cluster=c2")] == ["web"]


async def test_an_app_counts_its_targets_by_status(client, store):
    await a_small_fleet(store)

    api, web = await items(client, "/api/v1/apps")

    assert (api["name"], api["targets"], api["failed"]) == ("api", 1, 1)
    assert (web["targets"], web["sync"], web["failed"]) == (2, {"Synced": 1, "Held": 1}, 0)
    assert [each["commit"] for each in web["revisions"]] == [line.commit_id(1)]


@pytest.mark.parametrize("kind", ["clusters", "targets", "revisions", "releases", "events", "apps"])
async def test_pages_together_are_the_list(client, store, kind):
    await a_small_fleet(store)
    await store.write([fold.of_revision(line.revision(number)) for number in (2, 3)])
    whole = await items(client, f"/api/v1/{kind}")
    found, cursor = [], ""

    while True:
        answer = await client.get(f"/api/v1/{kind}", params={"limit": 1, "cursor": cursor}, headers=bearer())
        page = await answer.json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break

    assert found == whole
    assert len(whole) > 1


async def test_an_unchanged_answer_is_not_sent_again(client, store):
    first = await client.get("/api/v1/clusters", headers=bearer())
    tag = {"If-None-Match": first.headers["ETag"], **bearer()}
    unchanged = await client.get("/api/v1/clusters", headers=tag)
    await store.write([fold.of_cluster(line.cluster("c1"))])
    changed = await client.get("/api/v1/clusters", headers=tag)

    assert (unchanged.status, changed.status) == (304, 200)


async def test_the_description_names_every_route_of_the_api(client):
    description = await (await client.get("/openapi.json", headers=bearer())).json()

    routes = {(method.lower(), path) for method, path in every_route(client) if path.startswith(("/api", "/enrol"))}
    described = {(method, path) for path, methods in description["paths"].items() for method in methods}
    assert routes - described == {("get", "/api/v1/stream")}
    assert description["openapi"] == "3.1.0"
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(description)))
    assert names <= set(description["components"]["schemas"])


async def test_a_command_is_written_down_sent_and_answered(client, served):
    _, parts, sent = served
    given = await client.post(
        "/api/v1/commands",
        json={"program": "releaser", "verb": "suspend", "arguments": {"app": "web"}, "reason": "holiday"},
        headers=bearer(),
    )
    command_id = (await given.json())["id"]
    subject, command = await sent.next_command()
    pending = await (await client.get(f"/api/v1/commands/{command_id}", headers=bearer())).json()
    done = line.fact("command-done", 9, command=command_id, data={"ok": True, "result": {"apps": 1}})
    await parts.store.write([facts.of_fact(done)])
    answered = await (await client.get(f"/api/v1/commands/{command_id}", headers=bearer())).json()

    assert (given.status, subject) == (202, f"towline.command.releaser.{command_id}")
    assert (command.verb, command.arguments, command.reason) == ("suspend", {"app": "web"}, "holiday")
    assert (pending["state"], answered["state"], answered["result"]) == ("pending", "done", {"apps": 1})
    assert [event["type"] for event in await items(client, "/api/v1/events?types=command")] == [
        "dev.towline.command.done.v1",
        "dev.towline.command.given.v1",
    ]


async def answer_command(served, **data):
    """Answer the next command as the releaser would; `data` may depend on the command."""
    _, parts, sent = served
    _, command = await sent.next_command()
    found = {name: value(command) if callable(value) else value for name, value in data.items()}
    fact = Fact(id="f1", program="releaser", type="command-done", command=command.id, at=datetime.now(UTC), data=found)
    await parts.store.write([facts.of_fact(fact)])
    parts.desk.answered(fact)
    return command


async def test_a_new_clusters_token_is_opened_for_the_caller_and_stored_nowhere(client, served, tmp_path):
    canary = "canary-join-token"

    def sealed(command):
        key = PublicKey(command.arguments["reply_key"].encode(), HexEncoder)
        return {"sealed": b64encode(SealedBox(key).encrypt(canary.encode())).decode(), "expires_at": "soon"}

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.post("/api/v1/clusters", json={"name": "c1"}, headers=bearer()))
        tasks.create_task(answer_command(served, ok=True, result=sealed))
    answer = await (asking.result()).json()

    assert answer == {"cluster": "c1", "token": canary, "expires_at": "soon"}
    for file in tmp_path.iterdir():
        assert canary.encode() not in file.read_bytes()


async def test_an_enrolment_leaves_without_its_secret_and_comes_back_whole(client, served, tmp_path):
    enrolment = {
        "cluster": "c1",
        "hub": "hub1",
        "user_jwt": "canary-jwt",
        "expires": "2026-11-25T00:00:00Z",
        "key_set": "{}",
        "bus": ["nats://127.0.0.1:1"],
    }

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.post("/enrol/v1", json=ENROLMENT))
        answering = tasks.create_task(answer_command(served, ok=True, result=enrolment))
    answer = await asking.result().json()

    assert (asking.result().status, answer["user_jwt"]) == (200, "canary-jwt")
    assert "secret" not in answering.result().arguments
    assert len(answering.result().arguments["secret_hash"]) == 64
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()


async def test_a_refused_enrolment_says_why(client, served):
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.post("/enrol/v1", json=ENROLMENT))
        tasks.create_task(answer_command(served, ok=False, code="enrol.used", result={}))

    assert (asking.result().status, (await asking.result().json())["code"]) == (400, "enrol.used")


async def test_a_program_that_does_not_answer_is_named(client, served):
    served[1].desk.answer_timeout_s = 0.01

    answer = await client.post("/api/v1/clusters", json={"name": "c1"}, headers=bearer())

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "releaser" in (await answer.json())["detail"]


async def read_events(client, count, **how):
    """Return the first `count` (id, type) of a stream."""
    found = []
    async with asyncio.timeout(10), client.get("/api/v1/stream", **how) as answer:
        assert answer.content_type == "text/event-stream"
        async for raw in answer.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name == "data":
                event = json.loads(value)
                found.append((int(event["id"]), event["type"]))
                if len(found) == count:
                    return found
    return found


async def test_a_stream_resumes_behind_the_last_event_it_gave(client, store):
    await store.write([fold.of_revision(line.revision(number)) for number in (1, 2, 3)])
    first = await read_events(client, 2, params={"after": 0}, headers=bearer())
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(
            read_events(client, 3, headers={"Last-Event-ID": str(first[-1][0]), **bearer()}),
        )
        await store.write([fold.of_revision(line.revision(number)) for number in (4, 5)])

    assert [position for position, _ in first + reading.result()] == [1, 2, 3, 4, 5]


async def test_a_reader_far_behind_misses_nothing(client, store):
    for start in range(1, 2401, 400):
        await store.write([fold.of_revision(line.revision(number)) for number in range(start, start + 400)])

    found = await read_events(client, 2400, params={"after": 0}, headers=bearer())

    assert [position for position, _ in found] == list(range(1, 2401))


async def test_a_stream_gives_what_was_asked_for(client, store):
    await a_small_fleet(store)

    found = await read_events(client, 1, params={"after": 0, "cluster": "c2", "types": "apply"}, headers=bearer())

    assert [kind for _, kind in found] == ["dev.towline.apply.held.v1"]


async def asked_of_the_agent(client, served, answer):
    """Ask for objects; the releaser passes it on and the agent answers."""
    async with asyncio.TaskGroup() as tasks:
        question = {"about": "objects", "after": "x"}
        asking = tasks.create_task(client.post("/api/v1/targets/c1/web/ask", json=question, headers=bearer()))
        command = await answer_command(served, ok=True, result={})
        if answer:
            served[1].desk.told(Answer(id=command.id, cluster="c1", at=datetime.now(UTC), **answer))
    return command, asking.result()


async def test_an_agents_answer_comes_back_and_is_stored_nowhere(client, served, tmp_path):
    """Only who asked gets it: an app's objects are its cluster's business."""
    body = {"objects": [{"key": "canary-object"}], "next": ""}
    command, answer = await asked_of_the_agent(client, served, {"ok": True, "message": "1 object", "body": body})

    assert command.arguments == {"cluster": "c1", "app": "web", "about": "objects", "after": "x", "key": ""}
    assert await answer.json() == {"message": "1 object", "body": body}
    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [({"ok": False, "message": "there is no app 'web'"}, 400, "agent.refused"), (None, 503, "agent.no-answer")],
)
async def test_an_agent_that_refuses_or_is_away_is_named(client, served, answer, status, code):
    served[1].desk.agent_timeout_s = 0.01 if answer is None else 5
    _, found = await asked_of_the_agent(client, served, answer)

    assert (found.status, (await found.json())["code"]) == (status, code)


async def test_a_question_that_is_not_passed_on_says_why(client, served):
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(
            client.post("/api/v1/targets/c1/web/ask", json={"about": "objects"}, headers=bearer())
        )
        tasks.create_task(answer_command(served, ok=False, code="cluster.not-joined", message="no agent", result={}))

    assert (asking.result().status, (await asking.result().json())["code"]) == (400, "cluster.not-joined")
