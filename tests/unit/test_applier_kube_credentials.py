"""A kubeconfig is read by a child that ends, with everything that it may say."""

import sys
from base64 import b64encode

import pytest
import yaml

from services.applier.kube.access import AccessUnavailableError, BadAccessError
from services.applier.kube.credentials import ask_child

PLUGIN = """
import json, os
assert "PYTHONPATH" not in os.environ
print(json.dumps({
    "apiVersion": "client.authentication.k8s.io/v1",
    "kind": "ExecCredential",
    "status": {"token": "from-plugin", "expirationTimestamp": "2030-01-01T00:00:00Z"},
}))
"""


def kubeconfig(folder, user, **cluster):
    file = folder / "config"
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "a",
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443", **cluster}}],
                "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return file


def plugin(code, **more):
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", code],
            **more,
        }
    }


async def test_a_token_loses_its_newline_and_certificates_come_as_text(tmp_path):
    ca = b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    file = kubeconfig(
        tmp_path, {"token": "abc\n"}, **{"certificate-authority-data": b64encode(ca).decode(), "tls-server-name": "api"}
    )
    access = await ask_child(file, "")

    assert (access.server, access.authorization) == ("https://127.0.0.1:6443", "Bearer abc")
    assert (access.ca, access.server_name, access.verify) == (ca.decode(), "api", True)
    assert "abc" not in repr(access)


async def test_an_exec_plugin_gives_a_token_with_its_end(tmp_path):
    access = await ask_child(kubeconfig(tmp_path, plugin(PLUGIN)), "")

    assert access.authorization == "Bearer from-plugin"
    assert access.expires_at > 0


async def test_a_plugin_that_hangs_is_killed(tmp_path):
    file = kubeconfig(tmp_path, plugin("import time; time.sleep(600)"))
    with pytest.raises(AccessUnavailableError, match="longer than 3 s"):
        await ask_child(file, "", timeout_s=3.0)


async def test_a_plugin_that_fails_may_work_later(tmp_path):
    with pytest.raises(AccessUnavailableError, match="returned 3"):
        await ask_child(kubeconfig(tmp_path, plugin("raise SystemExit(3)")), "")


@pytest.mark.parametrize(
    ("user", "context", "message"),
    [
        ({"auth-provider": {"name": "oidc"}}, "", "auth-provider"),
        ({"token": "abc"}, "missing", "missing"),
    ],
    ids=["auth-provider", "unknown-context"],
)
async def test_what_cannot_be_used_is_refused_by_name(tmp_path, user, context, message):
    with pytest.raises(BadAccessError, match=message):
        await ask_child(kubeconfig(tmp_path, user), context)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "it is no kubeconfig: that is a mapping"),
        (b"", "it is no kubeconfig: that is a mapping"),
        (b"a: [1,\n", "it is no kubeconfig: it is no YAML, .* in line 2"),
        (b"\xff\xfe\x00", "it is no kubeconfig: it is not even text"),
        (b"clusters: 5\ncontexts: x\n", "it is no kubeconfig: that is a mapping"),
        (b"clusters: []\ncontexts: []\n", "it has no current context, and none is named by --context"),
    ],
    ids=["text", "empty", "broken", "binary", "types", "no-context"],
)
async def test_what_is_no_kubeconfig_is_refused_with_name_and_reason(tmp_path, content, message):
    (tmp_path / "config").write_bytes(content)

    with pytest.raises(BadAccessError, match=f"{tmp_path}/config: {message}"):
        await ask_child(tmp_path / "config", "")


async def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadAccessError, match="no such file"):
        await ask_child(tmp_path / "none", "")


def test_the_resident_process_never_loads_the_models():
    import subprocess

    code = (
        "import sys, services.applier.process\n"
        "print([m for m in ('kubernetes_asyncio', 'pydantic', 'prometheus_client', 'yaml', 'cryptography')"
        " if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
