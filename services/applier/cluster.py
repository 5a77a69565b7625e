"""Say which cluster is reached, and whether it is still the one that this agent belongs to (rule N5)."""

from __future__ import annotations

from collections.abc import Mapping

from services.applier.enrol import Here
from services.applier.inventory import NAMESPACES, StorageError
from services.applier.kube.session import APPLY, Request, Session
from services.applier.tracking import MANAGER
from shared.core.canonical import encode
from shared.errors import PermanentError


class OtherClusterError(PermanentError):
    """The identity belongs to another cluster than the one that is reached."""

    code = "agent.other-cluster"


async def cluster_here(session: Session, namespace: str, agent: str, claims: Mapping[str, str]) -> Here:
    """Return who the cluster is, and make the namespace for our things when it is missing.

    Raises:
        StorageError: the cluster refused.
        ClusterUnreachableError: it did not answer.
    """
    uid = await _uid(session)
    told = await session.send(Request("GET", "/version"))
    await _make_namespace(session, namespace)
    return Here(uid, str((told.body or {}).get("gitVersion") or ""), agent, claims)


async def confirm_cluster(session: Session, expected: str) -> None:
    """Return when the cluster that answers has the UID that is expected.

    Raises:
        OtherClusterError: it has another: it was made anew, or its address leads elsewhere.
        StorageError: the cluster refused.
        ClusterUnreachableError: it did not answer.
    """
    uid = await _uid(session)
    if uid != expected:
        raise OtherClusterError(
            f"this identity belongs to the cluster with UID {expected}, the one reached has {uid}",
            hint="check kubeconfig and context; a new cluster needs a new token and an empty data folder",
        )


async def _uid(session: Session) -> str:
    reply = await session.send(Request("GET", NAMESPACES.path(name="kube-system")))
    if not reply.ok or reply.body is None:
        raise StorageError(f"the cluster does not say who it is: {reply.failure().message}")
    return str(reply.body["metadata"]["uid"])


async def _make_namespace(session: Session, name: str) -> None:
    path = NAMESPACES.path(name=name)
    if (await session.send(Request("GET", path))).ok:
        return
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    query = {"fieldManager": MANAGER, "force": "true"}
    reply = await session.send(Request("PATCH", path, query, encode(body), content_type=APPLY))
    if not reply.ok:
        raise StorageError(f"namespace {name} cannot be made: {reply.failure().message}")
