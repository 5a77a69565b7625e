"""Hooks on a real Kubernetes: its Job controller says when they ended, its garbage collector takes their pods."""

import pytest

from tests.support.agents import OPTIONS, config_map

pytestmark = pytest.mark.cluster

CRASHES = {"pod-container-running-failed.stage.kwok.x-k8s.io": "true"}


def job(name, place, phase, **labels):
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.invalid/none:1"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": place, "annotations": {"towline.dev/hook": phase}},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def path_of(name, place):
    return f"/apis/batch/v1/namespaces/{place}/jobs/{name}"


async def test_hooks_run_around_a_removal(real_agent, api_server):
    """F13, K6: an app goes between two Jobs that completed, and leaves nothing behind."""
    place = api_server.namespace
    bundle = [config_map("one", place), job("leaving", place, "PreDelete"), job("left", place, "PostDelete")]
    await real_agent.release("web", bundle)
    await real_agent.reported(generation=1, result="succeeded", settled=True)
    await real_agent.release("web", removed=True)
    report = await real_agent.reported(generation=2, settled=True)

    assert (report.result, report.counts.pruned) == ("succeeded", 3)
    for path in (api_server.path("one"), path_of("leaving", place), path_of("left", place)):
        assert await api_server.get(path) is None


async def test_a_job_that_fails_keeps_the_app_until_somebody_waives_the_hooks(real_agent, api_server):
    """F13, K2: nothing is deleted before; the approval lets the removal go on."""
    place = api_server.namespace
    await real_agent.release("web", [config_map("one", place), job("leaving", place, "PreDelete", **CRASHES)])
    await real_agent.reported(generation=1, result="succeeded")
    options = {**OPTIONS, "timeout": "5s"}
    await real_agent.release("web", removed=True, options=options)
    held = await real_agent.reported(generation=2, result="failed", sync="Held")
    kept = await api_server.get(api_server.path("one"))
    await real_agent.release("web", removed=True, options=options, approval=held.hold.approval)
    await real_agent.reported(generation=3, settled=True)

    assert kept is not None
    assert await api_server.get(api_server.path("one")) is None
