"""An app that leaves git, over the whole line: its hooks run around its removal, and its neighbours stay."""

from tests.support.line import until

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: one}}\n"
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{argocd.argoproj.io/hook: {phase}}}}}
spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: "a:1"}}]}}}}}}
"""
WEB = {
    "apps/web/web.yaml": MAP.format(name="web"),
    "apps/web/leaving.yaml": JOB.format(name="leaving", phase="PreDelete"),
    "apps/web/left.yaml": JOB.format(name="left", phase="PostDelete"),
}


async def test_an_app_that_leaves_git_runs_its_hooks_and_goes(line, local_git):
    """F13, F12: one before the first object goes, one after the last; nothing of both is left, nor of the inventory."""
    files = {"fleet.yaml": "version: 1\n", "apps/other/other.yaml": MAP.format(name="other"), **WEB}
    first = local_git.commit("fleet", files)
    running = await line(clusters=("eu",), sources={"fleet": str(local_git.path("fleet"))})
    await running.wait(first)
    cluster = running.cluster("eu")
    before = [each["metadata"]["name"] for each in cluster.store.list("batch/v1", "Job", "default")]
    local_git.commit("fleet", dict.fromkeys(WEB))

    def names():
        return {each["metadata"]["name"] for each in cluster.store.objects()}

    await until(lambda: not names() & {"web", "leaving", "left", "towline-inventory-web-0"}, what="all of it is gone")
    asked = [
        (each.method, each.path.rpartition("/")[2])
        for each in cluster.requests
        if each.method in {"PATCH", "DELETE"} and each.path.rpartition("/")[2] in {"web", "leaving", "left"}
    ]

    assert before == []
    assert [each for each in asked if each in {("PATCH", "leaving"), ("DELETE", "web"), ("PATCH", "left")}] == [
        ("PATCH", "leaving"),
        ("DELETE", "web"),
        ("PATCH", "left"),
    ]
    assert "other" in names()
