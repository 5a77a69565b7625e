"""Every ref that a source follows has a status of its own: by the API, by `towline get sources` and on the page."""

import pytest

from services.auditor import facts, fold
from tests.support import line_messages as line
from tests.support.auditor_app import bearer, serving

FLEET, LIBRARY = "https://git.example.org/fleet", "https://git.example.org/library"


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path) as (client, parts, _):
        yield client, parts.store


def seen(number, repository=FLEET, ref="main", commit=1):
    changes = {"repository": repository, "asked_ref": ref}
    return fold.of_revision(line.revision(number).model_copy(update=changes))


def told(second, kind, repository=FLEET, ref="main", code="source.unreachable"):
    data = {"repository": repository, "ref": ref, "code": code, "hint": "look at the host"}
    return facts.of_fact(line.fact(kind, second, source="fleet", message="it is so", data=data))


async def sources(client, everything="true"):
    answer = await client.get(f"/api/v1/sources?all={everything}", headers=bearer())
    assert answer.status == 200, await answer.text()
    return {(each["repository"], each["asked_ref"]): each for each in (await answer.json())["items"]}


async def test_one_repository_that_recovers_says_nothing_of_another(served):
    client, store = served
    await store.write([seen(1), seen(1, LIBRARY, "v1.x"), told(1, "source-failed")])
    await store.write([told(2, "source-failed", LIBRARY, "v1.x", "source.unverified")])
    await store.write([told(3, "source-recovered", LIBRARY, "v1.x")])
    found = await sources(client)

    assert {place: (each["failed"], each["code"]) for place, each in found.items()} == {
        (FLEET, "main"): (True, "source.unreachable"),
        (LIBRARY, "v1.x"): (False, ""),
    }
    assert found[FLEET, "main"]["hint"] == "look at the host"
    assert found[FLEET, "main"]["commit"] == line.commit_id(1)
    assert list(await sources(client, "false")) == [(FLEET, "main")]


async def test_what_is_no_longer_followed_is_shown_no_more_until_it_is_again(served):
    client, store = served
    await store.write([seen(1), seen(1, LIBRARY, "v1.x"), told(10, "source-dropped", LIBRARY, "v1.x")])
    gone = await sources(client)
    await store.write([told(20, "source-failed", LIBRARY, "v1.x")])

    assert list(gone) == [(FLEET, "main")]
    assert (LIBRARY, "v1.x") in await sources(client)


async def test_the_order_in_which_messages_arrive_does_not_matter(served):
    client, store = served
    await store.write([told(5, "source-recovered"), told(4, "source-failed")])
    await store.write([seen(2), seen(1)])
    (found,) = (await sources(client)).values()

    assert (found["failed"], found["commit"]) == (False, line.commit_id(2))
