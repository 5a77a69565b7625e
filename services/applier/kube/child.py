"""The credentials child: reads a kubeconfig with kubernetes_asyncio, prints what it says as one JSON value, ends.

It is a process of its own because the library's generated models cost 36 MiB and a second of CPU that would stay in
the agent for ever, and because exec plugins have no time limit there: the parent kills this whole group instead.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from datetime import UTC
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import yaml

from services.applier.kube.access import Access
from shared.core.canonical import encode

MAX_ERROR_CHARACTERS = 500


class _RefusedError(Exception):
    """The kubeconfig asks for something that is not safe to do."""


def load_config_module() -> ModuleType:
    """Return `kubernetes_asyncio.config.kube_config` without the package's models.

    The module needs the names `ApiClient` and `Configuration` only; stand-ins give them while it is imported. With a
    version where that no longer holds, the whole package is imported: slower, the same result.
    """
    name = "kubernetes_asyncio"
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        package, client = ModuleType(name), ModuleType(f"{name}.client")
        package.__path__ = list(spec.submodule_search_locations)
        client.ApiClient = client.Configuration = SimpleNamespace  # type: ignore[attr-defined]
        sys.modules.update({name: package, f"{name}.client": client})
        try:
            return importlib.import_module(f"{name}.config.kube_config")
        except ImportError:
            for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
                del sys.modules[loaded]
    return importlib.import_module(f"{name}.config.kube_config")


async def read(path: str, context: str) -> Access:
    """Return the access that the kubeconfig at `path` describes."""
    _refuse_other_files(path, context)
    module = load_config_module()
    found = SimpleNamespace(api_key={})
    _refuse_auth_providers(module, path, context)
    loader = await module.load_kube_config(
        config_file=path, context=context or None, client_configuration=found, persist_config=False
    )
    expiry = getattr(loader, "exec_plugin_expiry", None)
    return Access(
        server=found.host,
        ca=_text(found, "ssl_ca_cert"),
        certificate=_text(found, "cert_file"),
        key=_text(found, "key_file"),
        # A token file usually ends with a newline, which no header may hold.
        authorization=str(found.api_key.get("BearerToken", "")).strip(),
        server_name=getattr(found, "tls_server_name", None) or "",
        verify=getattr(found, "verify_ssl", True),
        proxy=getattr(found, "proxy", None) or "",
        expires_at=expiry.astimezone(UTC).timestamp() if expiry else 0.0,
    )


def _refuse_other_files(path: str, context: str) -> None:
    """Refuse what is no kubeconfig, in words: the library stumbles over it somewhere, and says where it stumbled."""
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise _RefusedError("it is no kubeconfig: it is not even text") from error
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _RefusedError(f"it is no kubeconfig: it is no YAML, {error.problem}{line}") from error
    except yaml.YAMLError as error:
        raise _RefusedError("it is no kubeconfig: it is no YAML") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(each), list) for each in ("clusters", "contexts")):
        raise _RefusedError("it is no kubeconfig: that is a mapping with lists of clusters, contexts and users")
    if not (context or found.get("current-context")):
        raise _RefusedError("it has no current context, and none is named by --context")


def _refuse_auth_providers(module: ModuleType, path: str, context: str) -> None:
    """Refuse the old providers by name: one refreshes without TLS checks, the other writes to the kubeconfig."""
    config: Any = module.KubeConfigMerger(path).config
    current = config["contexts"].get_with_name(context or config["current-context"])["context"]
    if "user" not in current:
        return
    user = config["users"].get_with_name(current["user"])["user"]
    if user and "auth-provider" in user:
        raise _RefusedError(f"user {current['user']!r} signs in by an auth-provider, which is not supported")


def _text(found: SimpleNamespace, name: str) -> str:
    """Return the PEM text of a file that the loader named; temporary files die with this process."""
    path = getattr(found, name, None)
    return Path(path).read_text(encoding="utf-8") if path else ""


def main() -> None:
    """Print the access, or why there is none; arguments: kubeconfig, context or an empty string."""
    os.environ.pop("PYTHONPATH", None)  # ours, for this process: plugins written in Python must not see it
    path, context = sys.argv[1:3]
    try:
        if not Path(path).is_file():
            raise _RefusedError("there is no such file")  # noqa: TRY301 - one place says how refusals are told
        answer = asyncio.run(read(path, context)).to_bytes()
    except _RefusedError as error:
        answer = encode(
            {
                "error": f"kubeconfig {path}: {error}",
                "hint": "name a kubeconfig with an exec plugin, a token or a certificate",
            }
        )
    except OSError as error:
        answer = encode({"error": f"kubeconfig {path}: {error.strerror or error}", "transient": True})
    except Exception as error:  # noqa: BLE001 - the library raises bare ones; the parent gets all of them as a value
        first = str(error).strip().splitlines()[:1] or ["its content is not that of a kubeconfig"]
        said = first[0][:MAX_ERROR_CHARACTERS]
        answer = encode(
            {"error": f"kubeconfig {path}: {said}", "transient": "exec:" in said, "hint": "try it with kubectl"}
        )
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
