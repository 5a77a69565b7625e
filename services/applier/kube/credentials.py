"""Have the credentials of a cluster: from a kubeconfig by a short-lived child, or from the pod's own files.

Both are read again when the API server refuses them and before they expire; a pod's token is rotated by the kubelet
and read again once a minute.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from services.applier.kube.access import Access, AccessUnavailableError, BadAccessError, access_of

CHILD_TIMEOUT_S = 60.0
MAX_ANSWER_BYTES = 1 << 20
TOKEN_AGE_S = 60.0
EXPIRY_MARGIN_S = 60.0
MIN_CHILD_PAUSE_S = 5.0
POD_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_ROOT = Path(__file__).resolve().parents[3]


class Credentials(Protocol):
    """Gives access to one cluster, again and again."""

    async def access(self, *, renew: bool = False) -> Access:
        """Return the access; `renew` when the server refused the last one.

        Raises:
            BadAccessError: somebody must change something.
            AccessUnavailableError: a later attempt may succeed.
        """


@dataclass(frozen=True, slots=True)
class FixedCredentials:
    """Credentials that are known once and for all, as those of simulated clusters."""

    known: Access

    async def access(self, *, renew: bool = False) -> Access:
        """Return what is known."""
        del renew
        return self.known


@dataclass(slots=True)
class KubeconfigCredentials:
    """The credentials of one context of a kubeconfig; exec plugins run in the child."""

    path: Path
    context: str = ""
    _known: Access | None = None
    _read_at: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def access(self, *, renew: bool = False) -> Access:
        """Return what the kubeconfig says, remembered until it expires or is refused."""
        async with self._lock:
            known, age = self._known, time.monotonic() - self._read_at
            if known is not None and age < MIN_CHILD_PAUSE_S:
                return known  # a burst of refusals asks once
            if known is None or renew or _expires_soon(known):
                self._known = known = await ask_child(self.path, self.context)
                self._read_at = time.monotonic()
            return known


@dataclass(slots=True)
class PodCredentials:
    """The credentials of the service account that this pod runs as."""

    folder: Path = POD_FOLDER
    _known: Access | None = None
    _read_at: float = 0.0

    async def access(self, *, renew: bool = False) -> Access:
        """Return what the mounted files say, read again once a minute."""
        if self._known is None or renew or time.monotonic() - self._read_at > TOKEN_AGE_S:
            self._known = await asyncio.to_thread(self._read)
            self._read_at = time.monotonic()
        return self._known

    def _read(self) -> Access:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise BadAccessError("this program does not run in a pod", hint="name a kubeconfig with --kubeconfig")
        try:
            token = (self.folder / "token").read_text(encoding="utf-8").strip()
            ca = (self.folder / "ca.crt").read_text(encoding="utf-8")
        except OSError as error:
            raise AccessUnavailableError(
                f"cannot read {error.filename}", hint="the pod needs automountServiceAccountToken"
            ) from error
        address = f"[{host}]" if ":" in host else host
        return Access(server=f"https://{address}:{port}", ca=ca, authorization=f"Bearer {token}")


def _expires_soon(access: Access) -> bool:
    # Plugins state a wall-clock time; nothing else could be compared with it.
    return bool(access.expires_at) and time.time() > access.expires_at - EXPIRY_MARGIN_S


async def ask_child(path: Path, context: str, *, timeout_s: float = CHILD_TIMEOUT_S) -> Access:
    """Return the access that a kubeconfig describes, read by a child with a session of its own.

    Raises:
        AccessUnavailableError: the child, or a plugin it ran, took longer than `timeout_s` or failed.
        BadAccessError: the kubeconfig cannot be used as it is.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.applier.kube.child",
        str(path),
        context,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        start_new_session=True,
        limit=MAX_ANSWER_BYTES,
    )
    try:
        async with asyncio.timeout(timeout_s):
            assert child.stdout is not None  # noqa: S101 - it was asked for above
            data = await child.stdout.read(MAX_ANSWER_BYTES)
            await child.wait()
    except TimeoutError as error:
        raise AccessUnavailableError(
            f"kubeconfig {path}: its credentials took longer than {timeout_s:.0f} s",
            hint="run the exec plugin that it names by hand",
        ) from error
    finally:
        await _end(child)
    return access_of(data)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill whatever is left of the child's group: a plugin may have left children of its own."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    await child.wait()
