"""S4: what a chart tries against the hub is refused, or gives nothing, within its limits."""

import asyncio
import gzip
import tarfile

import pytest

from services.renderer.engines import Engines
from services.renderer.sandbox import Limits
from shared.core.trees import EntryKind
from tests.support.archives import archive, link
from tests.support.rendering import config_map, findings, helm

CHART = "apiVersion: v2\nname: web\nversion: 0.1.0\n"
LINK = EntryKind.SYMLINK


def chart(**files):
    return {"chart/Chart.yaml": CHART, **{f"chart/{path}": text for path, text in files.items()}}


def packed(*entries, **files):
    return archive({"web/Chart.yaml": CHART, **files}, *entries)


DEPENDENCY = CHART + "dependencies: [{{name: common, version: 1.0.0, repository: '{}'}}]\n"


@pytest.mark.parametrize("place", ["file://../../common", "file:///etc", "file://../common"])
async def test_dependencies_on_disk_are_not_followed(engines, place):
    """S4."""
    files = chart() | {"chart/Chart.yaml": DEPENDENCY.format(place), "common/Chart.yaml": CHART}

    (finding,) = await findings(engines, helm(files))

    assert finding.code == "render.helm-dependency"


@pytest.mark.parametrize("path", ["Chart.lock", "values.yaml", "charts/sub", "templates/a.yaml"])
async def test_links_in_a_chart_are_refused_by_name(engines, path):
    """S4, A17."""
    (finding,) = await findings(engines, helm(chart(**{path: (LINK, "../../../etc/passwd")})))

    assert (finding.code, finding.file) == ("render.symlink", f"chart/{path}")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (packed(link("web/values.yaml", "/etc/hostname")), "render.symlink"),
        (packed(link("web/templates/a.yaml", "/etc/hostname", tarfile.LNKTYPE)), "render.symlink"),
        (packed(**{"web/../../x": "x"}), "render.unsafe-path"),
        (packed(**{"web/charts/sub.tgz": packed(link("web/values.yaml", "/etc/hostname"))}), "render.symlink"),
        (packed(**{f"web/files/{number}": bytes(4 << 20) for number in range(26)}), "render.too-large"),
        (b"no archive", "render.helm"),
        (packed()[:-20], "render.helm"),
        (gzip.compress(b"no tar"), "render.helm"),
    ],
    ids=["link", "hard link", "way out", "inner link", "bomb", "text", "cut off", "no tar"],
)
async def test_archives_that_are_no_plain_charts_are_refused(engines, content, code):
    """S4, S21."""
    (finding,) = await findings(engines, helm({"web.tgz": content}, "web.tgz"))

    assert (finding.code, finding.file) == (code, "web.tgz")


async def test_archives_in_each_other_have_a_limit(engines):
    """S4."""
    content = packed()
    for _ in range(12):
        content = packed(**{"web/charts/web-0.1.0.tgz": content})

    (finding,) = await findings(engines, helm({"web.tgz": content}, "web.tgz"))

    assert finding.code == "render.too-large"


@pytest.mark.parametrize("place", ["file:///etc/hostname", "http://127.0.0.1:1/schema", "http://example.org/schema"])
async def test_a_schema_brings_nothing_from_elsewhere(engines, place):
    """S4."""
    schema = f'{{"properties": {{"port": {{"$ref": "{place}"}}}}}}'

    (finding,) = await findings(engines, helm(chart(**{"values.schema.json": schema}), values={"port": 1}))

    assert finding.code == "render.helm"
    assert "permission denied" in finding.message or "unreachable" in finding.message or "lookup" in finding.message


CPU_BOMBS = {
    "tpl": {"templates/a.yaml": "{{ tpl .Values.x . }}", "values.yaml": "x: '{{ tpl .Values.x . }}'\n"},
    "include": {"templates/a.yaml": '{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}'},
    "schema": {"values.schema.json": '{"allOf": [' + ",".join(['{"$ref": "#"}'] * 9) + "]}"},
    "pattern": {"values.schema.json": '{"properties": {"a": {"pattern": "' + "(a{1,999}){1,999}" + '"}}}'},
    "seq": {"templates/a.yaml": "{{ seq 1 999999999 }}"},
    "repeat": {"templates/a.yaml": '{{ repeat 2000000000 "x" }}'},
    "large schema": {"values.schema.json": '{"enum": [' + ",".join(map(str, range(900_000))) + "]}"},
}


@pytest.mark.parametrize("files", CPU_BOMBS.values(), ids=CPU_BOMBS)
async def test_a_bomb_costs_its_limit_and_nothing_else(files):
    """S4: refused or rendered within the limits, and the next chart renders."""
    limits = Limits(wall_s=6.0, cpu_s=5, memory_bytes=600 << 20)
    async with Engines(limits, workers=1) as engines:
        async with asyncio.timeout(2 * limits.wall_s + 10):
            found = await findings(engines, helm(chart(**files), values={"a": "a" * 40}))

        assert found[0].code in {
            "render.helm",
            "render.values-schema",
            "render.timeout",
            "render.memory",
            "render.crash",
        }
        assert await engines.render(helm(chart(**{"templates/a.yaml": config_map()})))
