"""Hostile inputs one by one: what they wish for is named by file and line, and nothing leaves the child (A17, A18, F25).

The whole corpus, and what it may take, is in `test_poison.py`.
"""

import asyncio
from pathlib import Path

import pytest

from services.renderer.engines import Engines
from services.renderer.engines.child import Child
from services.renderer.sandbox import Limits
from shared.errors import FindingsError
from tests.support.listening import listener
from tests.support.mapping_tree import LINK, SUBMODULE
from tests.support.rendering import config_map, findings, helm, kustomize, plain

CHART = {"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n"}
VALUES = {"cluster": {"name": "c", "labels": {}, "values": {}}}


def template(text):
    return plain({"a.yaml": config_map(text=text)}, template="jinja", values=VALUES)


@pytest.mark.parametrize(
    "base",
    [
        "http://127.0.0.1:{port}/x.yaml",
        "https://127.0.0.1:{port}/repo.git?ref=main",
        "git::http://127.0.0.1:{port}/repo.git",
        "ssh://git@127.0.0.1:{port}/repo.git",
        "git@127.0.0.1:repo.git",
        "127.0.0.1:{port}/repo//base?ref=v1",
        "http://2130706433:{port}/x.yaml",
        "http://[::ffff:127.0.0.1]:{port}/x.yaml",
        "github.com/owner/repo?ref=v1",
    ],
)
@pytest.mark.parametrize("field", ["resources", "components", "bases"])
async def test_a_remote_base_is_refused_by_file_and_line_and_reaches_nobody(engines, base, field):
    """S3, A18."""
    async with listener() as (port, hits):
        files = {"kustomization.yaml": f"namePrefix: a-\n{field}:\n- {base.format(port=port)}\n"}
        (finding,) = await findings(engines, kustomize(files))

        assert (finding.code, finding.file, finding.line) == ("render.remote-base", "kustomization.yaml", 3)
        assert not hits


@pytest.mark.parametrize(
    "fields",
    [
        "patches: [{{path: '{url}'}}]",
        "crds: ['{url}']",
        "openapi: {{path: '{url}'}}",
        "configurations: ['{url}']",
        "replacements: [{{path: '{url}'}}]",
        "configMapGenerator: [{{name: x, files: ['k={url}']}}]",
        "secretGenerator: [{{name: x, env: '{url}'}}]",
        "transformers: ['{url}']",
    ],
)
async def test_a_remote_file_is_refused_whatever_field_names_it(engines, fields):
    """S3, A18."""
    async with listener() as (port, hits):
        text = fields.format(url=f"http://127.0.0.1:{port}/x.yaml")
        (finding,) = await findings(engines, kustomize({"kustomization.yaml": text}))

        assert (finding.code, finding.line) == ("render.remote-base", 1)
        assert not hits


async def test_what_a_plugin_would_fetch_reaches_nobody(engines):
    """S3: a reference that no check sees, because a transformer's own file names it, meets a child without network."""
    async with listener() as (port, hits):
        files = {
            "kustomization.yaml": "resources: [a.yaml]\ntransformers: [t.yaml]\n",
            "a.yaml": config_map(),
            "t.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: t}\n"
            f"path: http://127.0.0.1:{port}/x.yaml\n",
        }
        await findings(engines, kustomize(files))

        assert not hits


@pytest.mark.parametrize(
    "kustomization",
    [
        "resources: ['{out}']",
        "resources: ['../../../../../../../../../..{out}']",
        "resources: ['{out}/secret.yaml']",
        "components: ['{out}']",
        "configMapGenerator: [{{name: x, files: ['{out}/secret.yaml']}}]",
        "configMapGenerator: [{{name: x, files: ['../../../../../../../../../..{out}/secret.yaml']}}]",
        "patches: [{{path: '{out}/secret.yaml', target: {{kind: ConfigMap}}}}]",
        "resources: [a.yaml]\ncrds: ['{out}/secret.yaml']",
        "resources: [a.yaml]\nopenapi: {{path: '{out}/secret.yaml'}}",
        "resources: [a.yaml]\nreplacements: [{{path: '{out}/secret.yaml'}}]",
    ],
)
async def test_nothing_outside_the_tree_gets_into_a_bundle(engines, tmp_path, kustomization):
    """S2, A17: a folder on the hub's disk that holds a perfectly good kustomization."""
    (tmp_path / "kustomization.yaml").write_text("resources: [secret.yaml]\n")
    (tmp_path / "secret.yaml").write_text(config_map("canary", "canary"))
    files = {"app/kustomization.yaml": kustomization.format(out=tmp_path), "app/a.yaml": config_map()}

    for finding in await findings(engines, kustomize(files, "app")):
        assert finding.file.startswith("app")
        assert "text: canary" not in finding.message


async def test_a_child_has_a_network_of_its_own_and_nothing_of_our_environment():
    """S2, S3: what holds even where every check is fooled."""
    child = await Child.start(Limits(), allow_unsandboxed=False)
    process = Path("/proc", str(child.pid))
    try:
        network, environment = await asyncio.to_thread(
            lambda: ((process / "ns/net").readlink(), (process / "environ").read_bytes())
        )
    finally:
        await child.kill()

    assert network != await asyncio.to_thread(Path("/proc/self/ns/net").readlink)
    names = {each.split(b"=")[0].decode() for each in environment.split(b"\0") if each}
    assert names == {"HOME", "LANG", "PATH", "PYTHONHASHSEED", "TMPDIR", "TZ"}


async def test_a_chart_reads_no_file_of_the_hub(engines, tmp_path):
    """S4: links in a chart, `Files.Get`, `lookup` and DNS give nothing."""
    secret = tmp_path / "secret"
    secret.write_text("canary")
    text = (
        '{{ .Files.Get "' + str(secret) + '" }}{{ .Files.Get "../../secret" }}'
        '{{ lookup "v1" "Secret" "a" "b" }}{{ getHostByName "localhost" }}'
    )
    files = CHART | {"chart/templates/a.yaml": config_map(text=f"'{text}'")}

    (manifest,) = await engines.render(helm(files, allowNondeterministic=True))

    assert manifest["data"] == {"text": "map[]"}


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ((LINK, "/etc/hostname"), "render.symlink"),
        ((LINK, "a.yaml"), "render.symlink"),
        ((SUBMODULE, ""), "render.submodule"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "render.lfs-pointer"),
    ],
)
async def test_what_is_no_plain_file_is_refused_by_name(engines, member, code):
    """S1, A17."""
    files = {"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": config_map(), "app/b.yaml": member}
    chart = {"chart/Chart.yaml": CHART["chart/Chart.yaml"], "chart/templates/b.yaml": member}

    for inputs, file in (
        (kustomize(files, "app", reads=("app",)), "app/b.yaml"),
        (helm(chart), "chart/templates/b.yaml"),
    ):
        (finding,) = await findings(engines, inputs)

        assert (finding.code, finding.file) == (code, file)


@pytest.mark.parametrize("name", ["a\\b.yaml", "a\nb.yaml", "a" * 256, "\x1b[31m.yaml"])
async def test_names_that_tools_take_differently_are_refused(engines, name):
    """S1, A17."""
    (finding,) = await findings(engines, plain({name: config_map()}))

    assert finding.code == "render.unsafe-path"


async def test_a_folder_that_no_engine_reads_may_hold_anything(engines):
    files = {"app/kustomization.yaml": "resources: [a.yaml]", "app/a.yaml": config_map(), "docs/link": (LINK, "/etc")}

    assert await engines.render(kustomize(files, "app", reads=("app",)))


async def test_a_cancelled_render_takes_its_child_with_it():
    async with Engines(workers=1) as engines:
        loop = template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await engines.bundle(loop)

        assert await engines.render(plain({"a.yaml": config_map()}))


async def test_charts_in_kustomizations_are_refused_by_file_and_line(engines):
    files = {"kustomization.yaml": "namePrefix: a-\nhelmCharts:\n- {name: x, repo: https://charts.example.org}\n"}

    (finding,) = await findings(engines, kustomize(files))

    assert (finding.code, finding.line) == ("render.helm-in-kustomize", 2)


async def test_more_output_than_the_limit_is_refused():
    async with Engines(Limits(output_bytes=10_000), workers=1) as engines:
        with pytest.raises(FindingsError) as error:
            await engines.bundle(plain({"a.yaml": config_map(text="x" * 20_000)}))

        assert error.value.findings[0].code == "render.too-large"
        assert await engines.render(plain({"a.yaml": config_map()}))
