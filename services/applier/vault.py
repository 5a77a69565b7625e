"""Read and write the agent's own Secrets, one value each."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass

from services.applier.inventory import SECRETS, StorageError
from services.applier.kube.reflector import pages
from services.applier.kube.session import APPLY, WRITE_TIMEOUT_S, Reply, Request, Session
from services.applier.tracking import MANAGER
from shared.core.canonical import encode
from shared.core.objects import Manifest


@dataclass(frozen=True, slots=True)
class Vault:
    """Secrets of one namespace."""

    session: Session
    namespace: str
    fence: Callable[[], None] | None = None

    async def read(self, name: str) -> bytes | None:
        """Return what a Secret holds; None when there is none.

        Raises:
            StorageError: the cluster refused.
            ClusterUnreachableError: it did not answer.
        """
        reply = await self.session.send(Request("GET", SECRETS.path(self.namespace, name)))
        if reply.status == 404:
            return None
        if not reply.ok or reply.body is None:
            raise _refused(reply, name, "read")
        held = (reply.body.get("data") or {}).get("content")
        return b64decode(held) if held else None

    async def write(self, name: str, content: bytes, label: str = "") -> None:
        """Make a Secret hold `content`; `label` is a label's name by which such Secrets are found.

        Raises:
            StorageError: the cluster refused.
            ClusterUnreachableError: it did not answer.
        """
        labels = {"app.kubernetes.io/managed-by": MANAGER, **({label: "true"} if label else {})}
        body: Manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
            "data": {"content": b64encode(content).decode()},
        }
        reply = await self.session.send(
            Request(
                "PATCH",
                SECRETS.path(self.namespace, name),
                {"fieldManager": MANAGER, "force": "true"},
                encode(body),
                content_type=APPLY,
                timeout_s=WRITE_TIMEOUT_S,
                fence=self.fence,
            )
        )
        if not reply.ok:
            raise _refused(reply, name, "written")

    async def remove(self, name: str) -> None:
        """Delete a Secret; one that is gone is no error.

        Raises:
            StorageError: the cluster refused.
            ClusterUnreachableError: it did not answer.
        """
        request = Request("DELETE", SECRETS.path(self.namespace, name), timeout_s=WRITE_TIMEOUT_S, fence=self.fence)
        reply = await self.session.send(request)
        if not reply.ok and reply.status != 404:
            raise _refused(reply, name, "removed")

    async def names(self, label: str) -> set[str]:
        """Return the names of all Secrets with a label.

        Raises:
            TowlineError: they cannot be listed.
        """
        found: set[str] = set()
        async for page in pages(self.session, SECRETS, {"labelSelector": label}, namespace=self.namespace):
            found.update(str(each["metadata"]["name"]) for each in page.get("items") or ())
        return found


def _refused(reply: Reply, name: str, what: str) -> StorageError:
    failure = reply.failure()
    return StorageError(f"Secret {name} cannot be {what}: {failure.message}", hint=failure.hint)
