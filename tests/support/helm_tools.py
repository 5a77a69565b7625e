"""Helm's own command and a real OCI registry, built from Go modules once a machine: `make helm-tools`.

They are what charts are compared with, and where `helm push` puts them; tests that need them skip where they are not built.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.ports import free_port

MODULES = {
    "helm": "helm.sh/helm/v4/cmd/helm@v4.2.3",  # the version that the library is made of
    "registry": "github.com/distribution/distribution/v3/cmd/registry@v3.0.0",
}
_CONFIG = "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"


def folder():
    """Return where the binaries are, or will be."""
    versions = "-".join(each.rpartition("@")[2] for each in MODULES.values())
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "towline" / "helm-tools" / versions


def build():
    """Build what is not there yet."""
    if shutil.which("go") is None:
        sys.exit("`go` not found: install Go 1.26 or newer (https://go.dev/dl/)")
    folder().mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(folder())}
    for name, module in MODULES.items():
        if not (folder() / name).exists():
            sys.stdout.write(f"building {module}: takes minutes, once\n")
            # Outside our checkout: its go.mod says nothing about these.
            command = ["go", "install", "-trimpath", "-ldflags", "-s -w", module]
            subprocess.run(command, cwd="/", env=environment, check=True)


def _tool(name):
    path = folder() / name
    if not path.exists():
        pytest.skip(f"needs {name}: run `make helm-tools` (minutes, once; needs Go)")
    return path


@pytest.fixture(scope="session")
def helm_command(tmp_path_factory):
    """A function: run Helm's command, and return what it prints."""
    path = _tool("helm")
    home = tmp_path_factory.mktemp("helm")
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "TZ": "UTC"}

    def run(*arguments):
        command = [path, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest_asyncio.fixture
async def oci_registry(tmp_path):
    """The host and port of a real registry."""
    path = _tool("registry")
    config = tmp_path / "registry.yaml"
    port = free_port()
    config.write_text(_CONFIG.format(root=tmp_path / "registry", port=port))
    process = await asyncio.create_subprocess_exec(path, "serve", config, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(20):
            while not await _answers(port):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _answers(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


if __name__ == "__main__":
    build()
