"""Build the binaries of the tests' Kubernetes once a machine, and say where they are: `make control-plane`.

They are ordinary Go modules, so nothing but Go and its module cache is needed; they are kept by a digest of what
they were made of.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "controlplane"
SOURCES = ("go.mod", "go.sum", "main.go")
KWOK = "sigs.k8s.io/kwok"
KWOK_VERSION = "v0.8.0"
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast", "pod/chaos", "volume/fast")
"""What kwok plays, from its own module: nodes live, pods run and Jobs complete, pods labelled for it fail, claims bind."""
VERSION = "k8s.io/component-base/version"


def folder():
    """Return where the binaries of these sources are, or will be."""
    digest = sha256(KWOK_VERSION.encode())
    for name in SOURCES:
        digest.update((MODULE / name).read_bytes())
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "towline" / "control-plane" / digest.hexdigest()[:16]


def is_built():
    return (folder() / "stages.yaml").is_file()


def missing():
    """Return why there is no control plane on this machine and how to get one; empty when it is there."""
    if is_built():
        return ""
    if shutil.which("go") is None:
        return "no control plane: install Go 1.26 or newer (https://go.dev/dl/), then run `make control-plane`"
    return "no control plane: run `make control-plane` (minutes, once)"


def build():
    """Build what is not there yet; whoever looks meanwhile sees nothing or everything."""
    if is_built():
        return
    if shutil.which("go") is None:
        sys.exit("`go` not found: install Go 1.26 or newer (https://go.dev/dl/)")
    print(f"building Kubernetes {kubernetes()} and kwok {KWOK_VERSION} for tests: takes minutes, once", flush=True)
    begun = time.monotonic()
    work = folder().with_name(f"{folder().name}.{os.getpid()}")
    work.mkdir(parents=True)
    try:
        _go("build", "-trimpath", "-ldflags", _flags(), "-o", str(work / "control-plane"), ".")
        _go("install", "-trimpath", "-ldflags", "-s -w", f"{KWOK}/cmd/kwok@{KWOK_VERSION}", GOBIN=str(work))
        (work / "stages.yaml").write_text(_stages(), "utf-8")
        if not is_built():
            work.rename(folder())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"built in {time.monotonic() - begun:.0f} s: {folder()}")


def kubernetes():
    """Return the version of Kubernetes that go.mod names."""
    return re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (MODULE / "go.mod").read_text("utf-8"), re.MULTILINE)[1]


def _flags():
    # Clients read the version: without it the server would say v0.0.0.
    major, minor, _ = kubernetes()[1:].split(".")
    told = {"gitVersion": kubernetes(), "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X {VERSION}.{name}={value}" for name, value in told.items())])


def _stages():
    # Outside our module: its go.mod and go.sum say nothing about kwok.
    told = _go("mod", "download", "-json", f"{KWOK}@{KWOK_VERSION}", cwd="/")
    root = Path(json.loads(told)["Dir"])
    files = [file for stage in STAGES for file in sorted((root / "kustomize/stage" / stage).glob("*.yaml"))]
    texts = [file.read_text("utf-8") for file in files if file.name != "kustomization.yaml"]
    return "\n---\n".join(text for text in texts if "\nkind: Stage\n" in text)


def _go(*arguments, cwd=MODULE, **environment):
    environment = {**os.environ, "CGO_ENABLED": "0", **environment}
    done = subprocess.run(["go", *arguments], cwd=cwd, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr}control plane not built: `go {' '.join(arguments)}` ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    build()
