"""Know the service account of an app: whether it exists (rules O2, O7), and what it lacks (O3).

The API server lets anybody be impersonated: requests as an account that does not exist pass as far as what is granted
to all service accounts goes, and that is not what its owner meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.applier.errors import ErrorClass
from services.applier.kube.mapper import Mapper, Resource
from services.applier.kube.session import METADATA, ClusterUnreachableError, Impersonating, Request, Session
from services.applier.planned import Failed, Outcome
from services.applier.rights import Right, right_of, told
from services.applier.tenancy import ServiceAccount
from shared.core.canonical import encode
from shared.core.objects import ObjectKey
from shared.errors import PermanentError, TransientError

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
REVIEWED = 5
"""So many objects of a run are asked about; more lack the same."""
_VERBS = ("get", "patch", "create", "delete")
ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", namespaced=True)


class AccountMissingError(PermanentError):
    """The service account of an app does not exist."""

    code = "tenancy.account-missing"


class AccountUnknownError(TransientError):
    """Nobody can say whether the service account of an app exists."""

    code = "tenancy.account-unknown"


async def confirm_account(session: Session, account: ServiceAccount) -> None:
    """Return when the account exists.

    Raises:
        AccountMissingError: it does not.
        AccountUnknownError: the API server does not say.
        ClusterUnreachableError: no answer.
    """
    reply = await session.send(Request("GET", ACCOUNTS.path(account.namespace, account.name), accept=METADATA))
    if reply.ok:
        return
    failure = reply.failure(ObjectKey("", "ServiceAccount", account.namespace, account.name))
    if failure.error in {ErrorClass.GONE, ErrorClass.NAMESPACE_MISSING}:
        raise AccountMissingError(
            f"the service account {account} does not exist",
            hint="make it, with the rights that the app needs, or name another in runAs",
        )
    raise AccountUnknownError(f"the service account {account} cannot be read: {failure.message}", hint=failure.hint)


async def explained(
    session: Session, account: ServiceAccount, mapper: Mapper, outcomes: Mapping[ObjectKey, Outcome]
) -> dict[ObjectKey, Outcome]:
    """Return the outcomes; refusals that name no right have the one that an access review denies, if it is one (O3)."""
    found = dict(outcomes)
    unclear = {key: each for key, each in outcomes.items() if isinstance(each, Failed) and _names_no_right(each)}
    for key in list(unclear)[:REVIEWED]:
        resource = mapper.find(key)
        lacking = await _lacking(Impersonating(session, account.user), account, resource, key) if resource else None
        if lacking is not None:
            found[key] = replace(unclear[key], failure=replace(unclear[key].failure, hint=told(lacking)))
    return found


def _names_no_right(outcome: Failed) -> bool:
    return outcome.failure.error is ErrorClass.FORBIDDEN and right_of(outcome.failure.message) is None


async def _lacking(asking: Impersonating, account: ServiceAccount, resource: Resource, key: ObjectKey) -> Right | None:
    """Return the first right to the object that the account does not have."""
    for verb in _VERBS:
        attributes = {
            "verb": verb,
            "group": resource.group,
            "resource": resource.plural,
            "namespace": key.namespace,
            "name": key.name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            reply = await asking.send(Request("POST", REVIEWS, body=encode(review)), retries=1)
        except ClusterUnreachableError:
            return None
        if reply.ok and reply.body is not None and reply.body["status"].get("allowed") is False:
            return Right(account.user, verb, resource.plural, resource.group, key.namespace, key.name)
    return None
