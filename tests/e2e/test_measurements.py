"""What a running hub tells whoever measures it: its readiness to everybody, its numbers to who has the token."""

import json

import aiohttp

from tests.support.line import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: greeting}\n"
PARTS = {"auditor", "engines", "identity", "poller", "publishing", "releaser"}
CONNECTIONS = {f"{name}-bus" for name in ("auditor", "poller", "releaser", "renderer", "steward")}
COUNTED = [
    'towline_bus_connected{program="renderer"} 1.0',
    'towline_git_checks_total{result="ok",source="fleet"}',
    'towline_git_checks_total{result="source.not-found",source="lost"}',
    'towline_render_duration_seconds_count{kind="plain"} 1.0',
    'towline_render_total{result="rendered"} 1.0',
    'towline_release_total{state="present"} 1.0',
    'towline_apply_total{result="succeeded"}',
    "towline_commit_to_apply_seconds_count 1.0",
    'towline_agent_last_seen_timestamp_seconds{cluster="c1"} 1.',
    'towline_cluster_info{cluster="c1",membership="joined"} 1.0',
]


async def asked(running, path, headers=None):
    async with aiohttp.ClientSession(headers=headers) as http, http.get(running.address().url + path) as answer:
        return answer.status, await answer.text()


async def test_a_hub_in_one_process_measures_all_its_parts(line, local_git, tmp_path):
    """I9: and names no secret doing so."""
    commit = local_git.commit("fleet", {"greeting.yaml": CONFIG})
    running = await line(
        clusters=["c1"], sources={"fleet": str(local_git.path("fleet")), "lost": str(tmp_path / "lost")}
    )
    await running.wait(commit)
    text = ""

    async def measured():
        nonlocal text
        _, text = await asked(running, "/metrics", {"Authorization": f"Bearer {running.address().token}"})
        return all(each in text for each in COUNTED)

    await until(measured, what=lambda: [each for each in COUNTED if each not in text], deadline_s=30)

    assert (await asked(running, "/metrics"))[0] == 401
    assert running.address().token not in text
    assert 'towline_cluster_info{cluster="c1",membership="invited"}' not in text
    assert text.count("towline_build_info{") == len(CONNECTIONS)


async def test_a_hub_is_ready_when_every_part_and_every_connection_is(line, local_git):
    local_git.commit("fleet", {"greeting.yaml": CONFIG})
    running = await line(clusters=[], sources={"fleet": str(local_git.path("fleet"))})

    status, text = await asked(running, "/readyz")
    found = json.loads(text)

    assert status == 200
    assert set(found["parts"]) == PARTS | CONNECTIONS
    assert found["ready"]
