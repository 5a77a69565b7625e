"""Say of each object of an app what an apply would change in it now, for whoever asks: secrets masked, a page at a time.

The API server is asked by a dry run, so that what it defaults or admission overrides is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.applier.diff import changes, extras_in, lines
from services.applier.errors import ErrorClass
from services.applier.kube.session import Request, Sender
from services.applier.options import Extras, Options
from services.applier.planned import Patch
from services.applier.predict import after_dry_run
from services.applier.requests import apply_request
from services.applier.singly import PAGE_BYTES
from services.applier.state import Wanted
from services.applier.tools import Tools
from shared.core.canonical import decode, encode
from shared.core.objects import ObjectKey

MOST = 40
"""Each object costs two requests, and whoever asks waits."""


async def compared(
    tools: Tools,
    sender: Sender,
    wanted: Mapping[ObjectKey, Wanted],
    options: Options,
    *,
    after: str = "",
    key: str = "",
) -> dict[str, Any]:
    """Return `objects` that differ, in the order of their keys, and in `next` after which key to ask for more."""
    named = {str(each.key): each for each in wanted.values() if _counts(each)}
    chosen = [name for name in sorted(named) if name > after and key in {"", name}]
    rows: list[dict[str, Any]] = []
    size = 0
    for number, name in enumerate(chosen):
        if number >= MOST or size > PAGE_BYTES // 2:
            return {"objects": rows, "next": chosen[number - 1]}
        if found := await _difference(tools, sender, named[name], options):
            rows.append({"key": name, **found})
            size += len(encode(found))
    return {"objects": rows, "next": ""}


def _counts(wanted: Wanted) -> bool:
    policy = wanted.policy
    return wanted.tracked and policy.hook is None and not (policy.ignore or policy.if_absent)


async def _difference(tools: Tools, sender: Sender, wanted: Wanted, options: Options) -> dict[str, Any]:
    """Return how one object differs; empty when an apply would change nothing."""
    if wanted.closed:
        return {"state": "refused", "lines": [wanted.closed.message]}
    resource = tools.mapper.find(wanted.key, wanted.version)
    if resource is None:
        return {"state": "unknown", "lines": ["its kind is not served"]}
    reply = await sender.send(Request("GET", resource.path(wanted.key.namespace, wanted.key.name)))
    if not reply.ok or reply.body is None:
        failure = reply.failure(wanted.key)
        missing = failure.error in {ErrorClass.GONE, ErrorClass.NAMESPACE_MISSING}
        return {"state": "missing", "lines": []} if missing else {"state": "unknown", "lines": [failure.message]}
    live, body = reply.body, decode(wanted.body)
    request = apply_request(resource, Patch(wanted, live["metadata"]["uid"]), wanted.body)
    asked = await sender.send(replace(request, query={**request.query, "dryRun": "All"}))
    if not asked.ok or asked.body is None:
        return {"state": "refused", "lines": [asked.failure(wanted.key).message]}
    changed = changes(after_dry_run(asked.body, live).after, live, options.ignore)
    added = extras_in(body, live, options.taken if wanted.policy.takeover else Extras.KEEP)
    told = lines(wanted.key, (*changed, *added), tools.redaction)
    return {"state": "differs", "lines": list(told)} if told else {}
