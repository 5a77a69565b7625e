"""Find the objects of an app again by our marks when its inventory is gone (rule M7).

All kinds are listed, for what left the bundle may be of any. That is dear, and happens only where an app that was
released before has no inventory.
"""

from __future__ import annotations

from services.applier.errors import ErrorClass
from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.reflector import ListError, pages
from services.applier.kube.session import Session
from services.applier.state import Entry
from services.applier.tracking import AGENT_LABEL, is_ours, present_of
from shared.core.objects import ObjectKey, key_of


async def marked(session: Session, mapper: Mapper, cluster: str, app: str) -> dict[ObjectKey, Entry]:
    """Return an entry for each live object that carries the app's mark.

    Raises:
        ListError: a kind could not be listed, so nobody knows all of them.
        ClusterUnreachableError: no answer.
    """
    found: dict[ObjectKey, Entry] = {}
    for resource in [each for each in mapper if {"list", "delete"} <= each.verbs]:
        try:
            found |= await _of_kind(session, resource, cluster, app)
        except ListError as error:
            # What this agent may not even list was never applied by it; a kind may also have gone meanwhile.
            if error.failure.error not in {ErrorClass.FORBIDDEN, ErrorClass.UNKNOWN_KIND}:
                raise
    return found


async def _of_kind(session: Session, resource: Resource, cluster: str, app: str) -> dict[ObjectKey, Entry]:
    found: dict[ObjectKey, Entry] = {}
    async for page in pages(session, resource, {"labelSelector": f"{AGENT_LABEL}={cluster}"}):
        for item in page.get("items") or ():
            key, live = key_of(item)._replace(group=resource.group, kind=resource.kind), present_of(item)
            if is_ours(live, app, key):
                found[key] = Entry(key, resource.version, uid=live.uid)
    return found
