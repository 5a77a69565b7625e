"""Nothing secret leaves the agent: canaries in manifests, drift and refusals, looked for in all that it says."""

from base64 import b64encode

import orjson
import structlog

from tests.support.agents import OPTIONS, config_map, running

CANARY = "c4n4ry"
KUBESIM_FIELD = {"reason": "FieldValueInvalid", "field": "spec.template.spec.containers[0].env[0].value"}


def told(number):
    """Return one canary, so that a leak says which it was."""
    return f"{CANARY}-{number}"


def secret(**data):
    coded = {name: b64encode(value.encode()).decode() for name, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "web"}, "data": coded}


def deployment():
    container = {"name": "c", "image": "a:1", "env": [{"name": "DB_PASSWORD", "value": told("env")}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container]}},
        },
    }


def refusal():
    """An answer that prints what it refuses, as API servers and webhooks do."""
    value = f'core.PodSpec{{Env:[{{"name":"DB_PASSWORD","value":"{told("pod")}"}}]}}'
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "Invalid",
        "code": 422,
        "message": f'Deployment.apps "d" is invalid: spec.template: Invalid value: {value}: may not be so\n{value}',
        "details": {"causes": [{**KUBESIM_FIELD, "message": f'Invalid value: "{told("cause")}": may not be so'}]},
    }


def hits(text):
    return [text[max(0, at - 60) : at + 40] for at in range(len(text)) if text.startswith(CANARY, at)]


async def test_no_report_status_or_log_line_holds_a_secret(pen, sim):
    """S13, A19, P1, P2: values of Secrets, of fields that sound secret, and what refusals print."""
    secret_map = config_map("conf", password=told("map"), url=f"https://ada:{told('url')}@example.org/")
    coded = b64encode(told("coded").encode()).decode()
    with structlog.testing.capture_logs() as lines:
        async with running(pen.settings(sim)):
            await pen.release("web", [secret(token=told("secret")), secret_map, deployment()])
            await pen.reported(generation=1, result="succeeded")

            sim.store.patch(secret(), {"data": {"token": coded, "more": coded}}, manager="kubectl-edit")
            sim.store.patch(secret_map, {"data": {"password": told("drift"), "url": f"https://b:{told('u2')}@x/"}})
            env = [{"name": "c", "image": "b:2", "env": [{"name": "DB_PASSWORD", "value": told("env2")}]}]
            sim.store.patch(deployment(), {"spec": {"template": {"spec": {"containers": env}}}})
            await pen.reported(trigger="drift")

            sim.fail_next(50, 422, refusal(), match=lambda each: each.method == "PATCH" and "deploy" in each.path)
            changed = deployment()
            changed["spec"]["replicas"] = 2
            bad = {**secret(), "data": {"token": f"{CANARY}!no-base64"}}
            await pen.release("web", [bad, secret_map, changed])
            failed = await pen.reported(generation=2, result="partial")

    assert len(failed.failures) == 2
    for report in pen.reports:
        assert hits(report.to_bytes().decode()) == []
        assert coded not in report.to_bytes().decode()
    assert hits(pen.status.to_bytes().decode()) == []
    assert lines
    assert hits(orjson.dumps(lines, default=str).decode()) == []


async def test_messages_are_short_however_long_the_refusal(agent, sim):
    """P2: at most 1 KiB; what a webhook says is cut."""
    said = {
        "kind": "Status",
        "reason": "Invalid",
        "code": 422,
        "message": f'webhook "w" denied the request: {"x" * 9000}',
    }
    sim.fail_next(50, 422, said, match=lambda each: each.method == "PATCH" and "configmaps/one" in each.path)
    await agent.release("web", [config_map("one"), config_map("two")], options=OPTIONS)
    report = await agent.reported(result="partial")

    assert len(report.failures[0].message.encode()) <= 1024
    assert len(report.message.encode()) <= 1024
