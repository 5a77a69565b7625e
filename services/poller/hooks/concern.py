"""Which of the refs that sources follow a push is about.

A look too many costs one question to the host, a look too few costs the wait for the interval; so a branch and a tag of
the same name count as one.
"""

from __future__ import annotations

from services.poller.hooks.payloads import Push
from services.poller.hooks.repositories import same_repository
from services.poller.refs import commit_of
from services.poller.state import Followed
from services.poller.versions import order_of, range_of
from shared.git.remote import HEADS, TAGS


def names(push: Push, repository: str) -> bool:
    """Tell whether a push is one to `repository`."""
    return any(same_repository(repository, each) for each in push.repositories)


def moves(push: Push, followed: Followed) -> bool:
    """Tell whether a push to its repository may have moved a ref that is followed."""
    if push.refs is None:
        return True
    asked = followed.asked_ref
    if not asked:
        known = followed.revision.ref if followed.revision else ""
        defaults = {short(each) for each in (known, push.default_branch) if each}
        return not defaults or any(short(ref) in defaults for ref in push.refs)
    if commit_of(asked):
        return False
    if any(short(ref) == short(asked) for ref in push.refs):
        return True
    wanted = range_of(asked)
    if wanted is None:
        return False
    versions = (order_of(ref.removeprefix(TAGS)) for ref in push.refs if ref.startswith(TAGS))
    return any(order in wanted for order in versions if order is not None)


def short(ref: str) -> str:
    """Return what people call a ref."""
    for prefix in (HEADS, TAGS):
        if ref.startswith(prefix):
            return ref.removeprefix(prefix)
    return ref
